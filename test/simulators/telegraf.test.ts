import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createCa, issue, write } from './certificates.ts'
import type { GoTlsConfig } from './go/server.ts'
import { loadText, startFakeServer, writeOnce } from './telegraf-support.ts'
import { createBuffer } from './telegraf/buffer.ts'
import { createClient } from './telegraf/client-tls.ts'
import { parseCommandLine } from './telegraf/command-line.ts'
import { findFiles } from './telegraf/config-file.ts'
import { substitute } from './telegraf/variables.ts'

const V1 = '[[outputs.influxdb]]\n'
const INPUT = '[[inputs.cpu]]\n'
const OLD_TLS = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' } as const

await t.test('variables: in the text up to 1.37, in strings only from 1.38 on', async t => {
  const environment = { B: 'true', URL: 'https://a:8086', EMPTY: '' }
  t.equal(
    substitute('$URL ${URL} ${NONE} $NONE', environment),
    'https://a:8086 https://a:8086 ${NONE} $NONE',
  )
  t.equal(
    substitute('${NONE:-d} ${EMPTY:-d} ${EMPTY-d} ${URL:-d}', environment),
    'd d  https://a:8086',
  )

  const bare = `${INPUT}${V1}skip_database_creation = \${B}\n`
  t.match(loadText(t, bare, { version: '1.37.0', environment }).outputs[0]?.options, {
    skip_database_creation: true,
  })
  t.throws(() => loadText(t, bare, { version: '1.38.0', env: 'strict', environment }), {
    message: /^loading config file .* failed: error parsing data: line 3: /,
  })
  const quoted = `${INPUT}${V1}urls = ["\${URL}"]\nhttp_headers = { X = "$B" }\n`
  for (const env of ['strict', 'non-strict'] as const) {
    t.match(loadText(t, quoted, { version: '1.38.0', env, environment }).outputs[0]?.options, {
      urls: ['https://a:8086'],
      http_headers: { X: 'true' },
    })
  }
})

await t.test('TLS options by version', async t => {
  const load = (version: string, options: string, plugin = 'outputs.influxdb') =>
    loadText(t, `${INPUT}\n[[${plugin}]]\n${options}\n`, { version })
  const ssl = 'ssl_ca = "/ca.pem"'
  const tls = 'tls_ca = "/ca.pem"'

  t.throws(() => load('1.6.4', tls), {
    message: /line 3: field corresponding to `tls_ca' is not defined in `\*influxdb\.InfluxDB'$/,
  })
  t.doesNotThrow(() => load('1.6.4', ssl))
  for (const version of ['1.7.0', '1.34.4']) {
    t.doesNotThrow(() => load(version, `${ssl}\n${tls}`))
  }
  t.throws(() => load('1.35.0', `${ssl}\nssl_key = "x"`), {
    message: new RegExp(
      'failed: plugin outputs\\.influxdb: line 3: configuration specified the fields \\["ssl_ca" "ssl_key"\\], but they were not used; ' +
        'this is either a typo or this config option does not exist in this version$',
    ),
  })
  t.doesNotThrow(() =>
    load('1.35.0', `${tls}\ninsecure_skip_verify = true\n[outputs.influxdb.tagpass]\na = ["b"]`),
  )
  t.throws(() => load('1.35.0', ssl, 'outputs.influxdb_v2'), /plugin outputs\.influxdb_v2/)
  t.throws(() => load('1.35.0', ssl, 'inputs.prometheus'), /plugin inputs\.prometheus/)
  t.throws(() => load('1.35.0', 'tls_cacert = "x"'), /\["tls_cacert"\]/)
  t.throws(
    () => load('1.7.0', '', 'outputs.influxdb_v2'),
    /Undefined but requested output: influxdb_v2/,
  )
  t.throws(() => load('1.38.0', '', 'outputs.bogus'), /undefined but requested output: bogus/)

  t.match(load('1.38.0', 'TLSCA = "/ca.pem"\nDatabase = "d"').outputs[0]?.options, {
    tls_ca: '/ca.pem',
    database: 'd',
  })
  t.throws(() => load('1.38.0', 'Tls_Ca = "/ca.pem"'), /\["Tls_Ca"\]/, 'not in any case')
})

