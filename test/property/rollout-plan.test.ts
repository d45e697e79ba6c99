// Plans of rollouts: the same fleet, spec and previews give the same bytes, in whatever order they come,
// and what is stored is what was planned.

import fc from 'fast-check'
import t from 'tap'
import { assert } from '../../shared/assert.ts'
import type { GroupDefinition } from '../../controller/fleet/groups.ts'
import { makePlan } from '../../controller/rollout/plan.ts'
import { keptPreview, previewDigest } from '../../controller/rollout/node-preview.ts'
import type { Condition, PlannedNode } from '../../controller/rollout/rollout.ts'
import { plannedNodes } from '../../controller/rollout/steps.ts'
import { parsePlan, planToJson } from '../../controller/store/rollout-json.ts'
import type { NodePreview } from '../../shared/contract/rollout-plan.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'
import { digestOf } from '../../shared/digest.ts'
import { samplePlannedNode } from '../contract/samples.ts'
import { hold } from '../support/hold.ts'

const because = { code: 'changes-planned', message: '1 changes' }

function previewOf(activation: ServiceReport['activation'], nowMs: number): NodePreview {
  const change = {
    resource: '/etc/prometheus/web.yml',
    kind: 'file',
    action: 'create',
    summary: 'create it',
    reason: because,
    diff: `+${activation}\n`,
  } as const
  const service: ServiceReport = {
    service: 'prometheus',
    outcome: 'planned',
    reason: because,
    corrective: false,
    activation,
    activationReason: because,
    changes: [change],
    served: [],
    notices: [{ code: 'seen', message: `at ${nowMs}` }],
    notAfterMs: nowMs,
    renewAtMs: nowMs,
    activations: 0,
  }
  return { result: 'changes', reason: because, services: [service] }
}

const CONDITIONS: readonly Condition[] = ['broken', 'out', 'unknown', 'well', 'offline']

interface Sketch {
  readonly name: string
  readonly variant: number
  readonly condition: Condition
  readonly activation: ServiceReport['activation'] | undefined
  readonly isGrouped: boolean
  readonly order: number
}
type Fleet = readonly Sketch[]

const fleets: fc.Arbitrary<Fleet> = fc
  .uniqueArray(
    fc.record({
      name: fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/),
      variant: fc.integer({ min: 1, max: 3 }),
      condition: fc.constantFrom(...CONDITIONS),
      activation: fc.constantFrom(
        'none' as const,
        'reload' as const,
        'restart' as const,
        undefined,
      ),
      isGrouped: fc.boolean(),
      order: fc.nat(),
    }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 30 },
  )
  .map(nodes => nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1)))

function planned(fleet: Fleet, nowMs: number): readonly PlannedNode[] {
  return fleet.map(({ name, variant, activation }) => {
    const node = samplePlannedNode(name, variant)
    if (activation === undefined) return node
    return { ...node, preview: previewDigest(keptPreview(previewOf(activation, nowMs))) }
  })
}

function planOf(fleet: Fleet, nodes: readonly PlannedNode[], author = 'ada') {
  const conditions = new Map(fleet.map(({ name, condition }) => [name, condition]))
  const members = fleet.filter(({ isGrouped }) => isGrouped).map(({ name }) => name)
  const group: GroupDefinition = {
    name: 'meta',
    type: { kind: 'pool', percent: 25 },
    members,
    maxUnavailable: 1,
    tolerance: 1,
    acceptQuorumLoss: false,
    declared: true,
  }
  return makePlan({
    request: { revision: 3, author, nodes },
    settings: {},
    groups: members.length === 0 ? [] : [group],
    conditionOf: node => conditions.get(node) ?? 'well',
  })
}

const holding = {
  values: fleets,
  runs: 200,
  describe: (fleet: Fleet) => JSON.stringify(fleet),
}

await t.test('equal inputs give equal bytes, in whatever order and whenever they come', t =>
  hold(t, holding, async fleet => {
    const plan = planOf(fleet, planned(fleet, 1))
    const orders = new Map(fleet.map(({ name, order }) => [name, order]))
    const orderOf = ({ node }: PlannedNode) => orders.get(node) ?? 0
    const shuffled = planned(fleet, 2).toSorted((a, b) => orderOf(a) - orderOf(b))
    const again = planOf(fleet, shuffled)
    assert(planToJson(again) === planToJson(plan), 'the bytes are the same')
    assert(again.digest === plan.digest, 'the digest is the same')
  }),
)

await t.test('who applies it is not in the digest, what a node said is', t =>
  hold(t, holding, async fleet => {
    const nodes = planned(fleet, 1)
    const plan = planOf(fleet, nodes)
    const [first, ...rest] = nodes
    assert(first !== undefined, 'there is a node')
    const other = planOf(fleet, [{ ...first, preview: '0'.repeat(64) }, ...rest])
    assert(planOf(fleet, nodes, 'bob').digest === plan.digest, 'bob plans the same')
    assert(other.digest !== plan.digest, 'another diff is another plan')
  }),
)

await t.test('a stored plan is read as it was, and has each node once', t =>
  hold(t, holding, async fleet => {
    const plan = planOf(fleet, planned(fleet, 1))
    const contents = new Map(plannedNodes(plan).map(one => [one.node, one.content]))
    const read = parsePlan(node => contents.get(node) ?? { services: [] })
    const stored = read(JSON.parse(planToJson(plan)))
    const names = plannedNodes(plan).map(({ node }) => node)
    assert(
      digestOf(JSON.parse(planToJson(stored))) === digestOf(JSON.parse(planToJson(plan))),
      'as it was',
    )
    assert(new Set(names).size === fleet.length && names.length === fleet.length, 'each node once')
  }),
)
