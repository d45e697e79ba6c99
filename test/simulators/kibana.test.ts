import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type ConnectionOptions } from 'node:tls'
import t, { type Test } from 'tap'
import { until } from '../lab/until.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { createCa, issue, write } from './certificates.ts'
import { type Daemon, startDaemon, untilPrinted } from './daemon.ts'
import { type FakeElasticsearch, fakeElasticsearch } from './fake-elasticsearch.ts'
import { writeKeystore } from './kibana/keystore.ts'
import { exchange, fingerprintOf, keepAliveAgent, probe } from './probe.ts'

const KIBANA = join(import.meta.dirname, 'kibana/kibana-sim.ts')
const NODE_COMPILE_CACHE = join(tmpdir(), 'node-compile-cache')
const AVAILABLE = { status: { overall: { level: 'available' } } }

await t.test('Kibana is as well as its connection to Elasticsearch', async t => {
  const { directory, ca, a, elasticsearch, configure, run, port } = await layOut(t)
  const ask = (path: string, more: Partial<Parameters<typeof probe>[0]> = {}) =>
    probe({ port, path, ...more })
  const status = async () => {
    const { status, body } = await ask('/api/status')
    return `${status} ${body}`
  }
  await elasticsearch.stop()
  write(directory, 'es-ca.pem', ca.certPem)
  configure([`https://localhost:${elasticsearch.port}`], {
    'elasticsearch.ssl.certificateAuthorities': 'es-ca.pem',
    'server.publicBaseUrl': 'https://kibana.example:5601',
  })
  const daemon = run()

  await untilPrinted(daemon, 'Unable to retrieve version information')
  t.match(await status(), /^503 {"status":{"overall":{"level":"unavailable"}}}$/)
  t.match(await ask('/login'), { status: 503, body: 'Kibana server is not ready yet.' })

  await elasticsearch.serve(a)
  await untilPrinted(daemon, 'Kibana is now available')
  t.equal(await status(), `200 ${JSON.stringify(AVAILABLE)}`)
  t.match((await ask('/login')).body, 'https://kibana.example:5601')

  // An ES node whose scheme is not the one in elasticsearch.hosts.
  await elasticsearch.serve()
  await until(async () => (await status()).startsWith('503'), { what: 'a plain ES is noticed' })
  t.match(await status(), /"critical"/)

  await elasticsearch.serve(a)
  await until(async () => (await status()).startsWith('200'), { what: 'ES is back' })

  // The CA file was read once.
  const other = createCa(directory, 'other')
  const theirs = issue(other, 'theirs')
  write(directory, 'es-ca.pem', ca.certPem + other.certPem)
  await elasticsearch.serve(theirs)
  await until(async () => (await status()).startsWith('503'), { what: 'the new CA is unknown' })
  daemon.signal('SIGHUP')
  await untilPrinted(daemon, 'Reloaded Kibana configuration')
  t.match(await status(), /^503/)
  await daemon.stop()
  t.equal(await daemon.ended, 'exit 0')
  await untilPrinted(run(), 'Kibana is now available')
})

