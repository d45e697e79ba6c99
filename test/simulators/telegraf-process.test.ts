import { execFileSync } from 'node:child_process'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { listenForReady } from '../sandbox/process.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { createCa, issue, write } from './certificates.ts'
import { startDaemon, untilPrinted } from './daemon.ts'
import { layOut, start } from './influxdb-behaviour.ts'
import { parseAs } from './influxdb-meta/wire.ts'
import { probe } from './probe.ts'
import { directoryOf, startFakeServer, TELEGRAF } from './telegraf-support.ts'
import { TelegrafStatus } from './telegraf/status.ts'

const INFLUXD = {
  name: 'simulator',
  argv: [process.execPath, join(import.meta.dirname, 'influxdb/influxd-sim.ts')],
}
const FAST =
  '[agent]\ninterval = "50ms"\nflush_interval = "100ms"\nround_interval = false\n[[inputs.cpu]]\n'

function layOutTelegraf(t: Test, version = '1.38.0') {
  const directory = directoryOf(t)
  const file = join(directory, 'telegraf.conf')
  const statusFile = join(directory, 'status.json')
  const env = { SIM_VERSION: version, SIM_STATUS_FILE: statusFile, SIM_CONNECT_RETRY_MS: '50' }
  return {
    directory,
    configure: (text: string) => {
      writeFileSync(`${file}.new`, text)
      renameSync(`${file}.new`, file)
    },
    /** Whoever reads its configuration comes no further. */
    hold: () => execFileSync('mkfifo', [file]),
    start: (more: Readonly<Record<string, string>> = {}, ...argv: readonly string[]) => {
      const daemon = startDaemon({
        argv: [process.execPath, TELEGRAF, '-config', file, ...argv],
        env: { ...env, ...more },
      })
      t.teardown(() => daemon.stop())
      return daemon
    },
    run: (...argv: readonly string[]) =>
      runCommand(process.execPath, [TELEGRAF, ...argv, '--config', file], { env }),
    status: () => {
      const status = parseAs(TelegrafStatus, readFileSync(statusFile, 'utf8'))
      if (status === undefined) throw new Error('no status')
      return status
    },
  }
}

