import t from 'tap'
import { decide } from '../../../controller/rollout/decide.ts'
import type { FleetView, GroupView, VantageKind } from '../../../controller/rollout/rollout.ts'
import { nowAt } from '../../contract/samples.ts'
import { brief, fleetOf, nodeView, reporting, rolloutWith } from './states.ts'

const WHY = { code: 'why', message: 'because' }

function group(change: Partial<GroupView> = {}): Pick<FleetView, 'groups' | 'groupsOf'> {
  const members = ['a', 'b', 'c']
  const view: GroupView = {
    name: 'g',
    members: new Set(members),
    maxUnavailable: 1,
    limit: 1,
    out: new Map(),
    leases: new Map(),
    ...change,
  }
  return { groups: new Map([['g', view]]), groupsOf: new Map(members.map(one => [one, ['g']])) }
}

const staged = () => fleetOf(...['a', 'b', 'c'].map(node => reporting(node, 'staged')))
const permitted = (fleet: FleetView, states: Parameters<typeof rolloutWith>[1]) =>
  brief(decide(rolloutWith('running', states), fleet, nowAt())).map(String)

await t.test('who leads is changed last, who is out first, as of now', async t => {
  const all = { a: 'staged', b: 'staged', c: 'staged' } as const
  const led = { ...staged(), ...group({ leader: 'a' }) }
  t.match(permitted(led, all), [/^node-permitted b/])
  t.match(permitted({ ...staged(), ...group({ leader: 'b' }) }, all), [/^node-permitted a/])
  const out = new Map([['c', WHY]])
  t.match(permitted({ ...staged(), ...group({ leader: 'c', out }) }, all), [/^node-permitted c/])
  const last = { a: 'staged', b: 'done', c: 'done' } as const
  t.match(permitted(led, last), [/^node-permitted a/], 'at the end it is its turn')
})

await t.test('nobody is permitted before it is known how the batch was', async t => {
  const all = { a: 'staged', b: 'staged' } as const
  t.same(permitted({ ...staged(), baseline: 'pending' }, all), [])
  const baseline = { unseen: [], clusters: [] }
  t.match(permitted({ ...staged(), baseline }, all), [/^baseline-taken/, /^node-permitted a/])
})

await t.test('a change does not start by itself in a group that is red', async t => {
  const planned = rolloutWith('planned', { a: 'waiting' })
  const fleet = (change: Partial<GroupView>) => ({ ...fleetOf(nodeView('a')), ...group(change) })
  t.same(brief(decide(planned, fleet({ health: 'red' }), nowAt())), [])
  t.same(brief(decide(planned, fleet({ health: 'yellow' }), nowAt())), ['started'])
})

await t.test('a report of success is believed with what another node sees', async t => {
  const seen = (kind: VantageKind) => {
    const fleet = {
      ...fleetOf(reporting('a', 'changed')),
      vantageOf: () => ({ kind, reason: WHY }),
    }
    const events = decide(rolloutWith('running', { a: 'applying', b: 'waiting' }), fleet, nowAt())
    return events.filter(event => 'node' in event && event.node === 'a').map(({ kind: one }) => one)
  }
  t.same(seen('agrees'), ['node-done'])
  t.same(seen('none'), ['node-done'])
  t.same(seen('pending'), [])
  t.same(seen('disagrees'), ['node-healthy'], 'a moment is given')
  t.same(seen('unreachable'), ['node-healthy'])
})
