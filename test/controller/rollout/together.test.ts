// Groups that are changed as a whole, in the plan: which nodes make the section, what comes before and
// after it, and in which order its groups start.

import t from 'tap'
import { type GroupDefinition, tolerance } from '../../../controller/fleet/groups.ts'
import { makePlan } from '../../../controller/rollout/plan.ts'
import type { PlannedNode, RolloutPlan } from '../../../controller/rollout/rollout.ts'
import type { ServiceName } from '../../../shared/contract/service.ts'
import { samplePlannedNode } from '../../contract/samples.ts'

function runs(node: string, ...services: readonly ServiceName[]): PlannedNode {
  const planned = samplePlannedNode(node)
  const [one] = planned.content.services
  const made = services.flatMap(service => (one === undefined ? [] : [{ ...one, service }]))
  // Only names count for where a node stands; contents of other products look otherwise.
  return { ...planned, content: JSON.parse(JSON.stringify({ services: made })) }
}

function group(
  name: string,
  kind: 'raft' | 'master-eligible' | 'pool',
  members: readonly string[],
): GroupDefinition {
  const type = kind === 'pool' ? { kind, percent: 50 } : { kind }
  return {
    name,
    type,
    members,
    maxUnavailable: 1,
    tolerance: tolerance(type, members.length),
    acceptQuorumLoss: false,
    declared: true,
  }
}

const NODES = [
  runs('m1', 'influxdb-meta', 'telegraf'),
  runs('m2', 'influxdb-meta'),
  runs('t1', 'telegraf'),
  runs('d1', 'influxdb'),
  runs('p1', 'prometheus'),
]
const META = group('meta', 'raft', ['m1', 'm2'])
const POOL = group('watchers', 'pool', ['p1'])

function plan(
  together: readonly string[] | undefined,
  more: Partial<RolloutPlan> = {},
  nodes = NODES,
) {
  const request = { revision: 1, author: 'ann', nodes, ...(together && { together }), ...more }
  return makePlan({ request, settings: {}, groups: [META, POOL], conditionOf: () => 'well' })
}

const phases = (made: ReturnType<typeof plan>) =>
  made.phases.map(({ name, coordinated, batches }) => ({
    name,
    coordinated,
    nodes: batches.flatMap(batch => batch.nodes.map(({ node, rank }) => [node, rank] as const)),
  }))

await t.test('the section stands between what is switched before and after it', t => {
  const made = plan(['meta'])

  t.match(phases(made), [
    { name: 'before', coordinated: false, nodes: [['t1']] },
    {
      name: 'together',
      coordinated: true,
      nodes: [
        ['m1', 0],
        ['m2', 0],
      ],
    },
    { name: 'after', coordinated: false, nodes: [['d1'], ['p1']] },
  ])
  const [, section] = made.phases
  const held = section?.batches[0]?.nodes.map(({ together }) => together)
  t.strictSame(held, ['influxdb-meta', 'influxdb-meta'], 'telegraf beside it is not held')
  t.equal(section?.maxFailures, 0)
  t.equal(section?.batches.length, 1)
  t.strictSame(made.together, ['meta'])
  t.match(made.windows, [{ code: 'window-group-meta', message: /down as a whole/ }])
  const some = plan(
    ['meta'],
    {},
    NODES.filter(({ node }) => node !== 'm1'),
  )
  t.match(some.windows, [{ message: /^1 of 2 members of group meta are down at the same time/ }])
  t.end()
})

await t.test('a group of two may be changed as a whole, and in no other way', t => {
  t.throws(() => plan(undefined), { code: 'quorum-loss' })
  t.doesNotThrow(() => plan(['meta']))
  t.end()
})

await t.test('several groups stop at once and start in the order in which they are named', t => {
  const [, section] = phases(plan(['watchers', 'meta']))

  t.strictSame(section?.nodes, [
    ['p1', 0],
    ['m1', 1],
    ['m2', 1],
  ])
  t.end()
})

await t.test(
  'equal plans have equal digests, and what is changed as a whole is another plan',
  t => {
    t.equal(plan(['meta']).digest, plan(['meta'], {}, NODES.toReversed()).digest)
    t.not(plan(['meta']).digest, plan(['watchers', 'meta']).digest)
    t.equal(
      plan(['meta'], { acknowledged: true }).digest,
      plan(['meta']).digest,
      'who acknowledges the downtime is no part of what is done',
    )
    t.equal(plan(['meta'], { acknowledged: true }).acknowledged, true)
    t.end()
  },
)

await t.test('a group that is not there, or of which nothing changes, is an error', t => {
  t.throws(() => plan(['metas']), { code: 'group-unknown', hint: /meta, watchers/ })
  const others = NODES.filter(({ node }) => !node.startsWith('p'))
  t.throws(() => plan(['meta', 'watchers'], {}, others), { code: 'together-empty' })
  t.end()
})
