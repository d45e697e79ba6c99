// What OSS influxd 1.6.7 does: the simulator is held to it in influxdb.test.ts, the real program in
// test/lab/real-programs.test.ts.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { runCommand } from '../lab/command.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { createCa, encryptKey, issue, write } from './certificates.ts'
import { type Daemon, startDaemon, untilPrinted } from './daemon.ts'
import { exchange, fingerprintOf, keepAliveAgent, probe, type ProbeOptions } from './probe.ts'

export interface InfluxdProgram {
  readonly name: string
  readonly argv: readonly string[]
}

const ON = 'https-enabled = true\n'
/** Files in which HTTPS is on. */
const ENABLED: readonly (readonly [string, string])[] = [
  ['plain', `[http]\n  ${ON}`],
  ['other case', '[HTTP]\n  HTTPS-Enabled = true\n'],
  ['inline table', 'http = { https-enabled = true }\n'],
  ['quoted', '["http"]\n"https-enabled" = true\n'],
  ['dotted', 'http.https-enabled = true\n'],
  ['spaces', '[ http ]\n\thttps-enabled=true # comment\n'],
  ['mark and CRLF', '\uFEFF[http]\r\n  https-enabled = true\r\n'],
]
/** Files in which it is not, and nobody says so. */
const IGNORED: readonly (readonly [string, string])[] = [
  ['unknown key', '[http]\nhttps_enabled = true\n'],
  ['unknown table', '[https]\nhttps-enabled = true\n'],
  ['cluster', '[cluster]\nhttps-enabled = true\n'],
]
/** Files that are refused, with what `config` says after its name. */
const REFUSED: readonly (readonly [string, string | RegExp])[] = [
  [
    `[http]\n${ON}[http]\nrealm = "x"\n`,
    "parse config: toml: line 3: Key 'http' has already been defined.",
  ],
  [
    `[http]\n${ON}${ON}`,
    `parse config: toml: line 3 (last key "http.https-enabled"): Key 'http.https-enabled' has already been defined.`,
  ],
  [
    '[http]\nhttps-enabled = "true"\n',
    'parse config: toml: line 2 (last key "http.https-enabled"): incompatible types: TOML value has type string; destination has type boolean',
  ],
  [
    '[http]\nhttps-certificate = 1\n',
    'parse config: toml: line 2 (last key "http.https-certificate"): incompatible types: TOML value has type int64; destination has type string',
  ],
  [
    'http = 3\n',
    'parse config: toml: line 1 (last key "http"): type mismatch for httpd.Config: expected table but found int64',
  ],
  ['[coordinator]\nwrite-timeout = "abc"\n', 'parse config: time: invalid duration "abc"'],
  ['[http\n', /^parse config: toml: line [12]: /],
  [
    '[coordinator]\nwrite-timeout = "10s"\n[cluster]\nhttps-enabled = true\n',
    "parse config: toml: line 3: Key 'coordinator' has already been defined.",
  ],
  [
    '[tls]\nmin-version = "tls1.3"\n',
    'unknown tls version: "tls1.3". available versions: SSL3.0, TLS1.0, TLS1.1, TLS1.2. To generate a valid configuration file run `influxd config > influxdb.generated.conf`',
  ],
]

