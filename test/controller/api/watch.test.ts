import t from 'tap'
import { createChangeFeed } from '../../../controller/api/change-feed.ts'
import { createStreamLimits, insisting } from '../../../controller/api/event-stream.ts'
import { watchFrames } from '../../../controller/api/operator/watch.ts'
import { createPresence } from '../../../controller/api/presence.ts'
import { systemClock } from '../../../shared/clock.ts'
import { addNode, codeOf, joinFleet, operatorOf, startController } from './support.ts'
import { openStream, type Stream } from './streams.ts'

/** Reads until this id of this resource was named. */
async function untilTold(stream: Stream, resource: string, id: string): Promise<void> {
  for (let told = await stream.next(); told !== undefined; told = await stream.next()) {
    const { resource: named, ids } = Object(told.data)
    if (told.event === 'change' && named === resource && ids.includes(id)) return
  }
  throw new Error(`the stream ended before ${resource} ${id}`)
}

await t.test('a watcher is told to read the lists, and then what has changed', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const stream = await openStream(running, '/v1/watch?resources=nodes,freezes,tokens,audit', {
    token: running.viewerToken,
  })

  t.equal(stream.status, 200)
  t.match(stream.type, /^text\/event-stream/)
  for (const resource of ['nodes', 'freezes', 'tokens', 'audit'])
    t.match(await stream.next(), { event: 'resync', data: { resource } })

  await operator('PUT', '/v1/freezes/winter', { reason: 'holidays' })
  await untilTold(stream, 'freezes', 'winter')
  await addNode(operator, 'n1')
  await untilTold(stream, 'nodes', 'n1')
  await operator('DELETE', '/v1/nodes/n1')
  await untilTold(stream, 'nodes', 'n1')
  t.equal((await operator('GET', '/v1/nodes/n1')).status, 404, 'what is gone is not found')
  stream.close()
})

await t.test('an agent that comes, and what it reports, are changes of its node', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const stream = await openStream(running, '/v1/watch?resources=nodes', {
    token: running.viewerToken,
  })
  const agent = await joinFleet(running, operator, 'n1')

  await agent.get('/agent/v1/whoami')
  await untilTold(stream, 'nodes', 'n1')

  stream.close()
  agent.close()
})

await t.test('who may watch what', async t => {
  const running = await startController(t)
  const open = (path: string, token = running.viewerToken) => openStream(running, path, { token })

  t.equal((await open('/v1/watch?resources=nodes', 'tlsf_x')).status, 401)
  for (const path of ['', '?resources=', '?resources=secrets', '?resources=nodes&after=1'])
    t.equal((await open(`/v1/watch${path}`)).status, 400, path)
  const streams = await Promise.all(
    Array.from({ length: 8 }, () => open('/v1/watch?resources=nodes')),
  )
  t.strictSame(new Set(streams.map(one => one.status)), new Set([200]))
  const refused = await operatorOf(running, running.viewerToken)('GET', '/v1/watch?resources=nodes')
  t.strictSame([refused.status, codeOf(refused)], [429, 'too-many-streams'])
  t.match(refused.headers, { 'retry-after': /^\d+$/ })
  t.equal((await open('/v1/watch?resources=nodes', running.adminToken)).status, 200)
  for (const stream of streams) stream.close()
})

await t.test('a controller that closes says so, and does not wait for watchers', async t => {
  const running = await startController(t)
  const stream = await openStream(running, '/v1/watch?resources=nodes', {
    token: running.viewerToken,
  })
  t.match(await stream.next(), { event: 'resync' })

  const [rest] = await Promise.all([stream.rest(), running.restart()])

  t.match(rest.at(-1), { event: 'end', data: { code: 'closing' } })
})