await t.test(
  'what is written arrives, over a reload and a restart; a flip in the wrong order loses it with v2',
  async t => {
    const { directory, ca, a, port, node } = await layOut(t)
    const telegraf = layOutTelegraf(t)
    const server = { SIM_VERSION: '1.8.10' }
    const output = (scheme: string) =>
      `[[outputs.influxdb_v2]]\nurls = ["${scheme}://localhost:${port}"]\nbucket = "telegraf/autogen"\ntimeout = "60s"\ntls_ca = "${ca.certFile}"\n`
    const counted = async (secure: boolean) => {
      const path = `/query?db=telegraf&q=${encodeURIComponent('SELECT count(n) FROM numbered')}`
      const { body } = await probe({ port, path, ...(secure ? { ca: ca.certPem } : {}) })
      return Number(/Z",(\d+)\]/.exec(body)?.[1] ?? 0)
    }
    const of = () => {
      const [counters] = telegraf.status().outputs
      if (counters === undefined) throw new Error('no output')
      return counters
    }
    const influxd = start(t, INFLUXD, node(''), server)
    await untilPrinted(influxd, 'Listening for signals')
    await probe({ port, method: 'POST', path: '/query?q=CREATE%20DATABASE%20telegraf' })

    telegraf.configure(FAST + output('http'))
    const daemon = telegraf.start()
    await until(() => of().written > 3, { what: 'some are written' })

    // Client first: it keeps what the server cannot take yet.
    telegraf.configure(FAST + output('https'))
    daemon.signal('SIGHUP')
    await until(() => telegraf.status().loads === 2 && of().buffered > 3, { what: 'it buffers' })
    t.match(of(), { dropped: 0, discarded: 0 })
    await influxd.stop()
    const lines = `https-enabled = true\nhttps-certificate = "${a.certFile}"\nhttps-private-key = "${join(directory, 'a.key')}"\n`
    const secured = start(t, INFLUXD, node(lines), server)
    await untilPrinted(secured, 'Listening for signals')
    await until(() => of().buffered === 0 && of().written > 7, { what: 'all are written' })

    // Server last, client still at http: everything is lost.
    telegraf.configure(FAST + output('http'))
    daemon.signal('SIGHUP')
    await until(() => of().dropped > 3, { what: 'metrics are dropped' })
    await daemon.stop()
    t.equal(await daemon.ended, 'exit 0')
    const { generated } = telegraf.status()
    const { written, dropped, overflowed, discarded, buffered } = of()
    t.equal(
      written + dropped + overflowed + discarded + buffered,
      generated,
      'every metric is accounted for',
    )
    t.equal(await counted(true), written)
  },
)

await t.test(
  'a reload: what cannot be flushed is gone; a configuration that does not load ends it',
  async t => {
    const telegraf = layOutTelegraf(t)
    const dead = `[[outputs.influxdb]]\nurls = ["http://localhost:${await freePort()}"]\nmetric_buffer_limit = 5\n`
    telegraf.configure(FAST + dead)
    const daemon = telegraf.start()
    const counters = () => telegraf.status().outputs[0]
    await until(() => (counters()?.overflowed ?? 0) > 2, { what: 'the buffer overflows' })
    t.equal(counters()?.buffered, 5)
    await untilPrinted(
      daemon,
      /W! \[outputs\.influxdb\] Metric buffer overflow; 1 metrics have been dropped/,
    )
    // A server that is away is a warning only.
    await untilPrinted(daemon, /W! .*creation failed/)

    daemon.signal('SIGHUP')
    await until(() => telegraf.status().loads === 2, { what: 'it has reloaded' })
    t.equal(counters()?.discarded, 5)
    telegraf.configure(`${FAST}${dead}ssl_ca = "x"\n`)
    daemon.signal('SIGHUP')
    t.equal(await daemon.ended, 'exit 1')
    t.match(daemon.output(), /E! \[telegraf\] Error running agent: loading config file .*ssl_ca/)
  },
)

await t.test('files of TLS are read at a load, and once', async t => {
  const telegraf = layOutTelegraf(t)
  const [ca, other] = [createCa(telegraf.directory), createCa(telegraf.directory, 'other')]
  const server = await startFakeServer(t, {
    pair: issue(ca, 'localhost'),
    clientAuth: 'NoClientCert',
    clientCa: undefined,
  })
  const file = write(telegraf.directory, 'trusted.pem', other.certPem)
  telegraf.configure(
    `${FAST}[[outputs.influxdb]]\nurls = ["https://localhost:${server.port}"]\ntls_ca = "${file}"\n`,
  )
  const daemon = telegraf.start()
  await untilPrinted(daemon, /E! .*unknown authority/)
  writeFileSync(file, ca.certPem)
  const before = daemon.output().length
  await until(() => /E! .*unknown authority/.test(daemon.output().slice(before)), {
    what: 'it still fails',
  })
  t.equal(server.requests.length, 0)
  daemon.signal('SIGHUP')
  await until(() => (telegraf.status().outputs[0]?.written ?? 0) > 0, { what: 'it writes' })

  telegraf.configure(
    `${FAST}[[outputs.influxdb]]\nurls = ["https://localhost:${server.port}"]\ntls_ca = "/x.pem"\n`,
  )
  const late = telegraf.start({ SIM_VERSION: '1.21.0' })
  t.equal(await late.ended, 'exit 1')
  t.match(
    late.output(),
    /Failed to connect to \[outputs\.influxdb\], retrying in 15s.*\n.*error connecting to output/,
  )
  t.match(await telegraf.run('--once'), {
    code: 1,
    stderr: /could not read certificate "\/x\.pem": open \/x\.pem: no such file/,
  })
})

await t.test('the roots of the system are those of the environment', async t => {
  const telegraf = layOutTelegraf(t)
  const ca = createCa(telegraf.directory)
  const { port } = await startFakeServer(t, {
    pair: issue(ca, 'localhost'),
    clientAuth: 'NoClientCert',
    clientCa: undefined,
  })
  telegraf.configure(`${FAST}[[outputs.influxdb]]\nurls = ["https://localhost:${port}"]\n`)
  const once = (env: Readonly<Record<string, string>>) => telegraf.start(env, '--once').ended
  const nothing = '/nonexistent'
  t.equal(await once({ SSL_CERT_FILE: ca.certFile, SSL_CERT_DIR: nothing }), 'exit 0')
  t.equal(
    await once({ SSL_CERT_FILE: nothing, SSL_CERT_DIR: `${nothing}:${telegraf.directory}` }),
    'exit 0',
  )
  t.equal(await once({ SSL_CERT_FILE: nothing, SSL_CERT_DIR: nothing }), 'exit 1')
})

await t.test('SIGHUP before it is ready ends it; systemd is told when it is', async t => {
  const telegraf = layOutTelegraf(t)
  const { port } = await startFakeServer(t)
  telegraf.hold()
  const early = telegraf.start()
  await untilPrinted(early, 'Loading config')
  early.signal('SIGHUP')
  t.equal(await early.ended, 'SIGHUP')
  telegraf.configure(`${FAST}[[outputs.influxdb]]\nurls = ["http://localhost:${port}"]\n`)

  let ready = 0
  const listener = await listenForReady(() => ready++)
  t.teardown(() => listener.close())
  const old = telegraf.start({ NOTIFY_SOCKET: listener.name, SIM_VERSION: '1.21.0' })
  await until(() => (telegraf.status().outputs[0]?.written ?? 0) > 0, { what: 'it writes' })
  t.equal(ready, 0, 'before 1.22 it says nothing')
  await old.stop()
  const daemon = telegraf.start({ NOTIFY_SOCKET: listener.name })
  await until(() => ready > 0, { what: 'READY=1 has come' })
  daemon.signal('SIGHUP')
  await until(() => telegraf.status().loads === 2, { what: 'it has reloaded' })
})

await t.test('--watch-config makes of a changed file a reload', async t => {
  const telegraf = layOutTelegraf(t)
  const { port } = await startFakeServer(t)
  const output = `[[outputs.influxdb]]\nurls = ["http://localhost:${port}"]\n`
  telegraf.configure(FAST + output)
  telegraf.start({}, '--watch-config', 'poll')
  await until(() => (telegraf.status().outputs[0]?.written ?? 0) > 0, { what: 'it writes' })
  telegraf.configure(`${FAST}# changed\n${output}`)
  await until(() => telegraf.status().loads === 2, { what: 'it has reloaded' })
})

await t.test('one-shot commands', async t => {
  const telegraf = layOutTelegraf(t)
  const server = await startFakeServer(t)
  const output = `[[outputs.influxdb]]\nurls = ["http://localhost:${server.port}"]\n`
  telegraf.configure(FAST + output)
  t.match(await telegraf.run('version'), { code: 0, stdout: /^Telegraf 1\.38\.0 \(git: / })
  t.match(await telegraf.run('config', 'check'), { code: 0 })
  t.match(await telegraf.run('--test'), { code: 0, stdout: /^> numbered,host=\S+ n=1i \d{19}$/m })
  t.equal(server.requests.length, 0)
  t.match(await telegraf.run('--once'), { code: 0 })
  t.match(server.requests.at(-1), {
    line: 'POST /write?db=telegraf',
    body: /^numbered,host=\S+ n=1i /,
  })
  await server.close()
  t.match(await telegraf.run('--once'), {
    code: 1,
    stderr: /output plugins unable to send 1 metrics/,
  })

  telegraf.configure(`${FAST}${output}metric_batch_size = \${NONE:-5}\n`)
  t.match(await telegraf.run('config', 'check'), { code: 0 }, 'a check is not as strict as a start')
  t.match(await telegraf.run('config', 'check', '--strict-env-handling'), { code: 1 })
  t.match(await telegraf.run('--test'), { code: 1 })
  t.match(await telegraf.run('--test', '--non-strict-env-handling'), { code: 0 })
  telegraf.configure(output)
  t.match(await telegraf.run('--once'), { code: 1, stderr: /no inputs found/ })
})
