import { mkdirSync, readFileSync } from 'node:fs'
import { X509Certificate } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { until } from '../lab/until.ts'
import { freePort } from '../sandbox/sandbox.ts'
import { createCa, issue, type TestCertificate, write } from './certificates.ts'
import { startDaemon, untilPrinted } from './daemon.ts'
import { type FakeElasticsearch, fakeElasticsearch } from './fake-elasticsearch.ts'
import { createConnection } from './metricbeat/connection.ts'
import { connectTo } from './metricbeat/output.ts'
import { createQueue, type Event } from './metricbeat/queue.ts'
import { openTls, tlsSettingsOf } from './metricbeat/tls.ts'
import { isSettings, parseConfig, type Settings } from './metricbeat/ucfg.ts'

const METRICBEAT = join(import.meta.dirname, 'metricbeat/metricbeat-sim.ts')
const NODE_COMPILE_CACHE = join(tmpdir(), 'node-compile-cache')
const ESTABLISHED = /Connection to backoff\(elasticsearch\([^)]*\)\) established/

await t.test(
  'the queue is bounded; what a batch has left is only lowered by publishing',
  async t => {
    const event = (sequence: number): Event => ({ sequence, body: {} })
    const queue = createQueue({ capacity: 3, batchSize: 2, maxRetries: 1 })

    t.same(
      [1, 2, 3, 4].map(n => queue.offer(event(n))),
      [true, true, true, false],
    )
    let batch = await queue.take()
    for (let i = 0; i < 5; i++) {
      queue.cancelled(batch)
      batch = await queue.take()
    }
    t.match(batch, { events: [{ sequence: 1 }, { sequence: 2 }], ttl: 2 })
    t.equal(queue.offer(event(5)), false, 'what is on its way has its place still')

    t.same(queue.numbers(), [1, 2, 3])
    queue.done(batch, { left: batch.events.slice(1), refused: 0 })
    t.equal(queue.size(), 2)
    t.same(queue.numbers(), [2, 3])
    const again = await queue.take()
    t.match(again, { events: [{ sequence: 2 }], ttl: 1 })
    queue.done(again, { left: again.events, refused: 0 })
    t.same(queue.counters(), {
      published: 3,
      queueFull: 2,
      acked: 1,
      failed: 2,
      dropped: 1,
      retry: 1,
    })
    t.same(queue.numbers(), [3], 'what was given up is not in it')
    t.match(await queue.take(), { events: [{ sequence: 3 }] })

    const endless = createQueue({ capacity: 1, batchSize: 1, maxRetries: -1 })
    endless.offer(event(1))
    for (let i = 0; i < 9; i++) {
      const next = await endless.take()
      endless.done(next, { left: next.events, refused: 0 })
    }
    t.equal(endless.counters().dropped, 0)
  },
)

await t.test(
  'a scheme that does not fit fills the queue; nothing is lost until it is full',
  async t => {
    const { a, elasticsearch, configure, run, stats, sequences } = await layOut(t)
    configure({ hosts: [`https://localhost:${elasticsearch.port}`] }, { 'queue.mem.events': 6 })
    const daemon = run()

    await untilPrinted(
      daemon,
      /Failed to connect to backoff\(elasticsearch\(https:[^)]*\)\): Get \\"https:[^"]*\\": http: server gave HTTP response to HTTPS client/,
    )
    await untilPrinted(daemon, 'Attempting to reconnect to backoff')
    await until(async () => (await stats()).pipeline.events.failed > 0, {
      what: 'the queue is full',
    })
    t.match(await stats(), { output: { events: { dropped: 0, failed: 0, active: 6 } } })
    await elasticsearch.serve(a)
    await until(() => sequences().includes(6), { what: 'the queue is sent' })
    t.same(sequences().slice(0, 6), [1, 2, 3, 4, 5, 6])
    await until(() => sequences().length > 7, { what: 'new events arrive' })
    t.ok((sequences()[6] ?? 0) > 7, 'those that found no place are missing')

    // An old connection to what is plain now: the next one fails, and is made again and again.
    const before = sequences().length
    await elasticsearch.serve()
    await until(async () => (await stats()).output.events.active >= 3, { what: 'events wait' })
    await elasticsearch.serve(a)
    await until(() => sequences().length > before + 3, { what: 'they arrive' })
    await daemon.stop()
    t.equal(await daemon.ended, 'exit 0')
    t.match(daemon.output(), '"message":"Total metrics"')

    const next = Math.max(...sequences())
    const second = run()
    await until(() => Math.max(...sequences()) > next, { what: 'the numbering goes on' })
    t.equal(new Set(sequences()).size, sequences().length)
    second.signal('SIGHUP')
    t.equal(await second.ended, 'exit 0', 'SIGHUP is an end like any other')
  },
)