await t.test('a stream ends when its caller is not to be served any more', async t => {
  const feed = createChangeFeed(systemClock)
  const subscription = feed.subscribe(['nodes'])
  const frames = watchFrames({
    resources: ['nodes'],
    subscription,
    clock: systemClock,
    signal: new AbortController().signal,
    judge: async () => ({ code: 'unauthenticated', message: 'the token was revoked' }),
  })
  await frames.next()
  await frames.next()

  feed.publish([{ resource: 'credentials', id: 'x' }])

  t.match((await frames.next()).value, /^event: end\ndata: {"code":"unauthenticated"/)
  t.equal((await frames.next()).done, true)
})

await t.test('however much happens meanwhile, a watcher is told once', async t => {
  const feed = createChangeFeed(systemClock)
  const never = new AbortController().signal
  const one = feed.subscribe(['nodes', 'leases', 'audit'])
  const other = feed.subscribe(['rollouts'])

  for (let round = 0; round < 1_000; round++)
    feed.publish([
      { resource: 'nodes', id: `n${round % 3}` },
      { resource: 'leases', id: `g/n${round}` },
      { resource: 'audit', id: undefined },
    ])

  t.equal(await one.wait(0, never), true)
  t.strictSame(one.take().changes, [
    { resource: 'nodes', ids: ['n0', 'n1', 'n2'] },
    { resource: 'leases', ids: undefined },
    { resource: 'audit', ids: [] },
  ])
  t.strictSame(one.take().changes, [], 'and no second time')
  t.equal(await other.wait(0, never), false)
  t.equal(feed.watchers(), 2)
  one.end()
  other.end()
  t.equal(feed.watchers(), 0)
})

await t.test('a reader that takes nothing is cut off', async t => {
  const { promise: cut, resolve } = Promise.withResolvers<string>()
  const passed = Promise.withResolvers<void>()
  const clock = {
    sleep: (_ms: number, signal?: AbortSignal) =>
      Promise.race([
        passed.promise,
        new Promise<void>(done => signal?.addEventListener('abort', () => done())),
      ]),
  }
  async function* frames() {
    yield 'one'
    yield 'two'
  }
  const guarded = insisting(frames(), { clock, cut: () => resolve('cut') })

  t.equal((await guarded.next()).value, 'one')
  t.equal((await guarded.next()).value, 'two', 'in time')
  passed.resolve()

  t.equal(await cut, 'cut')
})

await t.test('streams are counted for each caller and for all', t => {
  const limits = createStreamLimits({ ofCaller: 2, overall: 3 })
  const leave = limits.enter('ada')
  limits.enter('ada')

  t.throws(() => limits.enter('ada'), { code: 'too-many-streams' })
  limits.enter('bob')
  t.throws(() => limits.enter('cyd'), { code: 'too-many-streams' })
  leave()
  leave()
  t.doesNotThrow(() => limits.enter('cyd'))
  t.throws(() => limits.enter('bob'), { code: 'too-many-streams' }, 'leaving twice is leaving once')
  t.end()
})

await t.test('silence is told once', t => {
  let nowMs = 0
  const came: string[] = []
  const clock = { ...systemClock, monotonic: () => nowMs }
  const presence = createPresence({ clock, onCome: node => came.push(node) })
  const leave = presence.attend('n1')
  presence.heard('n2')
  presence.heard('n2')

  t.strictSame(came, ['n1', 'n2'])
  nowMs = 89_999
  t.strictSame(presence.fallenSilent(), [])
  nowMs = 90_000
  t.equal(presence.fallenSilent(), 'all', 'also those that did not come back after a start')
  t.strictSame(presence.fallenSilent(), [])
  presence.heard('n2')
  leave()
  nowMs = 180_000
  t.strictSame(presence.fallenSilent(), ['n1', 'n2'])
  presence.forget('n1')
  t.strictSame(came, ['n1', 'n2', 'n2'])
  t.end()
})

await t.test(
  'what is worked out of others is to be read anew when one of these has changed',
  async t => {
    const feed = createChangeFeed(systemClock)
    const never = new AbortController().signal
    const watcher = feed.subscribe(['groups', 'certificates', 'leases'])

    feed.publish([{ resource: 'rollouts', id: 'r1' }])
    t.equal(await watcher.wait(0, never), false, 'a rollout is not among them')
    feed.publish([{ resource: 'leases', id: 'meta/m1' }])
    t.strictSame(watcher.take().changes, [
      { resource: 'leases', ids: ['meta/m1'] },
      { resource: 'groups', ids: undefined },
    ])
    feed.publish([{ resource: 'authorities', id: 'service-2' }])
    t.strictSame(watcher.take().changes, [{ resource: 'certificates', ids: undefined }])
    feed.publish([{ resource: 'nodes', id: 'n1' }])
    t.strictSame(watcher.take().changes, [
      { resource: 'groups', ids: undefined },
      { resource: 'certificates', ids: undefined },
    ])
    watcher.end()
  },
)
