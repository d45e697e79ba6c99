// Webhooks against a receiver that fails, goes away and comes back, over restarts of the controller.

import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createMeasures } from '../../../controller/metrics/measures.ts'
import type { FleetSnapshot } from '../../../controller/metrics/snapshot.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { createNotifier, OUTBOX_MAX } from '../../../controller/webhooks/notifier.ts'
import { readReceivers } from '../../../controller/webhooks/receivers.ts'
import { silentLog } from '../../../shared/log.ts'
import { createCa, issue } from '../../simulators/certificates.ts'
import {
  DAY_MS,
  sampleCertificate,
  sampleRotation,
  sampleSnapshot,
  T0,
} from '../metrics/samples.ts'

const SECRET = '0123456789abcdef0123'
const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-'))
t.teardown(() => rmSync(directory, { recursive: true }))
const ca = createCa(directory)
const { certPem, keyPem } = issue(ca, 'receiver')
const secretFile = join(directory, 'secret')
writeFileSync(secretFile, `${SECRET}\n`)

interface Received {
  readonly signature: string
  readonly delivery: string
  readonly text: string
  readonly notice: unknown
}

async function startReceiver(t: Test) {
  const received: Received[] = []
  const receiver = { status: 200, received, url: '' }
  const server = createServer({ cert: certPem, key: keyPem }, (request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', chunk => (text += chunk))
    request.on('end', () => {
      const header = (name: string) => String(request.headers[name])
      received.push({
        signature: header('tlsfleet-signature'),
        delivery: header('tlsfleet-delivery'),
        text,
        notice: JSON.parse(text),
      })
      // A redirect must lead nowhere.
      response.writeHead(receiver.status, { location: '/elsewhere' }).end()
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  receiver.url = `https://localhost:${typeof address === 'object' ? address?.port : ''}/hook`
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return receiver
}

async function scene(t: Test, events = ['expiry', 'rollout', 'drift', 'rotation'] as const) {
  const receiver = await startReceiver(t)
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0 })
  t.teardown(() => store.close())
  let nowMs = T0
  let ids = 0
  let snapshot: FleetSnapshot = sampleSnapshot
  const measures = createMeasures()
  const webhooks = readReceivers([
    { name: 'oncall', url: receiver.url, secretFile, caFile: ca.certFile, events },
  ])
  const start = () =>
    createNotifier({
      webhooks,
      fleet: 'demo',
      store,
      snapshots: { read: async () => snapshot },
      measures,
      clock: { now: () => nowMs, monotonic: () => nowMs, sleep: async () => {} },
      log: silentLog,
      newId: () => `id${++ids}`,
      random: () => 0.5,
      signal: new AbortController().signal,
    })
  return {
    receiver,
    store,
    measures,
    start,
    advance: (ms: number) => (nowMs += ms),
    fleetIs: (change: Partial<FleetSnapshot>) => (snapshot = { ...sampleSnapshot, ...change }),
    pending: async () =>
      (await store.transaction(tx => tx.notifications.pending())).get('oncall') ?? 0,
  }
}

const ending = {
  certificates: [
    { ...sampleCertificate, renewAtMs: T0, unrenewed: { code: 'node-silent', message: 'x' } },
  ],
}

await t.test(
  'what could not be delivered is delivered later, also by the next process',
  async t => {
    const { receiver, start, advance, fleetIs, pending, measures } = await scene(t)
    const first = start()
    fleetIs(ending)
    receiver.status = 503
    await first.look()
    await first.deliver()
    t.equal(receiver.received.length, 1)
    await first.deliver()
    t.equal(receiver.received.length, 1, 'not before its time')
    advance(5_000)
    await first.deliver()
    t.equal(receiver.received.length, 2)
    t.equal(await pending(), 1)

    const next = start()
    receiver.status = 302
    await next.look()
    await next.deliver()
    t.equal(receiver.received.length, 3, 'a redirect is not followed, and no delivery')
    receiver.status = 204
    advance(10_000)
    await next.deliver()
    t.equal(await pending(), 0)
    t.strictSame([...new Set(receiver.received.map(one => one.delivery))], ['id1'], 'one id')
    t.match(receiver.received[3]?.notice, {
      id: 'id1',
      fleet: 'demo',
      event: 'expiry',
      status: 'firing',
      state: 'ending',
      count: 1,
      subjects: ['n1 prometheus https :9090'],
    })
    await next.look()
    await start().look()
    t.equal(await pending(), 0, 'told once')

    const stopped = { ...sampleRotation, stopped: { code: 'rollout-failed', message: 'x' } }
    fleetIs({ rotation: stopped })
    await next.look()
    t.equal(await pending(), 2)
    await next.deliver()
    t.equal(await pending(), 0, 'all that is due at once')
    t.match(receiver.received[4]?.notice, { event: 'rotation', state: 'stopped' })
    t.match(receiver.received[5]?.notice, { status: 'resolved', state: 'ending' })
    const samples = measures.deliveries
      .family()
      .samples.map(one => [one.labels['outcome'], one.value])
    t.strictSame(samples, [
      ['failed', 3],
      ['delivered', 3],
    ])
  },
)

await t.test('what is sent is signed, with its time', async t => {
  const { receiver, start, fleetIs } = await scene(t)
  fleetIs(ending)
  const notifier = start()
  await notifier.look()
  await notifier.deliver()
  const { signature = '', text = '' } = receiver.received[0] ?? {}
  const seconds = T0 / 1000
  const mac = createHmac('sha256', SECRET).update(`${seconds}.${text}`).digest('hex')
  t.equal(signature, `t=${seconds},v1=${mac}`)
})

await t.test('a receiver that refuses one keeps the others from nothing', async t => {
  const { receiver, start, fleetIs, pending } = await scene(t)
  fleetIs(ending)
  const notifier = start()
  await notifier.look()
  receiver.status = 422
  await notifier.deliver()
  t.equal(await pending(), 0)
})

await t.test('what nobody takes for days is given up, and the queue is bounded', async t => {
  const { receiver, store, start, advance, fleetIs, pending, measures } = await scene(t)
  fleetIs(ending)
  const notifier = start()
  await notifier.look()
  advance(3 * DAY_MS + 1)
  await notifier.deliver()
  t.strictSame([await pending(), receiver.received.length], [0, 0])

  await store.transaction(async tx => {
    for (let index = 0; index < OUTBOX_MAX; index++)
      await tx.notifications.enqueue({ webhook: 'oncall', body: '{}', createdAtMs: T0 })
    await tx.notifications.enqueue({ webhook: 'gone', body: '{}', createdAtMs: T0 })
  })
  fleetIs({})
  await notifier.look()
  t.equal(await pending(), OUTBOX_MAX)
  const dropped = measures.deliveries
    .family()
    .samples.find(one => one.labels['outcome'] === 'dropped')
  t.equal(dropped?.value, 1)
  t.notOk((await store.transaction(tx => tx.notifications.pending())).has('gone'))
})

await t.test('files that are no good are said at the start', async t => {
  const hook = { name: 'a', url: 'https://x.test/', secretFile, caFile: undefined, events: [] }
  const short = join(directory, 'short')
  writeFileSync(short, 'secret')
  t.throws(() => readReceivers([{ ...hook, secretFile: short }]), { code: 'webhook-unusable' })
  t.throws(() => readReceivers([{ ...hook, caFile: join(directory, 'none') }]), {
    code: 'webhook-unusable',
  })
  t.equal(String(readReceivers([hook])[0]?.secret), '[secret]')
})