await t.test('configurations: several files and blocks, forms, the stock file', async t => {
  const directory = t.testdir({
    'telegraf.conf': `${INPUT}[agent]\ninterval = "1s"\n[global_tags]\na = "b"\n`,
    'telegraf.d': {
      'b.conf': '[outputs.influxdb]\nurls = ["http://b"]\n',
      'a.conf': `\uFEFF${V1}urls = ["http://a"]\n${V1}`,
      'c.conf.bak': 'not [ TOML',
    },
  })
  const files = findFiles([join(directory, 'telegraf.conf')], [join(directory, 'telegraf.d')], {})
  t.same(
    files.map(file => file.slice(directory.length)),
    ['/telegraf.conf', '/telegraf.d/a.conf', '/telegraf.d/b.conf'],
  )
  const { loadConfig } = await import('./telegraf/config-file.ts')
  const config = loadConfig({ files, version: '1.38.0', env: 'strict', environment: {} })
  t.equal(config.outputs.length, 3)
  t.equal(config.agent.intervalMs, 1_000)
  t.same(config.tags, { a: 'b' })

  const stock = readFileSync(join(import.meta.dirname, 'telegraf/telegraf.conf'), 'utf8')
  for (const [version, env] of [
    ['1.6.4', 'non-strict'],
    ['1.39.0', 'strict'],
  ] as const) {
    t.equal(loadText(t, stock, { version, env }).inputs.length, 8)
  }
  t.throws(() => loadText(t, `${V1}${INPUT}[agent]\n[agent]\n`, { version: '1.38.0' }), /line 4/)
  t.throws(() =>
    loadText(t, Buffer.from(`${V1}`, 'utf16le').toString('latin1'), { version: '1.38.0' }),
  )
  t.throws(
    () => loadText(t, `${INPUT}[agent]\ninterval = "x"\n`, { version: '1.38.0' }),
    /invalid duration/,
  )
})

await t.test('flags by version', async t => {
  t.match(parseCommandLine(['-config', 'a', '--config=b', '-config-directory', 'd'], '1.38.0'), {
    command: 'run',
    files: ['a', 'b'],
    directories: ['d'],
  })
  t.equal(parseCommandLine(['config', 'check', '--config', 'a'], '1.32.0').command, 'check')
  t.equal(parseCommandLine(['config', 'check', '--config', 'a'], '1.31.3').command, 'sample')
  t.throws(() => parseCommandLine(['--once'], '1.14.0'), /not defined: -once/)
  t.throws(() => parseCommandLine(['--non-strict-env-handling'], '1.36.0'), /not defined/)
  t.equal(parseCommandLine(['--non-strict-env-handling'], '1.38.0').env, 'non-strict')
  t.throws(() => parseCommandLine(['bogus'], '1.38.0'), /unknown command "bogus"/)
})

await t.test('http:// to a TLS port: v1 keeps what it wrote, v2 drops it', async t => {
  const ca = createCa(t.testdir())
  const pair = issue(ca, 'localhost')
  const tls: GoTlsConfig = { pair, clientAuth: 'NoClientCert', clientCa: undefined }
  const { port } = await startFakeServer(t, tls)
  const urls = `urls = ["http://localhost:${port}"]\n`

  for (const version of ['1.6.4', '1.17.0', '1.18.0', '1.19.0', '1.38.0']) {
    const { kind, log } = await writeOnce(t, version, `${V1}${urls}`)
    t.equal(kind, 'kept', version)
    t.match(log, /^W! \[outputs\.influxdb\] When writing to .* creation failed/)
    t.match(
      log,
      /E! \[outputs\.influxdb\] When writing to \[http:.* 400 Bad Request|\]: 400 Bad Request/,
    )
  }
  for (const version of ['1.8.0', '1.12.0', '1.24.0', '1.38.0']) {
    const { kind, log } = await writeOnce(
      t,
      version,
      `[[outputs.influxdb_v2]]\nbucket = "b"\n${urls}`,
    )
    t.equal(kind, 'dropped', version)
    t.match(log, /failed to write metrics to b \(will be dropped: 400 Bad Request\)/)
  }
})

await t.test('https:// to a plain port: both keep what they wrote', async t => {
  const { port } = await startFakeServer(t)
  const urls = `urls = ["https://localhost:${port}"]\n`
  for (const plugin of ['influxdb', 'influxdb_v2']) {
    const { kind, log } = await writeOnce(t, '1.38.0', `[[outputs.${plugin}]]\n${urls}`)
    t.equal(kind, 'kept')
    t.match(log, 'first record does not look like a TLS handshake')
  }
})

await t.test(
  'other answers: JSON and empty bodies drop from 1.19 on, errors of the server do not',
  async t => {
    const server = await startFakeServer(t)
    const write = async (version: string, plugin: string, status: number, body = '', more = '') => {
      server.respond({ status, body })
      const urls = `urls = ["http://localhost:${server.port}"]\n`
      return (await writeOnce(t, version, `[[outputs.${plugin}]]\n${urls}${more}`)).kind
    }
    const missing = '{"error":"database not found: \\"telegraf\\""}'

    t.equal(await write('1.38.0', 'influxdb', 204), 'written')
    t.equal(await write('1.18.0', 'influxdb', 401, '{"error":"no"}'), 'kept')
    t.equal(await write('1.19.0', 'influxdb', 401, '{"error":"no"}'), 'dropped')
    t.equal(await write('1.19.0', 'influxdb', 400, ''), 'dropped')
    t.equal(await write('1.19.0', 'influxdb', 400, 'text'), 'kept')
    t.equal(await write('1.38.0', 'influxdb', 500, '{"error":"timeout"}'), 'kept')
    t.equal(await write('1.38.0', 'influxdb', 500, '{"error":"partial write: x"}'), 'dropped')
    t.equal(
      await write('1.38.0', 'influxdb', 404, missing),
      'kept',
      'it makes the database and tries again',
    )
    t.equal(
      await write('1.38.0', 'influxdb', 404, missing, 'skip_database_creation = true\n'),
      'dropped',
    )
    t.equal(await write('1.38.0', 'influxdb_v2', 401), 'kept')
    t.equal(await write('1.38.0', 'influxdb_v2', 503), 'kept')
    t.equal(await write('1.17.0', 'influxdb_v2', 404), 'kept')
    t.equal(await write('1.38.0', 'influxdb_v2', 404), 'dropped')
    t.match(server.requests.at(-1), { line: 'POST /api/v2/write?bucket=&org=', body: 'm n=1i 1\n' })
  },
)

