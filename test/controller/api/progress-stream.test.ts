// A plan that takes a while says how far it is, and ends with the plan, or with why there is none.

import t from 'tap'
import { PlanView } from '../../../shared/contract/operator-api.ts'
import { progressFrames } from '../../../controller/api/progress-stream.ts'
import { startFakeAgent } from './fake-agent.ts'
import { openStream } from './streams.ts'
import { addNode, joinFleet, operatorOf, startController } from './support.ts'

const SPEC = `version: 1
fleet: demo
services:
  - { service: prometheus, nodes: all }
`

await t.test('a plan is streamed with the count of those who have answered', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const agent = startFakeAgent(await joinFleet(running, operator, 'n1', {}))
  t.teardown(() => agent.stop())
  await addNode(operator, 'n2', {})
  const body = { spec: SPEC, waitMs: 20_000 }

  const stream = await openStream(running, '/v1/plans', { token: running.operatorToken, body })

  t.match([stream.status, stream.type], [200, 'text/event-stream'])
  const told = await stream.rest()
  const last = told.at(-1)
  t.equal(last?.event, 'answer')
  t.match(PlanView.parse(last?.data).nodes, [
    { node: 'n1', result: 'changes' },
    { node: 'n2', result: 'unreachable' },
  ])
  t.match(told[0], { event: 'progress', data: { of: 2 } })
  t.ok(told.slice(0, -1).every(({ event }) => event === 'progress'))
})

await t.test('what is wrong with the spec is an ordinary refusal', async t => {
  const running = await startController(t)
  const body = { spec: 'version: 9\n' }
  const stream = await openStream(running, '/v1/plans', { token: running.operatorToken, body })
  t.match([stream.status, stream.type], [422, /problem\+json/])
  stream.close()
})

await t.test('what goes wrong while nodes are asked ends the stream', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  for (const name of ['n1', 'n2']) await addNode(operator, name, {})
  const groups = 'groups: [{ name: meta, kind: raft, nodes: all }]\n'
  const body = { spec: `${SPEC}${groups}` }
  const stream = await openStream(running, '/v1/plans', { token: running.operatorToken, body })
  t.equal(stream.status, 200)
  const last = (await stream.rest()).at(-1)
  t.match(last, { event: 'problem', data: { status: 409, code: 'quorum-loss', detail: /meta/ } })
})

await t.test('progress is told when it changes, and now and then when it does not', async t => {
  const { promise, resolve } = Promise.withResolvers<object>()
  let looks = 0
  let progress = { answered: 0 }
  const frames = progressFrames({
    answer: promise,
    progress: () => progress,
    problem() {
      throw new Error('there is none')
    },
    clock: {
      async sleep() {
        looks++
        if (looks === 3) progress = { answered: 1 }
        if (looks === 14) resolve({ text: 'x'.repeat(100_000) })
      },
    },
  })

  const all: string[] = []
  for await (const frame of frames) all.push(frame)

  const answer = all.slice(3).join('')
  t.strictSame(
    all.slice(0, 3).map(frame => /data: (.*)/.exec(frame)?.[1]),
    ['{"answered":0}', '{"answered":1}', '{"answered":1}'],
  )
  t.match(answer, /^event: answer\ndata: \{"text":"x+"\}\n\n$/)
  t.ok(all.every(({ length }) => length <= 64 * 1024))
})
