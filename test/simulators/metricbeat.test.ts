// How the simulator of Metricbeat sends events: its queue, what is tried again and what is lost, several hosts,
// and the events of its modules.

import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { until } from '../lab/until.ts'
import { write } from './certificates.ts'
import { untilPrinted } from './daemon.ts'
import { fakeElasticsearch } from './fake-elasticsearch.ts'
import { layOut, sequencesOf } from './metricbeat-scene.ts'
import { createQueue, type Event } from './metricbeat/queue.ts'

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
