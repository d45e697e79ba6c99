import t from 'tap'
import { limitOf, tolerance } from '../../../controller/fleet/groups.ts'
import { groupsOf } from '../../../controller/fleet/groups.ts'
import { isMaintenance } from '../../../controller/fleet/rollout-spec.ts'
import { mayLease } from '../../../controller/rollout/budget.ts'
import { makePlan } from '../../../controller/rollout/plan.ts'
import type { FleetView, GroupView, LeaseView } from '../../../controller/rollout/rollout.ts'
import { settingsFor } from '../../../controller/rollout/settings.ts'
import { samplePlan } from '../../contract/samples.ts'

const WHY = { code: 'offline', message: 'the agent is not connected' }
const LEASE: LeaseView = { purpose: 'rollout', generation: 1 }

interface Members {
  readonly limit?: number
  readonly most?: number
  readonly out?: readonly string[]
  readonly leased?: readonly string[]
}

function fleet(groups: Readonly<Record<string, readonly string[]>>, more: Members): FleetView {
  const { limit = 1, most = 1, out = [], leased = [] } = more
  const views = Object.entries(groups).map(([name, members]): [string, GroupView] => [
    name,
    {
      name,
      members: new Set(members),
      maxUnavailable: most,
      limit,
      out: new Map(out.filter(one => members.includes(one)).map(one => [one, WHY])),
      leases: new Map(leased.filter(one => members.includes(one)).map(one => [one, LEASE])),
    },
  ])
  const nodes = new Set(Object.values(groups).flat())
  const of = (node: string) => Object.keys(groups).filter(name => groups[name]?.includes(node))
  return {
    nodes: new Map(),
    groups: new Map(views),
    groupsOf: new Map([...nodes].map(node => [node, of(node)])),
  }
}

await t.test('who may take a lease', t => {
  const raft = { g: ['a', 'b', 'c'] }
  const table: readonly [string, FleetView, string, readonly string[], string | undefined][] = [
    ['nobody is out', fleet(raft, {}), 'a', [], undefined],
    ['a node in no group', fleet(raft, { leased: ['a', 'b'] }), 'x', [], undefined],
    ['one is out', fleet(raft, { out: ['b'] }), 'a', [], 'budget-out'],
    ['the one that is out', fleet(raft, { out: ['b'] }), 'b', [], undefined],
    [
      'repairs do not run side by side',
      fleet(raft, { out: ['a', 'b'], leased: ['a'] }),
      'b',
      [],
      'budget-leased',
    ],
    ['another holds it', fleet(raft, { leased: ['b'] }), 'a', [], 'budget-leased'],
    ['its own lease, again', fleet(raft, { leased: ['a'] }), 'a', [], undefined],
    ['another was promised it', fleet(raft, {}), 'a', ['b'], 'budget-leased'],
    ['somebody outside was promised one', fleet(raft, {}), 'a', ['x'], undefined],
    [
      'two of five',
      fleet({ g: ['a', 'b', 'c', 'd', 'e'] }, { limit: 2, most: 2, leased: ['b'] }),
      'a',
      [],
      undefined,
    ],
    [
      'one held and one out',
      fleet({ g: ['a', 'b', 'c', 'd', 'e'] }, { limit: 2, most: 2, leased: ['b'], out: ['c'] }),
      'a',
      [],
      'budget-out',
    ],
    [
      'the second of its groups',
      fleet({ g: ['a', 'b'], h: ['a', 'c'] }, { leased: ['c'] }),
      'a',
      [],
      'budget-leased',
    ],
    ['nobody can be lost', fleet({ g: ['a', 'b'] }, { limit: 0 }), 'a', [], 'budget-none'],
    [
      'nobody can be lost, and one is held',
      fleet({ g: ['a', 'b'] }, { limit: 0, leased: ['b'] }),
      'a',
      [],
      'budget-leased',
    ],
  ]
  for (const [what, view, node, promised, code] of table)
    t.equal(mayLease({ node, promised: new Set(promised) }, view)?.code, code, what)
  t.end()
})

await t.test('a group that can lose nobody says so, by name, and what to do', t => {
  const { message } = mayLease({ node: 'a' }, fleet({ g: ['a', 'b'] }, { limit: 0 })) ?? {}
  t.match(message, /^group g has 2 members and can spare none: .*acceptQuorumLoss: true/)
  t.end()
})

