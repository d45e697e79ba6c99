// Rollouts that nobody was shown a plan of: what follows from another one, and the steps of a rotation.
// Their nodes are held to what they said all the same, and nobody waits for long for one that says nothing.

import t, { type Test } from 'tap'
import { RolloutList, RolloutView } from '../../../shared/contract/operator-api.ts'
import type { ServiceReport } from '../../../shared/contract/report.ts'
import { RolloutPlanView } from '../../../shared/contract/rollout-plan.ts'
import { systemClock } from '../../../shared/clock.ts'
import { sha256 } from '../../../shared/digest.ts'
import { silentLog } from '../../../shared/log.ts'
import { askNodes } from '../../../controller/api/ask-nodes.ts'
import { gatherPreviews } from '../../../controller/api/gather-previews.ts'
import { createPresence } from '../../../controller/api/presence.ts'
import { sampleNode, T0 } from '../../contract/samples.ts'
import { until } from '../../lab/until.ts'
import { type AgentMemory, startFakeAgent } from './fake-agent.ts'
import {
  codeOf,
  joinFleet,
  type Operator,
  operatorOf,
  parsed,
  type Running,
  startController,
} from './support.ts'

t.setTimeout(900_000)

const SPEC = `version: 1
fleet: demo
services:
  - { service: prometheus, nodes: all }
rollout: { maxFailures: 1 }
`

const planned = (services: readonly ServiceReport[]): ServiceReport[] =>
  services.map(report => ({
    ...report,
    planned: { service: report.service, digest: sha256(report.service), disruption: 'rolling' },
  }))

/** Longer than any machine needs, and nobody else waits at the controller for just this long; tests end it. */
const PATIENCE_MS = 59_000

/** Notes that it was asked. */
const noting = (asked: string[]) => (services: readonly ServiceReport[]) => {
  asked.push('n1')
  return planned(services)
}

/** Ends the wait for `n2` once `n1`, which is asked with it, has answered. */
async function giveUpOnN2({ waiting, endWaits }: Running, asked: readonly string[]): Promise<void> {
  await until(() => asked.length > 0 && waiting(PATIENCE_MS) === 1, { what: 'only n2 is silent' })
  endWaits(PATIENCE_MS)
}

const documentOf = async ({ controller }: Running, node: string) =>
  (await controller.context.store.transaction(tx => tx.desired.get(node)))?.state

async function planOf(operator: Operator, id: string) {
  const plan = parsed(RolloutPlanView, await operator('GET', `/v1/rollouts/${id}/plan`))
  return plan.phases.flatMap(({ batches }) => batches.flatMap(({ nodes }) => nodes))
}

async function ended(operator: Operator, id: string): Promise<RolloutView> {
  const look = async () => parsed(RolloutView, await operator('GET', `/v1/rollouts/${id}`))
  await until(async () => (await look()).endedAtMs !== undefined, {
    what: `${id} ends`,
    timeoutMs: 120_000,
  })
  return look()
}

/** n1 is changed, n2 is broken by it. */
async function brokenScene(t: Test, more = '') {
  const running = await startController(t)
  const operator = operatorOf(running)
  const memory: AgentMemory = { accepted: undefined, sequence: 1 }
  const client = await joinFleet(running, operator, 'n2', {})
  const asked: string[] = []
  const preview = noting(asked)
  const n1 = startFakeAgent(await joinFleet(running, operator, 'n1', {}), { preview })
  const n2 = startFakeAgent(client, { preview: planned, outcome: 'failed', memory })
  t.teardown(() => Promise.all([n1.stop(), n2.stop()]))
  const { id } = parsed(
    RolloutView,
    await operator('POST', '/v1/rollouts', { spec: `${SPEC}${more}` }),
  )
  t.match((await ended(operator, id)).steps, [{ state: 'done' }, { state: 'broken' }])
  asked.length = 0
  return { running, operator, id, n2, asked }
}

await t.test('what is tried again holds its nodes to what they say', async t => {
  const { running, operator, id } = await brokenScene(t)

  const retry = parsed(RolloutView, await operator('POST', `/v1/rollouts/${id}/retry`, {}))

  t.equal(retry.unheld, undefined)
  t.match(await planOf(operator, retry.id), [{ node: 'n2', preview: { result: 'changes' } }])
  t.strictSame((await documentOf(running, 'n2'))?.planned, [
    { service: 'prometheus', digest: sha256('prometheus'), disruption: 'rolling' },
  ])
})

await t.test('a rollback takes the broken node first, also when it says nothing', async t => {
  const group = 'groups: [{ name: web, kind: pool, percent: 50, nodes: all }]\n'
  const { running, operator, id, n2, asked } = await brokenScene(t, group)
  await n2.stop()
  running.controller.context.presence.heard('n2')

  const [answer] = await Promise.all([
    operator('POST', `/v1/rollouts/${id}/rollback`, { waitMs: PATIENCE_MS }),
    giveUpOnN2(running, asked),
  ])

  const rollback = parsed(RolloutView, answer)
  t.match(rollback.unheld, [{ node: 'n2', reason: { code: 'no-answer' } }])
  t.equal(rollback.unheld?.length, 1)
  t.match(await planOf(operator, rollback.id), [
    { node: 'n2', preview: undefined },
    { node: 'n1', preview: { result: 'none' } },
  ])
  t.equal((await documentOf(running, 'n2'))?.planned, undefined)
})