await t.test('events that Elasticsearch does not take are tried again, or dropped', async t => {
  const { elasticsearch, configure, run, stats, sequences } = await layOut(t)
  const numberOf = (document: Readonly<Record<string, unknown>>) =>
    Number(/\d+/.exec(JSON.stringify(document['sim']))?.[0])
  const failed = new Set<number>()
  elasticsearch.itemStatus(document => {
    const number = numberOf(document)
    if (number === 2) return 400
    if (number !== 3 || failed.has(number)) return 201
    failed.add(number)
    return 429
  })
  configure({ hosts: [`localhost:${elasticsearch.port}`], max_retries: 1, bulk_max_size: 5 })
  run()

  await until(() => sequences().includes(3) && sequences().length > 4, { what: 'events arrive' })
  t.notOk(sequences().includes(2), 'never taken')
  t.equal((await stats()).output.events.dropped, 1)
  elasticsearch.failBulk(503)
  await until(async () => (await stats()).output.events.dropped > 2, {
    what: 'retries are used up',
  })
  elasticsearch.failBulk(undefined)
  const before = sequences().length
  await until(() => sequences().length > before, { what: 'it goes on' })
  const { output, pipeline } = await stats()
  const missing = Math.max(...sequences()) - sequences().length
  t.ok(missing >= output.events.dropped - 1 && missing > 2, `${missing} missing`)
  t.equal(pipeline.events.failed, 0)
})

await t.test(
  'each host has its own scheme, and others take the events of one that fails',
  async t => {
    const { a, elasticsearch, configure, run, sequences } = await layOut(t)
    const secure = await fakeElasticsearch(a)
    t.teardown(() => secure.stop())
    configure({
      protocol: 'https',
      hosts: [`http://localhost:${elasticsearch.port}`, `localhost:${secure.port}`, 'localhost:1'],
      bulk_max_size: 1,
    })
    const daemon = run()
    const documents = () => elasticsearch.documents().length + secure.documents().length

    await untilPrinted(daemon, `elasticsearch(http://localhost:${elasticsearch.port})) established`)
    await untilPrinted(daemon, `elasticsearch(https://localhost:${secure.port})) established`)
    await untilPrinted(
      daemon,
      'Get \\"https://localhost:1\\": dial tcp localhost:1: connect: connection refused',
    )
    await until(() => documents() > 6, { what: 'events arrive' })
    const all = [...sequences(), ...sequencesOf(secure)].toSorted((x, y) => x - y)
    t.same(all.slice(0, 4), [1, 2, 3, 4])
  },
)

await t.test('what Metricbeat checks of a certificate', async t => {
  const { directory, ca, a, elasticsearch } = await layOut(t)
  const elsewhere = issue(ca, 'elsewhere', { names: 'DNS:elsewhere' })
  const nameless = issue(ca, 'localhost', { names: '' })
  const stranger = issue(createCa(directory, 'strange'), 'stranger')
  const url = `https://localhost:${elasticsearch.port}`
  const credentials = { username: 'user', password: 'secret', apiKey: undefined }
  const problem = async (pair: TestCertificate, more: Settings) => {
    await elasticsearch.serve(pair)
    const ssl = { certificate_authorities: [ca.certFile], ...more }
    const tls = openTls(tlsSettingsOf({ ssl }, { version: '8.15.0', env: {} }))
    const connection = createConnection({ url, credentials, timeoutMs: 10_000 }, tls)
    t.teardown(() => connection.close())
    try {
      await connectTo(connection)
      return undefined
    } catch (error) {
      return error instanceof Error ? error.message.replace(`Get "${url}": `, '') : ''
    }
  }
  const withMode = (verification_mode: string) => ({ verification_mode })
  const unknown = 'x509: certificate signed by unknown authority'

  t.equal(await problem(a, withMode('full')), undefined)
  t.equal(await problem(elsewhere, {}), 'x509: certificate is valid for elsewhere, not localhost')
  t.equal(await problem(elsewhere, withMode('certificate')), undefined)
  t.equal(await problem(nameless, withMode('full')), undefined, 'the common name counts')
  t.match(
    await problem(nameless, withMode('strict')),
    'x509: certificate relies on legacy Common Name',
  )
  t.equal(await problem(stranger, withMode('certificate')), unknown)
  t.equal(await problem(stranger, withMode('none')), undefined)
  t.equal(await problem(a, { certificate_authorities: [] }), unknown, 'the roots of the system')

  const digest = new X509Certificate(ca.certPem).fingerprint256.replaceAll(':', '')
  const pinned = { certificate_authorities: [], ca_trusted_fingerprint: digest }
  t.equal(await problem(a, pinned), unknown, 'the CA is not sent along')
  t.equal(await problem({ ...a, certPem: a.certPem + ca.certPem }, pinned), undefined)
})

