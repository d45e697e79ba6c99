import t from 'tap'
import { viewNodes } from '../../../controller/rollout/fleet-view.ts'
import type { NodeView } from '../../../controller/rollout/rollout.ts'
import type { ReportExcerpt, RolloutMember } from '../../../controller/store/store.ts'
import { sha256 } from '../../../shared/digest.ts'
import { startRollout } from '../../../controller/rollout/evolve.ts'
import { nowAt, planOf, samplePlannedNode, T0 } from '../../contract/samples.ts'
import { rolloutWith } from './states.ts'

const DIGEST = sha256('the document')
const CONTENT = sha256('the content')

const ONLINE = { isOnline: () => true, silentMs: () => 0 }

type ServiceExcerpt = ReportExcerpt['services'][number]

function service(
  outcome: ServiceExcerpt['outcome'],
  more: Partial<ServiceExcerpt> = {},
): ServiceExcerpt {
  const reason = { code: outcome, message: `it is ${outcome}` }
  return { service: 'prometheus', outcome, reason, activations: 0, served: [], ...more }
}

function member(
  services: readonly ServiceExcerpt[],
  report: Partial<ReportExcerpt> = {},
  more: Partial<RolloutMember> = {},
): RolloutMember {
  return {
    node: 'a',
    enrolledAtMs: T0,
    seenAtMs: T0,
    desired: { generation: 5, digest: DIGEST, contentDigest: CONTENT },
    highestGeneration: 5,
    report: {
      sequence: 1,
      receivedAtMs: T0 + 10,
      observedGeneration: 5,
      observedDigest: DIGEST,
      services,
      ...report,
    },
    ...more,
  }
}

function view(one: RolloutMember, online = true): NodeView | undefined {
  const rollout = rolloutWith('running', { a: 'staged' })
  const options = { isOnline: () => online, silentMs: () => 90 }
  return viewNodes({ rollout, members: [one], ...options }).get('a')
}

await t.test('the worst outcome counts, whatever the order of the services', async t => {
  const order = [
    'in-sync',
    'changed',
    'staged',
    'waiting',
    'unsupported',
    'restored',
    'failed',
  ] as const
  for (const [index, worst] of order.entries()) {
    for (const better of order.slice(0, index)) {
      const services = [service(better), service(worst, { service: 'influxdb' })]
      t.match(view(member(services)), { outcome: worst, observedContent: CONTENT })
      t.match(view(member(services.toReversed())), { outcome: worst, reason: { code: worst } })
    }
  }
})

await t.test(
  'a report that says nothing of a service that the node was given says nothing good',
  async t => {
    t.equal(view(member([]))?.outcome, undefined)
    t.equal(view(member([service('in-sync', { service: 'influxdb' })]))?.outcome, undefined)
    t.equal(view(member([service('planned')]))?.outcome, undefined)
    t.equal(view(member([service('failed', { service: 'influxdb' })]))?.outcome, 'failed')
    const problem = { code: 'unsupported-desired-state', message: 'it cannot be read' }
    t.match(view(member([], { problem })), { outcome: 'failed', reason: problem })
    t.match(view(member([service('in-sync')], { problem })), { outcome: 'in-sync' })
  },
)

await t.test('another document for the same generation is a contradiction', async t => {
  const contradicting = member([service('in-sync')], { observedDigest: sha256('x') })
  t.match(view(contradicting), {
    outcome: 'failed',
    broken: true,
    observedContent: undefined,
    reason: { code: 'contradictory-report' },
  })
  const old = member([service('in-sync')], { observedGeneration: 4, observedDigest: sha256('x') })
  t.match(view(old), { outcome: 'in-sync', observedGeneration: 4, observedContent: undefined })
})

await t.test('inactive and broken are told from the services', async t => {
  const stopped = service('waiting', { reason: { code: 'inactive', message: 'it is stopped' } })
  t.match(view(member([stopped])), { outcome: 'waiting', inactive: true, broken: false })
  t.match(view(member([service('waiting')])), { outcome: 'waiting', inactive: false })
  t.match(view(member([service('failed', { activations: 1 })])), { broken: true })
  t.match(view(member([service('failed')])), { broken: false })
})

await t.test('a node is silent while the agent is not there', async t => {
  t.equal(view(member([]), false)?.silentMs, 90)
  t.equal(view(member([]), true)?.silentMs, 0)
})

await t.test('a node without a report is seen, one that lost what it was given is not', async t => {
  t.match(view(member([], {}, { report: undefined })), {
    observedGeneration: undefined,
    outcome: undefined,
  })
  t.equal(view(member([], {}, { desired: undefined })), undefined)
  const rollout = rolloutWith('staging', { a: 'waiting' })
  const fresh = member([], {}, { desired: undefined, report: undefined, highestGeneration: 0 })
  const nodes = viewNodes({ rollout, members: [fresh], ...ONLINE })
  t.match(nodes.get('a'), { online: true, highestGeneration: 0 })
})

await t.test('a content without services is reached by a report without services', async t => {
  const nodes = [{ ...samplePlannedNode('a'), content: { services: [] } }]
  const plan = planOf({ revision: 1, author: 'ada', nodes })
  const rollout = startRollout('r1', plan, { kind: 'planned', ...nowAt() })
  const seen = viewNodes({ rollout, members: [member([])], ...ONLINE })
  t.equal(seen.get('a')?.outcome, 'in-sync')
})

await t.test(
  'a node that refuses its document is judged by that, not by the one in force',
  async t => {
    const problem = { code: 'unsupported-desired-state', message: 'unknown option' }
    const refusing = member([service('in-sync')], {
      observedGeneration: 4,
      refusedGeneration: 5,
      problem,
    })

    t.match(view(refusing), {
      observedGeneration: 5,
      outcome: 'unsupported',
      reason: problem,
      broken: false,
    })
    const earlier = member([service('in-sync')], { observedGeneration: 5, refusedGeneration: 4 })
    t.match(view(earlier), { observedGeneration: 5, outcome: 'in-sync' })
  },
)
