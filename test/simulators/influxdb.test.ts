import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { issue, write } from './certificates.ts'
import { startDaemon, untilPrinted } from './daemon.ts'
import { layOut, start, testInfluxd } from './influxdb-behaviour.ts'
import { fingerprintOf, probe } from './probe.ts'

const INFLUXD = join(import.meta.dirname, 'influxdb/influxd-sim.ts')
const simulator = { name: 'simulator', argv: [process.execPath, INFLUXD] }
const RELOADING = { SIM_VERSION: '1.12.3' }

await testInfluxd(t, simulator)

await t.test('from 1.12.3 on SIGHUP loads the pair anew, all or nothing', async t => {
  const { directory, port, ca, a, b, node } = await layOut(t)
  const use = (cert: string, key: string, more = 'https-enabled = true\n') =>
    node(
      `${more}https-certificate = "${join(directory, cert)}"\nhttps-private-key = "${join(directory, key)}"\n`,
    )
  const daemon = start(t, simulator, use('a.crt', 'a.key'), RELOADING)
  await untilPrinted(daemon, 'Listening for signals')
  const served = async () => (await probe({ port, path: '/ping', ca: ca.certPem })).fingerprint
  let reloads = 0
  const hangUp = async () => {
    daemon.signal('SIGHUP')
    reloads++
    const done = () =>
      daemon.output().match(/Successfully loaded|no changes applied/g)?.length === reloads
    await until(done, { what: 'the reload is over' })
  }

  t.equal(await served(), fingerprintOf(a.certPem))
  use('b.crt', 'b.key')
  t.equal(await served(), fingerprintOf(a.certPem))
  await hangUp()
  t.equal(await served(), fingerprintOf(b.certPem))

  use('a.crt', 'b.key')
  await hangUp()
  t.equal(await served(), fingerprintOf(b.certPem), 'the old pair stays')
  t.match(
    daemon.output(),
    /httpd: error loading certificate at .*tls: private key does not match public key/,
  )

  use('a.crt', 'a.key', '')
  await hangUp()
  t.equal(await served(), fingerprintOf(b.certPem), 'nothing of the new configuration is used')
  t.match(daemon.output(), 'httpd: can not change https-enabled on a running server')

  use('a.crt', 'a.key')
  await hangUp()
  t.equal(await served(), fingerprintOf(a.certPem))
})

await t.test(
  'from 1.12.3 on files that are too open are refused, unless that is allowed',
  async t => {
    const { directory, node } = await layOut(t)
    const refusal = async (
      mode: number,
      file: string,
      env: Readonly<Record<string, string>>,
      more = '',
    ) => {
      chmodSync(join(directory, 'a.key'), 0o600)
      chmodSync(join(directory, 'a.crt'), 0o644)
      chmodSync(join(directory, file), mode)
      const text = `https-enabled = true\nhttps-certificate = "${join(directory, 'a.crt')}"\nhttps-private-key = "${join(directory, 'a.key')}"\n${more}`
      return await startsOrSays(t, node(text), env)
    }
    const tooOpen =
      /^run: open server: open service: LoadCertificate: file permissions are too open: for "[^"]*", maximum is 0(600|644) but found 0(640|664)$/

    t.match(await refusal(0o640, 'a.key', RELOADING), tooOpen)
    t.match(await refusal(0o664, 'a.crt', RELOADING), tooOpen)
    t.equal(
      await refusal(0o640, 'a.key', RELOADING, 'https-insecure-certificate = true\n'),
      'started',
    )
    t.equal(await refusal(0o640, 'a.key', { SIM_VERSION: '1.12.2' }), 'started')
  },
)

