// What Prometheus 2.42 and its promtool do: the simulator is held to it in prometheus.test.ts, the real
// programs in test/lab/real-programs.test.ts.

import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { write } from './certificates.ts'
import { type Daemon, startDaemon, untilPrinted } from './daemon.ts'
import { exchange, fingerprintOf, keepAliveAgent, probe, type ProbeOptions } from './probe.ts'
import { layOut, PAIR, WEB_CONFIGS } from './prometheus-web-configs.ts'

export interface PrometheusProgram {
  readonly name: string
  readonly prometheus: readonly string[]
  readonly promtool: readonly string[]
}

export async function testPrometheus(t: Test, program: PrometheusProgram): Promise<void> {
  await t.test(`promtool check web-config of the ${program.name}`, async t => {
    const { directory } = layOut(t)
    const files = WEB_CONFIGS.map(
      ([name, text]) => write(directory, `${name}.yml`, text) && `${name}.yml`,
    )
    const run = async (...argv: readonly string[]) => {
      const [command = '', ...rest] = [...program.promtool, ...argv]
      return await runCommand(command, rest, { cwd: directory })
    }

    const { stderr, code } = await run('check', 'web-config', ...files)

    const expected = WEB_CONFIGS.map(([name, , error]) =>
      error === undefined ? `${name}.yml SUCCESS` : `${name}.yml FAILED: ${error}`,
    )
    t.same(stderr.trimEnd().split(/\n(?! )/), expected)
    t.equal(code, 1)
    t.equal((await run('check', 'web-config', 'pair.yml')).code, 0)
    t.match(
      (await run('check', 'web-config', write(directory, 'broken.yml', 'a: [\n'))).stderr,
      /FAILED: yaml: /,
    )
    write(directory, 'p.yml', 'scrape_configs:\n- job_name: x\n  tls_config: {ca_file: none}\n')
    write(directory, 'bad.yml', 'foo: 1\nscrape_configs:\n- job_name: x\n  bar: 1\n')
    for (const option of [[], ['--syntax-only']]) {
      t.match(await run('check', 'config', ...option, 'p.yml'), {
        code: 0,
        stdout: 'Checking p.yml\n SUCCESS: p.yml is valid prometheus config file syntax\n\n',
      })
      t.match(await run('check', 'config', ...option, 'bad.yml'), {
        code: 1,
        stderr:
          /^ {2}FAILED: parsing YAML file bad\.yml: yaml: unmarshal errors:\n {2}line 1: field foo not found in type config\.plain\n/,
      })
    }
    const missing = await run('check', 'web-config', 'none.yml')
    t.match(missing, {
      code: 1,
      stderr: "promtool: error: path 'none.yml' does not exist, try --help\n",
    })
  })

  await t.test(`the command line of the ${program.name}`, async t => {
    const { directory } = layOut(t)
    write(directory, 'p.yml', 'global: {}\n')
    write(directory, 'bad.yml', 'foo: 1\n')
    write(directory, 'mismatch.yml', 'tls_server_config:\n  cert_file: a.crt\n  key_file: b.key\n')
    const port = await freePort()
    const config = [
      '--config.file=p.yml',
      `--web.listen-address=127.0.0.1:${port}`,
      '--storage.tsdb.path=data',
    ]
    const run = async (...argv: readonly string[]) => {
      const [command = '', ...rest] = [...program.prometheus, ...argv]
      const { stdout, stderr, code } = await runCommand(command, rest, { cwd: directory })
      return { said: stdout + stderr, code }
    }

    t.match(await run('--version'), { code: 0, said: /^prometheus, version 2\.42\.0/ })
    t.match(await run('--web.config.file=a', '--web.config.file', 'b'), {
      code: 2,
      said: "Error parsing commandline arguments: flag 'web.config.file' cannot be repeated\n",
    })
    const refused = async (flag: string, why: string) =>
      t.match(await run(flag), {
        code: 1,
        said: `Error parsing commandline arguments: ${why}\nprometheus: error: ${why}\n`,
      })
    await refused('--foo', "unknown long flag '--foo'")
    await refused('-x', "unknown short flag '-x'")
    await refused('extra', 'unexpected extra')
    await refused('--web.config.file', "expected argument for flag '--web.config.file'")
    await refused('--web.enable-lifecycle=3', 'unexpected 3')
    t.match(await run('--config.file=none.yml'), {
      code: 2,
      said: /level=error msg="Error loading config \(--config\.file=none\.yml\)" .*no such file/,
    })
    t.match(await run('--config.file=bad.yml'), {
      code: 2,
      said: /field foo not found in type config\.plain/,
    })
    const badWebConfig = 'level=error msg="Unable to validate web configuration file"'
    t.match(await run(...config, '--web.config.file=none.yml'), { code: 1, said: badWebConfig })
    t.match(await run(...config, '--web.config.file=mismatch.yml'), {
      code: 1,
      said: `${badWebConfig} err="failed to load X509KeyPair: tls: private key does not match public key"`,
    })
  })

  await t.test(`TLS of the running ${program.name}`, async t => {
    const { directory, ca, a, b, client } = layOut(t)
    const port = await freePort()
    const self = `      - targets: ['localhost:${port}']\n`
    const jobs = [
      `  - job_name: good\n    scheme: https\n    tls_config: {ca_file: scrape-ca.crt}\n`,
      `  - job_name: plain\n`,
      `  - job_name: name\n    scheme: https\n    tls_config: {ca_file: ca.crt, server_name: other}\n`,
      `  - job_name: stranger\n    scheme: https\n`,
    ].map(
      job => `${job}    scrape_interval: 1s\n    scrape_timeout: 1s\n    static_configs:\n${self}`,
    )
    write(directory, 'scrape-ca.crt', ca.certPem)
    write(directory, 'p.yml', `scrape_configs:\n${jobs.join('')}`)
    const use = (text: string) => {
      writeFileSync(join(directory, 'web.new'), text)
      renameSync(join(directory, 'web.new'), join(directory, 'web.yml'))
    }
    const good = `tls_server_config:\n${PAIR}`
    use(good)
    const daemon = start(t, program, directory, port, ['--web.config.file=web.yml'])
    await untilPrinted(daemon, 'Server is ready')
    const https = (path: string, more: Partial<ProbeOptions> = {}) =>
      probe({ port, path, ca: ca.certPem, ...more })
    const agent = keepAliveAgent()
    t.teardown(() => agent.destroy())

    await t.test('is served with the pair on disk', async t => {
      t.match(await https('/-/ready', { agent }), {
        status: 200,
        body: 'Prometheus Server is Ready.\n',
        fingerprint: fingerprintOf(a.certPem),
      })
      t.match(await https('/-/healthy'), { status: 200, body: 'Prometheus Server is Healthy.\n' })
      t.match(await https('/-/reload'), { status: 405 })
      t.match(await https('/-/reload', { method: 'POST' }), {
        status: 403,
        body: 'Lifecycle API is not enabled.',
      })
      t.match(await https('/nosuch'), { status: 404 })
    })

    await t.test('answers plain HTTP with the 400 of Go', async t => {
      t.equal(
        await exchange(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
        'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n',
      )
    })

    await t.test('scrapes itself as a Go client would', async t => {
      const targets = async (): Promise<Readonly<Record<string, string>>> => {
        const { data } = JSON.parse((await https('/api/v1/targets')).body)
        const list: readonly { scrapePool: string; health: string; lastError: string }[] =
          data.activeTargets
        return Object.fromEntries(
          list.map(target => [target.scrapePool, `${target.health} ${target.lastError}`]),
        )
      }
      // One scrape may be late, and has another answer then; the next one is not.
      const untilTold = async (pool: string, told: RegExp) => {
        let last: string | undefined
        const isTold = async () => {
          last = (await targets())[pool]
          return last !== undefined && told.test(last)
        }
        const ended = until(isTold, { what: `${pool} is told as ${told}` })
        t.equal(await ended.catch(() => last), true, `${pool}: ${last}`)
      }
      await untilTold('good', /^up $/)
      await untilTold('plain', /^down server returned HTTP status 400 Bad Request$/)
      await untilTold(
        'name',
        /^down Get "https:\/\/localhost:\d+\/metrics": x509: certificate is valid for localhost, not other$/,
      )
      const unknown = /^down .*x509: certificate signed by unknown authority/
      await untilTold('stranger', unknown)
      write(directory, 'scrape-ca.crt', b.certPem)
      await untilTold('good', unknown)
      write(directory, 'scrape-ca.crt', ca.certPem)
      await untilTold('good', /^up $/)
    })

    await t.test('a new pair is served to new connections only, without any signal', async t => {
      use(good.replace('a.crt', 'b.crt').replace('a.key', 'b.key'))
      t.equal((await https('/-/ready')).fingerprint, fingerprintOf(b.certPem))
      t.equal((await https('/-/ready', { agent })).fingerprint, fingerprintOf(a.certPem))
      use(good)
    })

    await t.test('a broken pair fails every handshake, with nothing to fall back on', async t => {
      for (const pair of [
        'cert_file: a.crt\n  key_file: b.key',
        'cert_file: none\n  key_file: a.key',
      ]) {
        use(`tls_server_config:\n  ${pair}\n`)
        await t.rejects(https('/-/ready'), /alert internal error/)
        t.match(await https('/-/ready', { agent }), { status: 200 })
      }
      use(good)
      t.match(await https('/-/ready'), { status: 200 })
    })

    await t.test(
      'a broken web configuration fails handshakes, and requests on open connections',
      async t => {
        for (const text of ['a: [\n', `tls_server_config:\n${PAIR}  foo: 1\n`]) {
          use(text)
          await t.rejects(https('/-/ready'), /alert internal error/)
          t.match(await https('/-/ready', { agent }), { status: 500 })
        }
        use(good)
      },
    )

    await t.test('TLS cannot be taken away from the running process', async t => {
      use('')
      await t.rejects(https('/-/ready'), /alert internal error/)
      t.match(await exchange(port, 'GET / HTTP/1.0\r\n\r\n'), /^HTTP\/1\.0 400/)
      await untilReloaded(daemon, () => daemon.signal('SIGHUP'))
      await t.rejects(https('/-/ready'), /alert internal error/)
      use(good)
      t.match(await https('/-/ready'), { status: 200 })
    })

    await t.test('clients are verified as configured now', async t => {
      const policy = (type: string, more = '') => use(`${good}  client_auth_type: ${type}\n${more}`)
      const CA = '  client_ca_file: ca.crt\n'
      const own = { cert: client.certPem, key: client.keyPem }

      policy('RequireAndVerifyClientCert', CA)
      await t.rejects(https('/-/ready'))
      t.match(await https('/-/ready', own), { status: 200 })
      // A certificate for servers is none for clients.
      await t.rejects(https('/-/ready', { cert: b.certPem, key: b.keyPem }))

      policy('VerifyClientCertIfGiven', CA)
      t.match(await https('/-/ready'), { status: 200 })
      t.match(await https('/-/ready', own), { status: 200 })

      policy('RequireAndVerifyClientCert')
      await t.rejects(https('/-/ready', own))
      policy('RequireAndVerifyClientCert', '  client_ca_file: garbage\n')
      await t.rejects(https('/-/ready', own))
      policy('RequireClientCert')
      await t.rejects(https('/-/ready'))
      t.match(await https('/-/ready', own), { status: 200 })
      use(good)
    })

    await t.test('SIGTERM ends it well', async t => {
      await daemon.stop()
      t.equal(await daemon.ended, 'exit 0')
    })
  })

  await t.test(`the plain ${program.name} stays plain until its restart`, async t => {
    const { directory, ca } = layOut(t)
    const port = await freePort()
    write(directory, 'p.yml', 'global: {}\n')
    write(directory, 'web.yml', '# nothing yet\n')
    const more = ['--web.config.file=web.yml', '--web.enable-lifecycle']
    const daemon = start(t, program, directory, port, more)
    await untilPrinted(daemon, 'Server is ready')

    write(directory, 'web.yml', `tls_server_config:\n${PAIR}`)
    await untilReloaded(daemon, async () => {
      t.match(await probe({ port, path: '/-/reload', method: 'POST' }), { status: 200 })
    })
    await untilReloaded(daemon, () => daemon.signal('SIGHUP'))
    t.match(await probe({ port, path: '/-/ready' }), { status: 200 })
    await t.rejects(probe({ port, path: '/-/ready', ca: ca.certPem }))
    await daemon.stop()

    const restarted = start(t, program, directory, port, more)
    await untilPrinted(restarted, 'Server is ready')
    t.match(await probe({ port, path: '/-/ready', ca: ca.certPem }), { status: 200 })
    await restarted.stop()
  })
}

async function untilReloaded(daemon: Daemon, reload: () => unknown): Promise<void> {
  const loads = () => daemon.output().split('Completed loading').length
  const before = loads()
  await reload()
  await until(() => loads() > before, { what: 'the configuration is loaded again' })
}

function start(
  t: Test,
  program: PrometheusProgram,
  cwd: string,
  port: number,
  more: readonly string[],
): Daemon {
  const argv = [
    '--config.file=p.yml',
    `--web.listen-address=127.0.0.1:${port}`,
    '--storage.tsdb.path=data',
  ]
  const daemon = startDaemon({ argv: [...program.prometheus, ...argv, ...more], cwd })
  t.teardown(() => daemon.stop())
  return daemon
}
