import t from 'tap'
import {
  evolve,
  evolveAll,
  IllegalTransition,
  startRollout,
} from '../../../controller/rollout/evolve.ts'
import type { Rollout, RolloutEvent } from '../../../controller/rollout/rollout.ts'
import { RolloutStatus, StepState } from '../../../shared/contract/operator-api.ts'
import { stepOf } from '../../../controller/rollout/steps.ts'
import { nowAt, planOf, samplePlan, T0 } from '../../contract/samples.ts'
import { rolloutWith, WHY } from './states.ts'

const STATES = StepState.options
const STATUSES = RolloutStatus.options

const at = { ...nowAt(7), node: 'a' }

// Event, the states that it may find, the statuses of the rollout in which it may come, the state
// after it (`same`: unchanged) and the generation after it.
const STEP_TABLE: readonly [
  RolloutEvent,
  string,
  string,
  StepState | 'same',
  number | undefined,
][] = [
  [{ kind: 'node-assigned', generation: 6, ...at }, 'waiting', 'staging running', 'assigned', 6],
  [{ kind: 'node-staged', ...at }, 'assigned', 'staging running', 'staged', 5],
  [{ kind: 'node-returned', ...at }, 'deferred', 'staging running', 'waiting', 5],
  [
    { kind: 'node-skipped', reason: WHY, ...at },
    'waiting assigned staged deferred',
    'planned staging running',
    'skipped',
    5,
  ],
  [
    { kind: 'node-healthy', ...at },
    'permitted applying suspect broken',
    'running draining',
    'same',
    5,
  ],
  [{ kind: 'lease-forced', reason: WHY, ...at }, 'suspect broken', 'running draining', 'broken', 5],
  [
    { kind: 'node-refused', reason: WHY, ...at },
    'assigned staged permitted',
    'staging running',
    'refused',
    5,
  ],
  [
    { kind: 'node-deferred', reason: WHY, ...at },
    'waiting assigned staged',
    'staging running',
    'deferred',
    5,
  ],
  [{ kind: 'node-permitted', generation: 6, ...at }, 'staged', 'running', 'permitted', 6],
  [
    { kind: 'permit-claimed', generation: 5, ...at },
    'permitted applying suspect',
    'running',
    'applying',
    5,
  ],
  [
    { kind: 'permit-withdrawn', generation: 6, reason: WHY, ...at },
    'permitted',
    'running draining',
    'staged',
    6,
  ],
  [{ kind: 'node-suspected', reason: WHY, ...at }, 'applying', 'running draining', 'suspect', 5],
  [
    { kind: 'node-done', ...at },
    'permitted applying suspect broken',
    'running draining',
    'done',
    5,
  ],
  [
    { kind: 'node-reverted', reason: WHY, ...at },
    'permitted applying suspect broken',
    'running draining',
    'reverted',
    5,
  ],
  [
    { kind: 'node-broken', reason: WHY, ...at },
    'permitted applying suspect',
    'running draining',
    'broken',
    5,
  ],
  [
    { kind: 'node-released', generation: 6, ...at },
    'assigned staged reverted refused deferred skipped',
    'running draining',
    'same',
    undefined,
  ],
]

await t.test('an event of a node finds the states that the table allows and no others', async t => {
  for (const [event, states, statuses, next, generation] of STEP_TABLE) {
    for (const status of STATUSES) {
      for (const state of STATES) {
        const rollout = rolloutWith(status, { a: state })
        const isAllowed = states.split(' ').includes(state) && statuses.split(' ').includes(status)
        const what = `${event.kind} in ${status}, ${state}`
        if (!isAllowed) {
          t.throws(() => evolve(rollout, event), IllegalTransition, what)
          continue
        }
        const after = stepOf(evolve(rollout, event), 'a')
        t.equal(after?.state, next === 'same' ? state : next, what)
        t.equal(
          after?.generation,
          state === 'waiting' && generation === 5 ? undefined : generation,
          what,
        )
        t.equal(after?.sinceMs, T0 + 7)
      }
    }
  }
})

await t.test(
  'an event of the rollout finds the statuses that the table allows and no others',
  async t => {
    const drain = (toward: 'failed' | 'aborted'): RolloutEvent => ({
      kind: 'draining',
      toward,
      reason: WHY,
      ...nowAt(),
    })
    const table: readonly [RolloutEvent, string, RolloutStatus | 'same'][] = [
      [{ kind: 'planned', ...nowAt() }, '', 'planned'],
      [{ kind: 'started', ...nowAt() }, 'planned', 'staging'],
      [{ kind: 'staged', ...nowAt() }, 'staging', 'running'],
      [{ kind: 'approved', by: 'bob', ...nowAt() }, 'planned', 'planned'],
      [{ kind: 'promoted', by: 'bob', ...nowAt() }, 'running', 'running'],
      [{ kind: 'batch-settled', ...nowAt() }, 'running', 'running'],
      [{ kind: 'paused', cause: 'manual', reason: WHY, ...nowAt() }, 'staging running', 'same'],
      [drain('failed'), 'staging running', 'draining'],
      [drain('aborted'), 'planned staging running', 'draining'],
      [{ kind: 'ended', status: 'succeeded', ...nowAt() }, 'running', 'succeeded'],
      [{ kind: 'ended', status: 'failed', ...nowAt() }, 'draining', 'failed'],
    ]
    for (const [event, statuses, next] of table) {
      for (const status of STATUSES) {
        const rollout = rolloutWith(status, { a: 'done' })
        const what = `${event.kind} in ${status}`
        if (statuses.split(' ').includes(status))
          t.equal(evolve(rollout, event).status, next === 'same' ? status : next, what)
        else t.throws(() => evolve(rollout, event), IllegalTransition, what)
      }
    }
  },
)