await t.test('what Kibana checks of the certificate of Elasticsearch', async t => {
  const { directory, ca, a, elasticsearch, configure, run } = await layOut(t)
  const wrongName = issue(ca, 'wrong', { names: 'DNS:elsewhere' })
  const stranger = issue(createCa(directory, 'stranger'), 'unknown')
  const problem = async (
    pair: typeof a | undefined,
    settings: Readonly<Record<string, unknown>>,
    hosts?: readonly string[],
  ) => {
    await elasticsearch.serve(pair)
    configure(hosts ?? [`https://localhost:${elasticsearch.port}`], {
      'elasticsearch.ssl.certificateAuthorities': [ca.certFile],
      ...settings,
    })
    const daemon = run()
    await untilPrinted(daemon, /Kibana is now available|Unable to retrieve/)
    await daemon.stop()
    return /Unable to retrieve[^.]*\. (.*)/.exec(daemon.output())?.[1]
  }
  const mode = (name: string) => ({ 'elasticsearch.ssl.verificationMode': name })

  t.equal(await problem(a, mode('full')), undefined)
  t.match(await problem(wrongName, {}), /does not match certificate's altnames/)
  t.equal(await problem(wrongName, mode('certificate')), undefined)
  t.match(await problem(stranger, mode('certificate')), /unable to (verify|get)/)
  t.equal(await problem(stranger, mode('none')), undefined)
  t.match(await problem(a, { 'elasticsearch.password': 'wrong' }), /^401/)
  t.match(await problem(undefined, {}), /wrong version number|EPROTO/)
  t.equal(
    await problem(undefined, {}, ['https://localhost:1', `http://localhost:${elasticsearch.port}`]),
    undefined,
    'a scheme for each host',
  )
})

await t.test('SIGHUP exchanges the certificate from 8.11.2 on', async t => {
  const { directory, ca, a, b, configure, run, elasticsearch, port } = await layOut(t)
  const hosts = [`http://localhost:${elasticsearch.port}`]
  const agent = keepAliveAgent()
  t.teardown(() => agent.destroy())
  const served = async () =>
    (await probe({ port, ca: ca.certPem, path: '/api/status' })).fingerprint
  const use = (name: string, more: Readonly<Record<string, unknown>> = {}) =>
    configure(hosts, {
      'server.ssl': { enabled: true, certificate: `${name}.crt`, key: `${name}.key` },
      ...more,
    })
  const hangUp = async (daemon: Daemon) => {
    const before = daemon.output().split('Reloaded Kibana').length
    daemon.signal('SIGHUP')
    const done = () => daemon.output().split('Reloaded Kibana').length > before
    await until(done, { what: 'the reload is over' })
  }

  use('a')
  const daemon = run({}, '8.11.2')
  await untilPrinted(daemon, 'Kibana is now available')
  t.equal(await served(), fingerprintOf(a.certPem))
  const kept = () => probe({ port, ca: ca.certPem, path: '/api/status', agent })
  t.equal((await kept()).fingerprint, fingerprintOf(a.certPem))
  t.equal(
    await exchange(port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n').catch(() => ''),
    '',
    'plain http',
  )

  use('b')
  t.equal(await served(), fingerprintOf(a.certPem), 'files are not watched')
  await hangUp(daemon)
  t.equal(await served(), fingerprintOf(b.certPem))
  t.equal((await kept()).fingerprint, fingerprintOf(a.certPem), 'connections keep theirs')
  // Content at the same path.
  write(directory, 'b.crt', a.certPem)
  write(directory, 'b.key', a.keyPem)
  await hangUp(daemon)
  t.equal(await served(), fingerprintOf(a.certPem))

  configure(hosts, { 'server.ssl.enabled': false })
  await hangUp(daemon)
  t.match(
    daemon.output(),
    '[WARN ][http.server.Kibana] Incompatible TLS config change detected - TLS cannot be toggled without a full server reboot.',
  )
  t.equal(await served(), fingerprintOf(a.certPem))
  await daemon.stop()

  use('a')
  const older = run({}, '8.11.1')
  await untilPrinted(older, 'Kibana is now available')
  use('ca')
  await hangUp(older)
  t.equal(await served(), fingerprintOf(a.certPem))
  await older.stop()
})

await t.test('SIGHUP with a file that cannot be used ends Kibana', async t => {
  const { directory, configure, run, elasticsearch } = await layOut(t)
  const hosts = [`http://localhost:${elasticsearch.port}`]
  const use = (certificate: string, key: string) =>
    configure(hosts, { 'server.ssl': { enabled: true, certificate, key } })
  const ends = async (version: string, spoil: () => void) => {
    use('a.crt', 'a.key')
    const daemon = run({}, version)
    await untilPrinted(daemon, 'Kibana is now available')
    spoil()
    daemon.signal('SIGHUP')
    t.equal(await daemon.ended, 'exit 1')
    return daemon.output()
  }
  const spoilYaml = () => write(directory, 'kibana.yml', 'server.port: 1\nserver.port: 2\n')

  t.match(await ends('8.15.0', spoilYaml), / FATAL {2}Error: duplicated mapping key/)
  t.match(await ends('8.0.0', spoilYaml), / FATAL {2}Error: duplicated mapping key/)
  t.match(await ends('8.15.0', () => use('none.crt', 'a.key')), /ENOENT/)
  t.match(await ends('8.15.0', () => use('b.crt', 'a.key')), /key values mismatch/)
})

await t.test('the keystore is part of the configuration, read at the start', async t => {
  const { directory, configure, run, elasticsearch } = await layOut(t)
  const path = join(directory, 'kibana.keystore')
  const hosts = [`http://localhost:${elasticsearch.port}`]
  const outcome = async () => {
    const daemon = run()
    await Promise.race([untilPrinted(daemon, /now available|Unable/).catch(() => {}), daemon.ended])
    await daemon.stop()
    return daemon.output()
  }
  configure(hosts, { 'elasticsearch.password': 'of the file' })
  t.match(await outcome(), /Unable to retrieve.*401/)
  writeKeystore(path, { 'elasticsearch.password': 'secret' }, {})
  t.match(await outcome(), 'Kibana is now available')
  writeKeystore(path, { 'elasticsearch.password': 12345 }, {})
  t.match(
    await outcome(),
    '[config validation of [elasticsearch].password]: expected value of type [string] but got [number]',
  )
})

await t.test('roles are kept in Elasticsearch, for who may and sends the header', async t => {
  const { configure, run, elasticsearch, port } = await layOut(t)
  configure([`http://localhost:${elasticsearch.port}`])
  await untilPrinted(run(), 'Kibana is now available')
  const role = {
    elasticsearch: { indices: [{ names: ['metricbeat-*'], privileges: ['read'] }] },
    kibana: [{ spaces: ['default'], feature: { discover: ['read'], dashboard: ['read'] } }],
  }
  const basic = `Basic ${Buffer.from(elasticsearch.credentials).toString('base64')}`
  const call = async (
    method: string,
    headers: Readonly<Record<string, string>>,
    body?: unknown,
    name = 'metricbeat_reader',
  ) => {
    const answer = await fetch(`http://127.0.0.1:${port}/api/security/role/${name}`, {
      method,
      headers: { ...headers, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    return { status: answer.status, body: await answer.text() }
  }
  const xsrf = { 'kbn-xsrf': 'true', authorization: basic }

  t.match(await call('PUT', { authorization: basic }, role), {
    status: 400,
    body: 'Request must contain a kbn-xsrf header.',
  })
  t.match(await call('PUT', { 'kbn-xsrf': 'true' }, role), { status: 401 })
  t.match(await call('PUT', { ...xsrf, authorization: 'Basic eDp5' }, role), { status: 401 })
  t.match(await call('PUT', xsrf, { kibana: [] }), { status: 400, body: /elasticsearch/ })
  t.match(await call('GET', { authorization: basic }), { status: 404 })
  t.match(await call('PUT', xsrf, role), { status: 204, body: '' })
  t.match(elasticsearch.roles().get('metricbeat_reader'), {
    applications: [{ application: 'kibana-.kibana', resources: ['space:default'] }],
  })
  const { status, body } = await call('GET', { authorization: basic })
  t.equal(status, 200)
  t.match(JSON.parse(body), { name: 'metricbeat_reader', ...role })

  const details = await fetch(`http://127.0.0.1:${port}/api/status`, {
    headers: { authorization: basic },
  })
  t.match(await details.json(), { version: { number: '8.15.0' }, status: { core: {} } })
  const refused = await fetch(`http://127.0.0.1:${port}/api/status`, {
    headers: { authorization: 'Basic eDp5' },
  })
  t.equal(refused.status, 401)
})

await t.test('listeners of versions and settings', async t => {
  const { ca, configure, run, elasticsearch, port } = await layOut(t)
  const redirected = await freePort()
  const ssl = {
    enabled: true,
    certificate: 'a.crt',
    key: 'a.key',
    redirectHttpFromPort: redirected,
  }
  configure([`http://localhost:${elasticsearch.port}`], { 'server.ssl': ssl })
  const protocols = (options: ConnectionOptions = {}) =>
    new Promise<string>(resolve => {
      const socket = connect({
        port,
        host: '127.0.0.1',
        ca: ca.certPem,
        servername: 'localhost',
        ...options,
      })
      socket.once('secureConnect', () => {
        resolve(`${socket.getProtocol()} ${String(socket.alpnProtocol)}`)
        socket.destroy()
      })
      socket.once('error', () => resolve('refused'))
    })
  const both = { ALPNProtocols: ['h2', 'http/1.1'] }
  const old = {
    maxVersion: 'TLSv1.1',
    minVersion: 'TLSv1',
    ciphers: 'DEFAULT:@SECLEVEL=0',
  } as const

  const eight = run({}, '8.15.0')
  await untilPrinted(eight, 'Kibana is now available')
  t.equal(await protocols(both), 'TLSv1.3 http/1.1')
  const plain = await probe({ port: redirected, path: '/app?x=1' })
  t.match(plain, { status: 302, headers: { location: `https://127.0.0.1:${port}/app?x=1` } })
  await eight.stop()

  const nine = run({}, '9.0.0')
  await untilPrinted(nine, 'Kibana is now available')
  t.equal(await protocols(both), 'TLSv1.3 h2')
  t.equal(await protocols(old), 'refused')
  t.match(await probe({ port, path: '/api/status', ca: ca.certPem }), { status: 200 })

  const second = run({}, '9.0.0')
  t.equal(await second.ended, 'exit 1')
  t.match(
    second.output(),
    `Port ${port} is already in use. Another instance of Kibana may be running!`,
  )
})

async function layOut(t: Test) {
  const directory = t.testdir()
  const ca = createCa(directory)
  const [a, b] = [issue(ca, 'a'), issue(ca, 'b')]
  const elasticsearch: FakeElasticsearch = await fakeElasticsearch()
  t.teardown(() => elasticsearch.stop())
  const port = await freePort()
  const configure = (hosts: readonly string[], more: Readonly<Record<string, unknown>> = {}) => {
    const settings = {
      'server.port': port,
      'server.host': '127.0.0.1',
      'elasticsearch.hosts': hosts,
      'elasticsearch.username': 'user',
      'elasticsearch.password': '${ES_PASSWORD}',
      'elasticsearch.healthCheck.delay': 100,
      ...more,
    }
    // JSON is YAML.
    const lines = Object.entries(settings).map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    write(directory, 'kibana.yml', lines.join('\n'))
  }
  const run = (env: Readonly<Record<string, string>> = {}, SIM_VERSION = '8.15.0') => {
    const daemon = startDaemon({
      argv: [process.execPath, KIBANA],
      env: {
        SIM_VERSION,
        KBN_PATH_CONF: directory,
        NODE_COMPILE_CACHE,
        ES_PASSWORD: 'secret',
        ...env,
      },
      // Relative paths are relative to this.
      cwd: directory,
    })
    t.teardown(() => daemon.stop())
    return daemon
  }
  return { directory, ca, a, b, elasticsearch, port, configure, run }
}