await t.test('versions and builds differ in what they know', async t => {
  const { directory, port, node } = await layOut(t)
  const config = async (text: string, env: Readonly<Record<string, string>>) => {
    const argv = [INFLUXD, 'config', '-config', write(directory, 'x.conf', text)]
    return await runCommand(process.execPath, argv, { env })
  }
  t.equal((await config('[tls]\nmin-version = "tls1.3"\n', { SIM_VERSION: '1.8.10' })).code, 0)
  t.match(
    await config('[cluster]\nhttps-enabled = true\n', {
      SIM_VERSION: '1.9.0',
      SIM_BUILD: 'Enterprise',
    }),
    {
      code: 0,
      stdout: /\[cluster\]\n {2}https-enabled = true/,
      stderr: /^Merging[^\n]*\n$/,
    },
  )
  t.match(await config('', { SIM_BUILD: 'Enterprise', INFLUXDB_META_META_TLS_ENABLED: 'true' }), {
    stdout: /^ {2}meta-tls-enabled = true$/m,
  })

  const daemon = start(t, simulator, node(''), {
    SIM_VERSION: '1.8.10-c1.8.10',
    SIM_BUILD: 'Enterprise',
  })
  await untilPrinted(daemon, 'Listening for signals')
  t.match(await probe({ port, path: '/health' }), { status: 200, body: /"status":"pass"/ })
  t.match(await probe({ port, path: '/ping' }), {
    headers: { 'x-influxdb-build': 'Enterprise', 'x-influxdb-version': '1.8.10-c1.8.10' },
  })
})

await t.test('two keys that differ only in case: either may win', async t => {
  const file = write(t.testdir(), 'x.conf', '[http]\nHTTPS-Enabled = false\nhttps-enabled = true\n')
  const { readConfig, valueOf } = await import('./influxdb/config.ts')
  const seen = new Set<unknown>()
  // 1 in 2^100 that this fails by chance.
  for (let i = 0; i < 100; i++) {
    seen.add(
      valueOf(readConfig(file, {}, { version: '1.6.7', build: 'OSS' }), 'http', 'https-enabled'),
    )
  }
  t.equal(seen.size, 2)
})

await t.test(
  'a pair that cannot be used stops the start only after the store was opened',
  async t => {
    const { node } = await layOut(t)
    const daemon = start(t, simulator, node('https-enabled = true\n'), {
      SIM_STORE_DELAY_MS: '100',
    })
    t.equal(await daemon.ended, 'exit 1')
    t.match(
      daemon.output(),
      /Open store \(end\)[^]*run: open server: open service: open \/etc\/ssl\/influxdb\.pem/,
    )
  },
)

await t.test('UTF-16 with a mark is read', async t => {
  const file = join(t.testdir(), 'x.conf')
  writeFileSync(file, '\uFEFF[http]\nhttps-enabled = true\n', 'utf16le')
  const argv = [INFLUXD, 'config', '-config', file]
  t.match((await runCommand(process.execPath, argv)).stdout, /^ {2}https-enabled = true$/m)
})

await t.test('points outlive the process', async t => {
  const { port, node } = await layOut(t)
  const query = (q: string) =>
    probe({ port, method: 'POST', path: `/query?db=d&q=${encodeURIComponent(q)}` })
  const first = start(t, simulator, node(''))
  await untilPrinted(first, 'Listening for signals')
  await query('CREATE DATABASE d')
  const body = gzipSync('m v=1 1\nm v=2\n')
  const headers = { 'Content-Encoding': 'gzip' }
  t.match(await probe({ port, method: 'POST', path: '/write?db=d', headers, body }), {
    status: 204,
  })
  t.match(await probe({ port, method: 'POST', path: '/api/v2/write?bucket=d', body: 'm v=1 3' }), {
    status: 404,
  })
  first.signal('SIGKILL')
  await first.ended

  const second = start(t, simulator, node(''), { SIM_VERSION: '1.8.0' })
  await untilPrinted(second, 'Listening for signals')
  t.match(
    await probe({ port, method: 'POST', path: '/api/v2/write?bucket=d/rp', body: 'm v=1 3' }),
    {
      status: 204,
    },
  )
  t.match((await query('SELECT count(v) FROM m')).body, ',3]')
})

await t.test('TLS 1.0 is accepted unless [tls] says otherwise', async t => {
  const { directory, port, ca, node } = await layOut(t)
  const pair = `https-enabled = true\nhttps-certificate = "${join(directory, 'a.crt')}"\nhttps-private-key = "${join(directory, 'a.key')}"\n`
  const old = (servername = 'localhost') =>
    new Promise<string>((resolve, reject) => {
      const options = { port, servername, ca: ca.certPem, ciphers: 'DEFAULT@SECLEVEL=0' }
      const socket = connect({ ...options, minVersion: 'TLSv1', maxVersion: 'TLSv1' }, () => {
        resolve(socket.getProtocol() ?? '')
        socket.destroy()
      })
      socket.once('error', reject)
    })
  const lax = start(t, simulator, node(pair))
  await untilPrinted(lax, 'Listening for signals')
  t.equal(await old(), 'TLSv1')
  await lax.stop()
  const strict = start(t, simulator, node(`${pair}[tls]\nmin-version = "TLS1.2"\n`))
  await untilPrinted(strict, 'Listening for signals')
  await t.rejects(old())
})