await t.test('several URLs: in random order, and on to the next after an error', async t => {
  const [good, bad] = [await startFakeServer(t), await startFakeServer(t)]
  bad.respond({ status: 503 })
  const urls = `urls = ["http://localhost:${bad.port}", "http://localhost:${good.port}"]\n`
  const skip = 'skip_database_creation = true\n'
  // Each of the two is first about as often; 1 in 2^19 that this fails by chance.
  const kinds = async (version: string, block: string) => {
    const found = new Set<string>()
    for (let i = 0; i < 20; i++) found.add((await writeOnce(t, version, block)).kind)
    return [...found].toSorted()
  }

  t.same(await kinds('1.38.0', `${V1}${urls}${skip}`), ['written'])
  t.ok(bad.requests.length > 0 && bad.requests.length < 20)
  t.same(await kinds('1.32.0', `[[outputs.influxdb_v2]]\n${urls}`), ['written'])
  t.same(await kinds('1.38.0', `[[outputs.influxdb_v2]]\n${urls}`), ['kept', 'written'])
})

await t.test(
  'the certificate of the server: tls_ca alone, a SAN, TLS 1.2 from 1.24 on',
  async t => {
    const directory = t.testdir()
    const ca = createCa(directory)
    const serve = async (names: string, more: Partial<GoTlsConfig> = {}) => {
      const pair = issue(ca, `server-${names.length}-${Object.keys(more).length}`, { names })
      const { port } = await startFakeServer(t, {
        pair,
        clientAuth: 'NoClientCert',
        clientCa: undefined,
        ...more,
      })
      return `skip_database_creation = true\nurls = ["https://localhost:${port}"]\n`
    }
    const trusting = `tls_ca = "${ca.certFile}"\n`
    const good = await serve('DNS:localhost')

    t.equal((await writeOnce(t, '1.38.0', `${V1}${good}${trusting}`)).kind, 'written')
    t.match(
      (await writeOnce(t, '1.38.0', `${V1}${good}`)).log,
      'certificate signed by unknown authority',
    )
    t.equal(
      (await writeOnce(t, '1.38.0', `${V1}${good}insecure_skip_verify = true\n`)).kind,
      'written',
    )
    t.equal(
      (await writeOnce(t, '1.6.4', `${V1}${good}ssl_ca = "${ca.certFile}"\n`)).kind,
      'written',
    )
    const nameless = await writeOnce(t, '1.38.0', `${V1}${await serve('')}${trusting}`)
    t.match(nameless.log, 'certificate relies on legacy Common Name field, use SANs instead')
    const other = await serve('DNS:elsewhere')
    t.match(
      (await writeOnce(t, '1.38.0', `${V1}${other}${trusting}`)).log,
      'certificate is valid for elsewhere, not localhost',
    )
    const named = `${V1}${other}${trusting}tls_server_name = "elsewhere"\n`
    t.equal((await writeOnce(t, '1.38.0', named)).kind, 'written')

    const old = `${V1}${await serve('DNS:localhost', OLD_TLS)}${trusting}`
    t.equal((await writeOnce(t, '1.23.0', old)).kind, 'written')
    t.match((await writeOnce(t, '1.24.0', old)).kind, 'kept')
  },
)

await t.test('files of TLS that cannot be used', async t => {
  const directory = t.testdir()
  const ca = createCa(directory)
  const none = write(directory, 'none.pem', 'nothing\n')
  t.throws(() => createClient({ tls_ca: '/x.pem' }, '1.38.0'), {
    message: 'could not read certificate "/x.pem": open /x.pem: no such file or directory',
  })
  t.throws(() => createClient({ tls_ca: none }, '1.38.0'), /could not parse any PEM certificates/)
  t.throws(
    () => createClient({ tls_cert: ca.certFile, tls_key: '/x.key' }, '1.38.0'),
    /could not load private key/,
  )
  t.doesNotThrow(() => createClient({ tls_cert: ca.certFile, tls_key: '' }, '1.38.0'))
})

await t.test('a buffer that is full lets go of the oldest', async t => {
  const buffer = createBuffer(3)
  t.equal(buffer.add(['1', '2']), 0)
  t.equal(buffer.add(['3', '4', '5']), 2)
  t.same(buffer.batch(2), ['3', '4'])
  buffer.add(['6'])
  buffer.remove(['3', '4'])
  t.same(buffer.batch(10), ['5', '6'])
})