await t.test('what groups can lose', t => {
  const raft = [1, 2, 3, 4, 5, 7].map(size => tolerance({ kind: 'raft' }, size))
  t.same(raft, [1, 0, 1, 1, 2, 3])
  t.equal(tolerance({ kind: 'replicated', replication: 3 }, 6), 2)
  t.same(
    [2, 10, 19].map(size => tolerance({ kind: 'pool', percent: 25 }, size)),
    [1, 2, 4],
  )
  const group = { maxUnavailable: 1, tolerance: 0 }
  t.equal(limitOf({ ...group, acceptQuorumLoss: false }), 0)
  t.equal(limitOf({ ...group, acceptQuorumLoss: true }), 1)

  const nodes = ['a', 'b', 'c'].map(name => ({ name, labels: {} }))
  const spec = { services: [{ service: 'influxdb-meta' as const, nodes: 'all' as const }] }
  t.match(groupsOf(spec, nodes), [
    { name: 'influxdb-meta', members: ['a', 'b', 'c'], tolerance: 1 },
  ])
  const data = { service: 'influxdb' as const, nodes: 'all' as const }
  t.same(groupsOf({ services: [data] }, nodes), [], 'without meta nodes they are no cluster')
  t.match(groupsOf({ services: [...spec.services, data] }, nodes), [
    { name: 'influxdb-meta' },
    { name: 'influxdb-data', tolerance: 1 },
  ])
  const one = { service: 'influxdb-meta' as const, nodes: { names: ['a'] } }
  const running = new Map([['influxdb-meta' as const, new Set(['a', 'b', 'c', 'gone'])]])
  t.match(
    groupsOf({ services: [one] }, nodes, running),
    [{ name: 'influxdb-meta', members: ['a', 'b', 'c'], tolerance: 1 }],
    'a spec that names one of them does not make the cluster smaller',
  )
  t.match(groupsOf({ services: [] }, nodes, running), [{ members: ['a', 'b', 'c'] }])
  const mine = {
    name: 'mine',
    nodes: { names: ['a', 'b'] },
    type: { kind: 'raft' as const },
    maxUnavailable: undefined,
    acceptQuorumLoss: false,
  }
  const both = groupsOf({ ...spec, groups: [mine] }, nodes)
  t.match(both, [{ name: 'mine', members: ['a', 'b'], declared: true }, { members: ['c'] }])
  const request = samplePlan(['a'])
  const input = { request, settings: {}, groups: both, conditionOf: () => 'well' as const }
  t.throws(() => makePlan(input), { code: 'quorum-loss' })
  t.end()
})

await t.test('a plan: canaries, then parts; the same inputs give the same plan', t => {
  const names = Array.from({ length: 40 }, (_, index) => `n${100 + index}`)
  const groups = groupsOf({ services: [] }, [])
  const plan = (of: readonly string[]) =>
    makePlan({ request: samplePlan(of), settings: {}, groups, conditionOf: () => 'well' })
  const made = plan(names)
  t.same(
    made.phases[0]?.batches.map(({ nodes, rule }) => [nodes.length, rule]),
    [
      [1, 'strict'],
      [3, 'wide'],
      [16, 'wide'],
      [20, 'wide'],
    ],
  )
  t.strictSame(plan(names.toReversed()), made, 'R18')
  t.match(plan(['a', 'b']).phases[0]?.batches, [
    { rule: 'strict', soakMs: 0, nodes: { length: 2 } },
  ])
  t.equal(settingsFor(50, { maxFailuresPercent: 5 }).maxFailures, 2, 'rounded down')
  t.end()
})

await t.test('maintenance times may reach over midnight', t => {
  const nights = [{ days: [6], fromMs: 22 * 3_600_000, toMs: 4 * 3_600_000 }]
  const at = (text: string) => isMaintenance(nights, Date.parse(text))
  t.equal(at('2026-11-21T23:00:00Z'), true, 'Saturday')
  t.equal(at('2026-11-22T03:59:00Z'), true, 'Sunday morning')
  t.equal(at('2026-11-22T04:00:00Z'), false)
  t.equal(at('2026-11-22T23:00:00Z'), false, 'Sunday night')
  t.equal(isMaintenance(undefined, 0), true)
  t.end()
})