await t.test('the conditions that are more than a state', async t => {
  const ended = (status: 'succeeded' | 'partial' | 'failed' | 'aborted'): RolloutEvent => ({
    kind: 'ended',
    status,
    ...nowAt(),
  })
  const permit: RolloutEvent = { kind: 'node-permitted', generation: 6, ...at }
  const refused: readonly [string, Rollout, RolloutEvent][] = [
    [
      'a node outside of the plan',
      rolloutWith('staging', { b: 'waiting' }),
      { kind: 'node-staged', ...at },
    ],
    [
      'a node of a name that objects have by themselves',
      rolloutWith('staging', { b: 'waiting' }),
      { kind: 'node-staged', ...nowAt(), node: 'constructor' },
    ],
    [
      'a generation that is not higher',
      rolloutWith('running', { a: 'staged' }),
      { ...permit, generation: 5 },
    ],
    [
      'a claim of another generation',
      rolloutWith('running', { a: 'permitted' }),
      { kind: 'permit-claimed', generation: 4, ...at },
    ],
    [
      'a release of what was never given',
      rolloutWith('draining', { a: 'waiting' }),
      { kind: 'node-released', generation: 6, ...at },
    ],
    [
      'staged with a node assigned',
      rolloutWith('staging', { a: 'assigned' }),
      { kind: 'staged', ...nowAt() },
    ],
    ['an end with a step in motion', rolloutWith('draining', { a: 'suspect' }), ended('failed')],
    [
      'an end that it does not drain toward',
      rolloutWith('draining', { a: 'done' }),
      ended('aborted'),
    ],
    ['success with a deferred step', rolloutWith('running', { a: 'deferred' }), ended('succeeded')],
    ['partial with all done', rolloutWith('running', { a: 'done' }), ended('partial')],
    [
      'partial with a failure',
      rolloutWith('running', { a: 'refused', b: 'done' }),
      ended('partial'),
    ],
    ['an end with a step staged', rolloutWith('running', { a: 'staged' }), ended('partial')],
    ['failed without draining', rolloutWith('running', { a: 'done' }), ended('failed')],
  ]
  for (const state of [
    'permitted',
    'applying',
    'suspect',
    'reverted',
    'refused',
    'broken',
  ] as const) {
    const rollout = rolloutWith('running', { a: 'staged', b: state })
    t.throws(
      () => evolve(rollout, permit),
      IllegalTransition,
      `a permit beside a step that is ${state}`,
    )
  }
  for (const [what, rollout, event] of refused) {
    t.throws(() => evolve(rollout, event), IllegalTransition, what)
  }
  const partial = evolve(rolloutWith('running', { a: 'deferred', b: 'done' }), ended('partial'))
  t.equal(partial.status, 'partial')
  t.equal(partial.endedAtMs, T0)
})

await t.test(
  'a rollout begins with planned, each event is a version, and nothing given is changed',
  async t => {
    const plan = planOf(samplePlan(['a', 'b']))
    const first = startRollout('r1', plan, { kind: 'planned', ...nowAt() })
    const before = structuredClone(first)
    const events: readonly RolloutEvent[] = [
      { kind: 'started', ...nowAt(1) },
      { kind: 'node-assigned', node: 'b', generation: 1, ...nowAt(2) },
      { kind: 'node-refused', node: 'b', reason: WHY, ...nowAt(3) },
      { kind: 'draining', toward: 'failed', reason: WHY, ...nowAt(4) },
      { kind: 'node-released', node: 'b', generation: 2, ...nowAt(5) },
      { kind: 'ended', status: 'failed', ...nowAt(6) },
    ]

    const last = evolveAll(first, events)

    t.strictSame(events.reduce(evolve, first), last, 'one by one or all at once is the same')
    t.strictSame(first, before)
    t.equal(last.version, 7)
    t.match(last, { status: 'failed', reason: WHY, startedAtMs: T0 + 1, endedAtMs: T0 + 6 })
    t.strictSame(stepOf(last, 'b'), {
      node: 'b',
      state: 'refused',
      // What was taken back is not taken back once more.
      generation: undefined,
      holds: undefined,
      reason: WHY,
      sinceMs: T0 + 5,
      timeMs: 3,
      healthyTimeMs: undefined,
      claimSequence: undefined,
      held: undefined,
    })
    t.throws(() => startRollout('r1', plan, { kind: 'started', ...nowAt() }), IllegalTransition)
    t.throws(
      () => startRollout('r1', planOf(samplePlan(['a', 'a'])), { kind: 'planned', ...nowAt() }),
      /twice/,
    )
  },
)
