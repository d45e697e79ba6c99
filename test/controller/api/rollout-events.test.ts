import fc from 'fast-check'
import t from 'tap'
import { eventFrames } from '../../../controller/api/operator/rollout-events.ts'
import { nowAt, planOf, sampleNode, samplePlan } from '../../contract/samples.ts'
import { openStream } from './streams.ts'
import { codeOf, operatorOf, type Running, startController } from './support.ts'

const PAGE = 3
const event = (version: number) => ({ version, atMs: version, kind: 'node-assigned' })

await t.test('a stream tells every version once and in order, however the log grows', async t => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 10 }),
      fc.integer({ min: 0, max: 5 }),
      async (growth, after) => {
        const total = 5 + growth.reduce((sum, more) => sum + more, 0)
        let head = 5
        const left = [...growth]
        const frames = eventFrames({
          after,
          signal: new AbortController().signal,
          async read(known) {
            const events = Array.from({ length: head }, (_, index) => event(index + 1))
              .filter(({ version }) => version > known)
              .slice(0, PAGE)
            // It may grow between any two reads.
            head += left.shift() ?? 0
            const isOver = events.length === 0 && left.length === 0 && known >= head
            return isOver ? { events, end: { status: 'succeeded' } } : { events }
          },
          judge: async () => undefined,
          nap: async look => {
            await look()
          },
        })

        const told: number[] = []
        let last = ''
        for await (const frame of frames) {
          const [, id] = /^id: (\d+)$/m.exec(frame) ?? []
          if (id !== undefined) told.push(Number(id))
          last = frame
        }

        t.strictSame(
          told,
          Array.from({ length: total - after }, (_, index) => after + index + 1),
        )
        t.match(last, /^event: end\ndata: {"status":"succeeded"}/)
      },
    ),
    { numRuns: 100 },
  )
})

await t.test('a stream ends when its caller is not to be served any more', async t => {
  const frames = eventFrames({
    after: 0,
    signal: new AbortController().signal,
    read: async () => ({ events: [] }),
    judge: async () => ({ code: 'unauthenticated', message: 'revoked' }),
    nap: async look => {
      await look()
    },
  })

  const all: string[] = []
  for await (const frame of frames) all.push(frame)

  t.match(all.at(-1), /^event: end\ndata: {"code":"unauthenticated"/)
})

async function storeRollout({ controller }: Running): Promise<void> {
  await controller.context.store.transaction(async tx => {
    await tx.nodes.insert(sampleNode('n1'))
    const events = [{ kind: 'planned', ...nowAt() }] as const
    const plan = planOf(samplePlan(['n1']))
    await tx.rollouts.insert({ id: 'r-1', plan, events, atMs: nowAt().atMs })
  })
}

await t.test(
  'a rollout is followed by its events to the end, and resumed without a gap',
  async t => {
    const running = await startController(t)
    const operator = operatorOf(running)
    await storeRollout(running)
    const token = running.viewerToken
    const path = '/v1/rollouts/r-1/events'
    const stream = await openStream(running, path, { token })

    t.equal(stream.status, 200)
    t.match(stream.type, /^text\/event-stream/)
    t.match(await stream.next(), { event: 'event', id: '1', data: { version: 1, kind: 'planned' } })
    t.equal((await operator('POST', '/v1/rollouts/r-1/abort', { reason: 'enough' })).status, 200)
    const rest = await stream.rest()

    t.match(rest.at(-1), { event: 'end', data: { status: 'aborted' } })
    const ids = rest.slice(0, -1).map(({ id }) => Number(id))
    t.strictSame(
      ids,
      ids.map((_, index) => index + 2),
    )
    const resumed = await openStream(running, `${path}?after=0`, {
      token,
      headers: { 'last-event-id': String(ids[0]) },
    })
    t.strictSame(
      (await resumed.rest()).map(({ id }) => id),
      [...ids.slice(1).map(String), undefined],
    )
    const again = await operator('GET', `${path}?after=1&wait=0`)
    t.match(again.body, {
      rollout: { status: 'aborted' },
      events: ids.map(version => ({ version })),
    })
  },
)

await t.test('streams of what is not there, or from nowhere, are refused', async t => {
  const running = await startController(t)
  await storeRollout(running)
  const token = running.viewerToken
  const open = (path: string, headers = {}) => openStream(running, path, { token, headers })

  t.equal((await open('/v1/rollouts/r-2/events')).status, 404)
  t.equal((await open('/v1/rollouts/r-1/events', { 'last-event-id': 'x' })).status, 400)
  const answer = await operatorOf(running, token)('GET', '/v1/rollouts/r-2/events')
  t.equal(codeOf(answer), 'not-found')
})