export async function testInfluxd(t: Test, program: InfluxdProgram): Promise<void> {
  const run = async (argv: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const [command = '', ...rest] = [...program.argv, ...argv]
    return await runCommand(command, rest, { env: { HOME: '/nonexistent', ...env } })
  }

  await t.test(`the configuration of the ${program.name}`, async t => {
    const directory = t.testdir()
    const config = (text: string, env: Readonly<Record<string, string>> = {}) =>
      run(['config', '-config', write(directory, 'influxdb.conf', text)], env)

    for (const [name, text] of ENABLED) {
      t.match(await config(text), { code: 0, stdout: /^ {2}https-enabled = true$/m }, name)
    }
    for (const [name, text] of IGNORED) {
      t.match(await config(text), { code: 0, stdout: /^ {2}https-enabled = false$/m }, name)
    }
    for (const [text, error] of REFUSED) {
      const { code, stderr } = await config(text)
      t.equal(code, 1)
      const said = stderr.slice(stderr.indexOf('config: ') + 'config: '.length).trimEnd()
      if (typeof error === 'string') t.equal(said, error)
      else t.match(said, error)
    }
    t.match(
      (await config('[cluster]\n')).stderr,
      'deprecated config option [cluster] replaced with [coordinator]',
    )
  })

  await t.test(`the environment beats the file for the ${program.name}`, async t => {
    const file = write(t.testdir(), 'influxdb.conf', `[http]\n${ON}`)
    const config = (env: Readonly<Record<string, string>>) => run(['config', '-config', file], env)

    t.match(await config({ INFLUXDB_HTTP_HTTPS_ENABLED: 'false' }), {
      stdout: /^ {2}https-enabled = false$/m,
    })
    t.match(await config({ INFLUXDB_HTTP_HTTPS_ENABLED: '' }), {
      stdout: /^ {2}https-enabled = true$/m,
    })
    t.match(await config({ INFLUXDB_HTTP_HTTPS_CERTIFICATE: '/x' }), {
      stdout: /^ {2}https-certificate = "\/x"$/m,
    })
    t.match(await config({ INFLUXDB_HTTP_HTTPS_ENABLED: 'foo' }), {
      code: 1,
      stderr: `config: apply env config: failed to apply INFLUXDB_HTTP_HTTPS_ENABLED to HTTPSEnabled using type bool and value 'foo': strconv.ParseBool: parsing "foo": invalid syntax`,
    })
  })

  await t.test(`the command line of the ${program.name}`, async t => {
    t.match(await run(['version']), { code: 0, stdout: /^InfluxDB v1\.6\.7/ })
    t.match(await run(['config', '-config', 'none.conf']), {
      code: 1,
      stderr:
        'Merging with configuration at: none.conf\nconfig: parse config: open none.conf: no such file or directory\n',
    })
    t.match(await run(['-config', 'none.conf']), {
      code: 1,
      stderr: 'run: parse config: open none.conf: no such file',
    })
    t.match(await run(['-foo']), { code: 1, stderr: 'run: flag provided but not defined: -foo' })
    t.match(await run(['foo']), { code: 1, stderr: 'unknown command "foo"' })
  })

  await t.test(`a ${program.name} whose pair cannot be used does not start`, async t => {
    const { directory, node } = await layOut(t)
    const start = async (http: string) => {
      const { stderr, code } = await run(['-config', node(http)])
      t.equal(code, 1)
      return stderr.slice(stderr.lastIndexOf('run: ')).trimEnd()
    }
    const pair = (cert: string, key: string) =>
      start(
        `${ON}https-certificate = "${join(directory, cert)}"\nhttps-private-key = "${join(directory, key)}"\n`,
      )

    t.equal(
      await start(ON),
      'run: open server: open service: open /etc/ssl/influxdb.pem: no such file or directory',
    )
    t.equal(
      await start(`${ON}https-certificate = "relative.pem"\n`),
      'run: open server: open service: open relative.pem: no such file or directory',
    )
    t.equal(
      await pair('a.crt', 'b.key'),
      'run: open server: open service: tls: private key does not match public key',
    )
    t.equal(
      await pair('a.crt', 'rsa.key'),
      'run: open server: open service: tls: private key type does not match public key type',
    )
    t.equal(
      await pair('a.crt', 'encrypted.key'),
      'run: open server: open service: tls: failed to parse private key',
    )
    t.equal(
      await pair('ca-first.crt', 'a.key'),
      'run: open server: open service: tls: private key does not match public key',
    )
  })

  await t.test(`TLS and SIGHUP of the running ${program.name}`, async t => {
    const { directory, port, ca, a, b, node } = await layOut(t)
    const bundle = write(directory, 'served.pem', a.keyPem + a.certPem)
    const daemon = start(t, program, node(`${ON}https-certificate = "${bundle}"\n`))
    await untilPrinted(daemon, 'Listening for signals')
    const https = (path: string, more: Partial<ProbeOptions> = {}) =>
      probe({ port, path, ca: ca.certPem, ...more })

    t.match(await https('/ping'), {
      status: 204,
      fingerprint: fingerprintOf(a.certPem),
      headers: { 'x-influxdb-build': 'OSS', 'x-influxdb-version': /^1\.6\.7/ },
    })
    t.match(await https('/health'), { status: 404 })
    t.equal(
      await exchange(port, 'GET /ping HTTP/1.1\r\nHost: x\r\n\r\n'),
      'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n',
    )

    writeFileSync(bundle, b.keyPem + b.certPem)
    t.equal((await https('/ping')).fingerprint, fingerprintOf(a.certPem), 'read once')

    daemon.signal('SIGHUP')
    t.equal(await daemon.ended, 'SIGHUP')
    const restarted = start(t, program, node(`${ON}https-certificate = "${bundle}"\n`))
    await untilPrinted(restarted, 'Listening for signals')
    t.equal((await https('/ping')).fingerprint, fingerprintOf(b.certPem))
    await restarted.stop()
    t.equal(await restarted.ended, 'exit 0')
  })

  await t.test(`points written to the ${program.name} are counted`, async t => {
    const { port, node } = await layOut(t)
    const daemon = start(t, program, node(''))
    await untilPrinted(daemon, 'Listening for signals')
    const agent = keepAliveAgent()
    t.teardown(() => agent.destroy())
    const query = async (q: string, method = 'GET') =>
      await probe({ port, method, path: `/query?db=d&q=${encodeURIComponent(q)}` })
    const write = (database: string, body: string) =>
      probe({ port, method: 'POST', path: `/write?db=${database}`, body })

    t.match(await write('d', 'cpu v=1'), {
      status: 404,
      body: '{"error":"database not found: \\"d\\""}\n',
    })
    t.match(await query('CREATE DATABASE d', 'POST'), {
      status: 200,
      body: '{"results":[{"statement_id":0}]}\n',
    })
    t.match(await query('SHOW DATABASES'), { body: '"columns":["name"],"values":[["d"]]' })
    t.match(await write('d', 'cpu,h=a v=1 1\ncpu,h=b v=2,w="x y" 1\ncpu,h=b v=3 1\n'), {
      status: 204,
    })
    t.match(await query('SELECT count(v) FROM cpu'), {
      body: '{"results":[{"statement_id":0,"series":[{"name":"cpu","columns":["time","count"],"values":[["1970-01-01T00:00:00Z",2]]}]}]}\n',
    })
    t.match(await query('SELECT count(v) FROM nothing'), {
      body: '{"results":[{"statement_id":0}]}\n',
    })
    t.match(await write('d', 'cpu'), {
      status: 400,
      body: `{"error":"unable to parse 'cpu': missing fields"}\n`,
    })
    await daemon.stop()
  })
}