await t.test('whether certificates are read again, by version and setting', t => {
  const reading = (version: string, ssl: Settings) => {
    const settings = tlsSettingsOf({ ssl: parsed(ssl) }, { version, env: {} })
    return [settings?.reloadEveryMs, settings?.restartEveryMs]
  }
  const restart = { 'restart_on_cert_change.enabled': true }
  const reload = { 'certificate_reload.enabled': true }

  t.same(reading('8.7.1', { ...restart, ...reload }), [undefined, undefined])
  t.same(reading('8.15.0', { ...restart, ...reload }), [undefined, 60_000])
  t.same(reading('8.15.0', { 'restart_on_cert_change.period': '1s' }), [undefined, undefined])
  t.same(reading('9.3.5', reload), [undefined, undefined])
  t.same(reading('9.3.6', reload), [5_000, undefined])
  t.same(reading('9.3.6', { x: 1 }), [undefined, undefined])
  t.same(reading('9.5.0', restart), [5_000, undefined])
  t.same(reading('9.5.0', { 'certificate_reload.enabled': false }), [undefined, undefined])
  t.end()
})

await t.test(
  'an exchanged CA is seen at a restart, or at a handshake of versions that read it again',
  async t => {
    const { directory, ca, a, elasticsearch, configure, run } = await layOut(t)
    const other = createCa(directory, 'other')
    const theirs = issue(other, 'theirs')
    const file = join(directory, 'trust.pem')
    const start = async (version: string, ssl: Readonly<Record<string, unknown>>) => {
      write(directory, 'trust.pem', ca.certPem)
      await elasticsearch.serve(a)
      const trust = { certificate_authorities: [file] }
      configure({ hosts: [`https://localhost:${elasticsearch.port}`], ssl: { ...trust, ...ssl } })
      const daemon = run(version)
      await untilPrinted(daemon, ESTABLISHED)
      // The CA first, and then the leaf.
      write(directory, 'trust.pem', ca.certPem + other.certPem)
      return daemon
    }
    const arrives = async () => {
      const before = elasticsearch.documents().length
      await until(() => elasticsearch.documents().length > before + 2, { what: 'events arrive' })
    }
    const restart = { restart_on_cert_change: { enabled: true, period: '1s' } }

    const plain = await start('8.15.0', {})
    await elasticsearch.serve(theirs)
    await untilPrinted(plain, /Failed to connect[^]*reconnect attempt[^]*Failed to connect/)
    t.match(plain.output(), 'x509: certificate signed by unknown authority')
    await plain.stop()

    const reloading = await start('9.5.0', { 'certificate_reload.reload_interval': '50ms' })
    await elasticsearch.serve(theirs)
    await arrives()
    await reloading.stop()

    const restarting = await start('8.15.0', restart)
    await untilPrinted(restarting, /'ssl' files have changed, restarting[^]*start running/)
    await elasticsearch.serve(theirs)
    await arrives()
    t.equal(process.kill(restarting.pid, 0), true, 'it is the same process')
    await restarting.stop()
    t.equal(await restarting.ended, 'exit 0')

    const panicking = await start('9.1.0', restart)
    t.equal(await panicking.ended, 'exit 2')
    t.match(panicking.output(), 'fatal error: runtime: eventfd failed')
  },
)

await t.test('a reload keeps the old files where the new ones cannot be used', async t => {
  const { directory, ca, a, elasticsearch, configure, run } = await layOut(t)
  const file = write(directory, 'trust.pem', ca.certPem)
  await elasticsearch.serve(a)
  const ssl = { certificate_authorities: [file], 'certificate_reload.reload_interval': '1ms' }
  configure({ hosts: [`https://localhost:${elasticsearch.port}`], ssl })
  const daemon = run('9.5.0')
  await untilPrinted(daemon, ESTABLISHED)

  write(directory, 'trust.pem', 'nothing')
  await elasticsearch.serve(a)
  await untilPrinted(
    daemon,
    'Failed to reload TLS certificate, continuing with current certificate',
  )
  const before = elasticsearch.documents().length
  await until(() => elasticsearch.documents().length > before, { what: 'events arrive' })
})

