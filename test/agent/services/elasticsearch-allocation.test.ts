// Around a restart the cluster allocates primaries only; whatever the order in which members leave and
// come back, at the end it is as it was, and what an operator has set stays.

import fc from 'fast-check'
import t from 'tap'
import { ALLOCATION } from '../../../agent/services/elasticsearch/allocation.ts'
import type { AbsenceStep } from '../../../agent/services/service.ts'

const ENABLE = 'cluster.routing.allocation.enable'
type Settings = Record<string, string>

const answer = (persistent: object, transient: object = {}) => ({
  status: 200,
  headers: {},
  body: JSON.stringify({ persistent, transient }),
})
const written = (step: AbsenceStep): unknown =>
  step.kind === 'write' ? JSON.parse(step.json) : step

await t.test('the first that leaves writes, the last that is back takes it back', async t => {
  const first = ALLOCATION.announce(answer({}), 'a', 'note')
  const held = { [ENABLE]: 'primaries', 'cluster.metadata.tlsfleet_absence_a': 'note' }
  t.strictSame(written(first), { persistent: held })
  const both = { ...held, 'cluster.metadata.tlsfleet_absence_b': 'note' }
  t.strictSame(written(ALLOCATION.withdraw(answer(both), 'a', false)), {
    persistent: { 'cluster.metadata.tlsfleet_absence_a': null },
  })
  t.strictSame(written(ALLOCATION.withdraw(answer(held), 'a', false)), {
    persistent: { 'cluster.metadata.tlsfleet_absence_a': null, [ENABLE]: null },
  })
  t.strictSame(ALLOCATION.withdraw(answer({}), 'a', true), { kind: 'nothing' })
})

await t.test('what an operator has set is left alone', async t => {
  for (const [persistent, transient] of [
    [{ [ENABLE]: 'none' }, {}],
    [{ [ENABLE]: 'primaries' }, {}],
    [{}, { [ENABLE]: 'all' }],
  ] as const)
    t.strictSame(ALLOCATION.announce(answer(persistent, transient), 'a', ''), { kind: 'nothing' })
  const changed = { [ENABLE]: 'none', 'cluster.metadata.tlsfleet_absence_a': '' }
  t.strictSame(
    written(ALLOCATION.withdraw(answer(changed), 'a', false)),
    { persistent: { 'cluster.metadata.tlsfleet_absence_a': null } },
    'also when it was set meanwhile',
  )
  t.strictSame(
    ALLOCATION.withdraw(answer({ [ENABLE]: 'primaries' }), 'a', false),
    { kind: 'nothing' },
    'a debt that left no mark is none',
  )
})

await t.test('an answer that is none says so', async t => {
  const refused = { status: 403, headers: {}, body: '{}' }
  t.match(ALLOCATION.announce(refused, 'a', ''), { kind: 'unable', why: /403/ })
  t.match(ALLOCATION.withdraw({ ...refused, status: 200 }, 'a', false), { kind: 'unable' })
})

type Act = { readonly member: 'a' | 'b' | 'c'; readonly kind: 'read' | 'write' }

/** Members leave and come back, and each of their reads and writes may fall between those of others. */
await t.test('whatever the order of their reads and writes, nothing is left over', async t => {
  const act = fc.record({
    member: fc.constantFrom('a' as const, 'b' as const, 'c' as const),
    kind: fc.constantFrom('read' as const, 'write' as const),
  })
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60, size: 'max' }), acts => {
      const cluster = createCluster()
      const members = { a: createMember('a'), b: createMember('b'), c: createMember('c') }
      for (const { member, kind } of acts) members[member].go(cluster, kind)
      const rest: Act[] = Object.values(members).flatMap(({ name }) =>
        Array.from({ length: 30 }, (_, index) => ({
          member: name,
          kind: index % 2 === 0 ? 'read' : 'write',
        })),
      )
      for (const member of Object.values(members)) member.end()
      for (const { member, kind } of rest) members[member].go(cluster, kind)
      return Object.keys(cluster.settings()).length === 0
    }),
    { numRuns: 2_000 },
  )
  t.pass('2,000 orders')
})

interface Cluster {
  settings(): Settings
  put(json: string): void
}

function createCluster(): Cluster {
  let settings: Settings = {}
  return {
    settings: () => settings,
    put(json) {
      const { persistent }: { persistent: Record<string, string | null> } = JSON.parse(json)
      const next: Settings = {}
      for (const [key, value] of Object.entries({ ...settings, ...persistent }))
        if (value !== null) next[key] = value
      settings = next
    },
  }
}

// Leaves, comes back, and so on; once told to end it only comes back.
function createMember<N extends 'a' | 'b' | 'c'>(name: N) {
  let phase: 'here' | 'away' = 'here'
  let wasMarked = false
  let isEnding = false
  let step: AbsenceStep | undefined
  return {
    name,
    end() {
      isEnding = true
    },
    go(cluster: Cluster, kind: 'read' | 'write') {
      if (kind === 'read') {
        const seen = answer(cluster.settings())
        if (phase === 'away') step = ALLOCATION.withdraw(seen, name, wasMarked)
        else step = isEnding ? undefined : ALLOCATION.announce(seen, name, 'note')
        return
      }
      const due = step
      step = undefined
      if (due === undefined) return
      if (due.kind === 'write') cluster.put(due.json)
      if (phase === 'here') phase = 'away'
      else if (due.kind === 'write') wasMarked = true
      else {
        phase = 'here'
        wasMarked = false
      }
    },
  }
}