await t.test('from 1.13 on [http] may ask clients for a certificate', async t => {
  const { directory, port, ca, node } = await layOut(t)
  const client = issue(ca, 'client', { names: 'DNS:c', usage: 'clientAuth' })
  chmodSync(join(directory, 'a.key'), 0o600)
  const text = `https-enabled = true\nhttps-certificate = "${join(directory, 'a.crt')}"\nhttps-private-key = "${join(directory, 'a.key')}"
https-client-auth-type = "RequireAndVerifyClientCert"\nhttps-client-ca = { paths = ["${ca.certFile}"] }\n`
  const ping = (more = {}) => probe({ port, path: '/ping', ca: ca.certPem, ...more })
  const daemon = start(t, simulator, node(text), { SIM_VERSION: '1.13.1' })
  await untilPrinted(daemon, 'Listening for signals')
  await t.rejects(ping())
  t.match(await ping({ cert: client.certPem, key: client.keyPem }), { status: 204 })
  await daemon.stop()
  const older = start(t, simulator, node(text), { SIM_VERSION: '1.12.4' })
  await untilPrinted(older, 'Listening for signals')
  t.match(await ping(), { status: 204 }, 'before, the keys are unknown')
})

await t.test("the start script of upstream's packages", async t => {
  const { directory, port, node } = await layOut(t)
  const pair = (key: string) =>
    `https-enabled = true\nhttps-certificate = "${join(directory, 'a.crt')}"\nhttps-private-key = "${join(directory, key)}"\n`
  const pidFile = join(directory, 'influxd.pid')
  const run = (http: string) => {
    const env = {
      SIM_VERSION: '1.8.10',
      SIM_INFLUXD: simulator.argv.join(' '),
      SIM_PIDFILE: pidFile,
      INFLUXDB_CONFIG_PATH: node(http),
    }
    const script = join(import.meta.dirname, 'influxdb/influxd-systemd-start.sh')
    // Its output goes to a file: the server that it leaves behind would hold a pipe open.
    return startDaemon({ argv: ['bash', '-c', `exec ${script} >${directory}/out 2>&1`], env })
  }
  const output = () => readFileSync(join(directory, 'out'), 'utf8')
  const endServer = () => {
    const pid = Number(readFileSync(pidFile, 'utf8'))
    try {
      process.kill(pid)
    } catch {
      // It had ended by itself.
    }
    // Nobody may have waited yet for one that has ended.
    const isThere = () => /^State:\s+[^Z]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
    return until(() => !existsSync(`/proc/${pid}`) || !isThere(), { what: 'the server has ended' })
  }
  t.teardown(endServer)

  t.equal(await run(pair('a.key')).ended, 'exit 0')
  t.match(output(), 'InfluxDB started')
  t.match(await probe({ port, path: '/ping', ca: '' }).catch(String), /self-signed|unable to/)
  await endServer()
  t.equal(await run('https-enabled = true\nhttps-certificate = "/x.pem"\n').ended, 'exit 1')
  t.match(output(), '/x.pem not found! Exiting...')
  const waiting = run(pair('b.key'))
  t.teardown(() => waiting.stop())
  const said = ['unavailable after 2 attempts', 'private key does not match public key']
  await until(() => said.every(text => output().includes(text)), {
    what: 'it waits for one that is long dead',
  })
})

async function startsOrSays(
  t: Test,
  config: string,
  env: Readonly<Record<string, string>>,
): Promise<string> {
  const daemon = start(t, simulator, config, env)
  const started = untilPrinted(daemon, 'Listening for signals').then(() => 'started')
  const outcome = await Promise.race([
    started.catch(() => 'ended'),
    daemon.ended.then(() => 'ended'),
  ])
  await daemon.stop()
  return outcome === 'started' ? outcome : (daemon.output().trimEnd().split('\n').at(-1) ?? '')
}