/** A directory with certificates, and a writer of configuration files for a server in it. */
export async function layOut(t: Test) {
  const directory = t.testdir()
  const ca = createCa(directory)
  const a = issue(ca, 'a')
  const b = issue(ca, 'b')
  issue(ca, 'rsa', { rsa: true })
  encryptKey(a, join(directory, 'encrypted.key'))
  write(directory, 'ca-first.crt', ca.certPem + a.certPem)
  const port = await freePort()
  const data = (name: string) => JSON.stringify(join(directory, 'data', name))
  const node = (http: string) =>
    write(
      directory,
      'influxdb.conf',
      `bind-address = "127.0.0.1:0"\n[meta]\ndir = ${data('meta')}\n[data]\ndir = ${data('data')}\n` +
        `wal-dir = ${data('wal')}\n[monitor]\nstore-enabled = false\n` +
        `[http]\nbind-address = "127.0.0.1:${port}"\n${http}`,
    )
  return { directory, port, ca, a, b, node }
}

export function start(
  t: Test,
  program: InfluxdProgram,
  config: string,
  env: Readonly<Record<string, string>> = {},
): Daemon {
  const daemon = startDaemon({ argv: [...program.argv, '-config', config], env })
  t.teardown(() => daemon.stop())
  return daemon
}