await t.test(
  'modules are read again where that is on; the elasticsearch module really asks',
  async t => {
    const { directory, ca, a, elasticsearch, configure, run } = await layOut(t)
    const monitored = await fakeElasticsearch(a)
    t.teardown(() => monitored.stop())
    mkdirSync(join(directory, 'modules.d'))
    const reload = { enabled: true, period: '50ms' }
    configure(
      { hosts: [`localhost:${elasticsearch.port}`] },
      { 'metricbeat.config.modules.reload': reload },
    )
    const module = (scheme: string, more: string) =>
      write(
        directory,
        'modules.d/elasticsearch-xpack.yml',
        `- module: elasticsearch\n  xpack.enabled: true\n  period: 50ms\n  username: user\n  password: \${ES_PWD}\n  hosts: ["${scheme}://localhost:${monitored.port}"]\n${more}`,
      )
    const last = () =>
      JSON.stringify(
        elasticsearch
          .documents()
          .findLast(({ event }) => JSON.stringify(event).includes('elasticsearch')) ?? '',
      )

    module('http', '')
    const daemon = run()
    await until(() => /"error":\{"message":"Get/.test(last()), { what: 'an event with an error' })
    module('https', '')
    await until(() => last().includes('unknown authority'), { what: 'the CA is missing' })
    module('https', `  ssl.certificate_authorities: ["${ca.certFile}"]\n`)
    await until(() => last() !== '' && !last().includes('error'), {
      what: 'an event without an error',
    })

    module('https', '  ssl.certificate_authorities: ["none.pem"]\n')
    await untilPrinted(daemon, 'Error loading config from file')
    t.match(daemon.output(), 'open none.pem: no such file or directory reading none.pem')
    t.match(readFileSync(join(directory, 'data/sim-sequence'), 'utf8'), /^\d+$/)
  },
)

/** Dots in keys are paths. */
function parsed(settings: Settings): Settings {
  const normal = parseConfig(JSON.stringify(settings), '')
  return isSettings(normal) ? normal : {}
}

interface Stats {
  readonly output: {
    readonly events: Readonly<Record<'acked' | 'failed' | 'dropped' | 'active', number>>
  }
  readonly pipeline: { readonly events: Readonly<Record<'published' | 'failed', number>> }
}

function isStats(value: unknown): value is { readonly libbeat: Stats } {
  return typeof value === 'object' && value !== null && 'libbeat' in value
}

function sequencesOf(elasticsearch: FakeElasticsearch): readonly number[] {
  return elasticsearch.documents().map(({ sim }) => Number(/\d+/.exec(JSON.stringify(sim))?.[0]))
}

async function layOut(t: Test) {
  const directory = t.testdir()
  const ca = createCa(directory)
  const a = issue(ca, 'a')
  const elasticsearch = await fakeElasticsearch()
  t.teardown(() => elasticsearch.stop())
  const port = await freePort()
  const configure = (
    output: Readonly<Record<string, unknown>>,
    more: Readonly<Record<string, unknown>> = {},
  ) => {
    const defaults = {
      username: 'user',
      password: '${ES_PWD}',
      backoff: { init: '100ms', max: '200ms' },
      ssl: { certificate_authorities: ['ca.crt'] },
    }
    const settings = {
      'metricbeat.config.modules.path': '${path.config}/modules.d/*.yml',
      'metricbeat.modules': [{ module: 'system', metricsets: ['cpu'], period: '50ms' }],
      'output.elasticsearch': { ...defaults, ...output },
      http: { enabled: true, host: '127.0.0.1', port },
      ...more,
    }
    // JSON is YAML.
    write(directory, 'metricbeat.yml', JSON.stringify(settings))
  }
  const run = (SIM_VERSION = '8.15.0') => {
    const paths = ['--path.home', directory, '--path.config', directory, '--path.data']
    const daemon = startDaemon({
      argv: [process.execPath, METRICBEAT, '-e', ...paths, join(directory, 'data')],
      env: { SIM_VERSION, ES_PWD: 'secret', NODE_COMPILE_CACHE },
      // Relative paths are relative to this.
      cwd: directory,
    })
    t.teardown(() => daemon.stop())
    return daemon
  }
  const stats = async (): Promise<Stats> => {
    const answer: unknown = await (await fetch(`http://127.0.0.1:${port}/stats`)).json()
    if (!isStats(answer)) throw new Error('no statistics')
    return answer.libbeat
  }
  return {
    directory,
    ca,
    a,
    elasticsearch,
    configure,
    run,
    stats,
    sequences: () => sequencesOf(elasticsearch),
  }
}