await t.test('a rollback is held to what is written, not to how much it disturbs', async t => {
  const { running, operator } = await brokenScene(t)
  // From which there is something to go back to.
  const next = SPEC.replace('rollout:', '  - { service: node-exporter, nodes: all }\nrollout:')
  const body = { spec: next, waitMs: 20_000 }
  const second = parsed(RolloutView, await operator('POST', '/v1/rollouts', body))
  await ended(operator, second.id)

  const answer = await operator('POST', `/v1/rollouts/${second.id}/rollback`, {})

  t.equal(parsed(RolloutView, answer).unheld, undefined)
  const document = await documentOf(running, 'n2')
  t.strictSame(document?.planned, [{ service: 'prometheus', digest: sha256('prometheus') }])
})

await t.test('nobody is asked where nobody is to be waited for', async t => {
  const { operator, id } = await brokenScene(t)

  const answer = await operator('POST', `/v1/rollouts/${id}/retry`, { waitMs: 0 })

  t.match(parsed(RolloutView, answer).unheld, [{ node: 'n2', reason: { code: 'not-asked' } }])
  const pause = await operator('POST', `/v1/rollouts/${id}/pause`, { waitMs: 1 })
  t.equal(codeOf(pause), 'malformed-request')
})

await t.test('a new rollout says who did not answer', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const asked: string[] = []
  const preview = noting(asked)
  const n1 = startFakeAgent(await joinFleet(running, operator, 'n1', {}), { preview })
  t.teardown(() => n1.stop())
  const silent = await joinFleet(running, operator, 'n2', {})
  t.teardown(() => silent.close())
  running.controller.context.presence.heard('n2')

  const [answer] = await Promise.all([
    operator('POST', '/v1/rollouts', { spec: SPEC, waitMs: PATIENCE_MS }),
    giveUpOnN2(running, asked),
  ])

  const { unheld } = parsed(RolloutView, answer)
  t.match(unheld, [{ node: 'n2', reason: { code: 'no-answer' } }])
  t.equal(unheld?.length, 1)
})

await t.test('the steps of a rotation are held to what their nodes say', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const n1 = startFakeAgent(await joinFleet(running, operator, 'n1', {}), { preview: planned })
  t.teardown(() => n1.stop())
  const { id } = parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC }))
  await ended(operator, id)

  await operator('POST', '/v1/rotations', { kind: 'service', pace: 'auto' })

  const list = async () => parsed(RolloutList, await operator('GET', '/v1/rollouts')).rollouts
  await until(async () => (await list()).length === 2, {
    what: 'the rotation has a rollout',
    timeoutMs: 120_000,
  })
  const [step] = await list()
  t.match(step?.author, /^rotation:/)
  t.match(await planOf(operator, step?.id ?? ''), [
    { node: 'n1', preview: { services: [{ planned: { digest: sha256('prometheus') } }] } },
  ])
})

await t.test('who was asked for by somebody that has gone is asked for nothing', async t => {
  const { controller } = await startController(t)
  const signal = AbortSignal.abort()
  await t.rejects(askNodes(controller.context, [], { waitMs: 1, signal }), { code: 'closing' })
})

await t.test('many that are silent do not keep the others from being asked', async t => {
  const names = Array.from({ length: 1_300 }, (_, index) => `n${index}`)
  const record = { ...sampleNode('n0'), enrolledAtMs: T0 }
  const { promise, resolve } = Promise.withResolvers<undefined>()
  const asked: string[] = []
  const context = {
    presence: createPresence({ clock: systemClock }),
    previews: {
      // Nobody answers before everybody has been asked.
      ask({ node }: { readonly node: string }) {
        if (asked.push(node) === names.length) resolve(undefined)
        return promise
      },
      take: () => undefined,
      answer: () => false,
    },
    clock: { ...systemClock, sleep: () => new Promise<void>(done => setImmediate(done)) },
    log: silentLog,
  }
  for (const name of names) context.presence.heard(name)

  const views = await gatherPreviews(context, {
    nodes: names.map(node => ({ node, content: { services: [] } })),
    records: new Map(names.map(name => [name, { ...record, name }])),
    waitMs: 1,
    signal: new AbortController().signal,
  })

  t.strictSame(
    views.map(({ node }) => node),
    names,
  )
  t.strictSame(asked, names, 'each once')
})

await t.test('a node that goes while it is asked is not waited for', async t => {
  const running = await startController(t)
  const client = await joinFleet(running, operatorOf(running), 'n1', {})
  t.teardown(() => client.close())
  const { context } = running.controller
  const record = await context.store.transaction(tx => tx.nodes.get('n1'))
  const signal = new AbortController().signal
  const heard: string[] = []
  context.presence.heard('n1')

  const gathering = gatherPreviews(context, {
    nodes: [{ node: 'n1', content: { services: [] } }],
    records: new Map(record === undefined ? [] : [['n1', record]]),
    waitMs: 600_000,
    signal,
    onHeard: ({ node }) => heard.push(node),
  })
  running.elapse(100_000)

  t.match(await gathering, [{ node: 'n1', result: 'unreachable', reason: { code: 'node-silent' } }])
  t.strictSame(heard, ['n1'])
})
