// A rollout as the page shows it: how far it is, batch by batch, and what an operator may do with it
// now. Pure. The controller judges every request again; what is greyed here only saves the asking.

import type {
  RolloutStatus,
  RolloutView,
  StepState,
} from '../../../shared/contract/operator-api.ts'
import type { StepList } from '../../../shared/contract/rollout-verbs.ts'
import { refusalFor, type Right, type Role } from './rights.ts'
import { PAUSED, ROLLOUT_STATES, type Word } from './words.ts'

export type Verb =
  | 'approve'
  | 'start'
  | 'pause'
  | 'resume'
  | 'promote'
  | 'abort'
  | 'rollback'
  | 'retry'
export type StepVerb = 'skip' | 'force-release'

export interface Choice<V> {
  readonly verb: V
  readonly label: string
  /** What happens, for who is asked to confirm. */
  readonly effect: string
  /** Why it cannot be chosen now. */
  readonly refused: string | undefined
  readonly isGrave: boolean
}

type Known = Pick<RolloutView, 'status'> & {
  readonly pausedBy: readonly string[]
  readonly steps: readonly { readonly state: string }[]
}

const ENDED: readonly RolloutStatus[] = ['succeeded', 'partial', 'failed', 'aborted', 'superseded']

export function hasEnded(status: RolloutStatus): boolean {
  return ENDED.includes(status)
}

export function statusWord(status: RolloutStatus, pausedBy: readonly string[]): Word {
  return pausedBy.length > 0 && !hasEnded(status) ? PAUSED : ROLLOUT_STATES[status]
}

/** Those that can have a meaning in this state; the others are left out. */
export function verbsOf(rollout: Known, role: Role): readonly Choice<Verb>[] {
  const { status, pausedBy } = rollout
  const isMoving = status === 'staging' || status === 'running'
  const isPaused = pausedBy.some(cause => cause !== 'frozen')
  const choice = (
    verb: Verb,
    label: string,
    effect: string,
    more: { readonly unless?: string | undefined; readonly isGrave?: boolean } = {},
  ): Choice<Verb> => ({
    verb,
    label,
    effect,
    refused: refusalFor(role, rightFor(verb)) ?? more.unless,
    isGrave: more.isGrave ?? false,
  })
  if (hasEnded(status))
    return [
      choice('retry', 'Retry', 'A new rollout takes the nodes that did not get there once more.', {
        unless: status === 'succeeded' ? 'every node is done' : undefined,
      }),
      choice('rollback', 'Roll back', 'A new rollout gives every node what it had before.', {
        isGrave: true,
      }),
    ]
  const isFrozenOnly = pausedBy.length > 0 && !isPaused
  return [
    ...(status === 'planned'
      ? [
          choice('approve', 'Approve', 'Your approval is noted, by name.'),
          choice('start', 'Start', 'Nodes begin to prepare the change.'),
        ]
      : []),
    ...(isMoving && isPaused
      ? [choice('resume', 'Resume', 'Permits are given again.')]
      : isMoving
        ? [
            choice('pause', 'Pause', 'No further permit is given; steps in motion end.', {
              unless: isFrozenOnly
                ? 'it is frozen, and goes on when the freeze is lifted'
                : undefined,
            }),
          ]
        : []),
    ...(status === 'running'
      ? [
          choice(
            'promote',
            'Promote',
            'The batch passes, and the next one begins. Where a group waits to be stopped as a whole, its downtime is acknowledged.',
          ),
        ]
      : []),
    choice(
      'abort',
      'Abort',
      'Steps in motion are waited for; every node that is not done gets back what it had.',
      {
        isGrave: true,
        unless: status === 'draining' ? 'it is ending already' : undefined,
      },
    ),
  ]
}

const SKIPPABLE: readonly string[] = ['waiting', 'assigned', 'staged', 'deferred']

export function stepVerbsOf(
  state: string,
  status: RolloutStatus,
  role: Role,
): readonly Choice<StepVerb>[] {
  if (hasEnded(status)) return []
  const refused = refusalFor(role, 'operator')
  if (SKIPPABLE.includes(state) && status !== 'draining')
    return [
      {
        verb: 'skip',
        label: 'Skip',
        effect: 'The node is taken out of this rollout and keeps what it has.',
        refused,
        isGrave: false,
      },
    ]
  if (state === 'suspect' || state === 'broken')
    return [
      {
        verb: 'force-release',
        label: 'Force release',
        effect:
          'Its lease is taken although nobody knows how it is: another node of its group may be interrupted while this one is down. Look at the machine first.',
        refused,
        isGrave: true,
      },
    ]
  return []
}

function rightFor(verb: Verb): Right {
  return verb === 'approve' ? 'approval' : 'operator'
}

export interface BatchProgress {
  readonly number: number
  readonly place: 'passed' | 'current' | 'ahead'
  readonly total: number
  readonly states: ReadonlyMap<StepState, number>
}

/** Batches in order. The controller counts them from zero, people from one. */
export function batchesOf(
  list: Pick<StepList, 'batch' | 'batches' | 'steps'>,
  stateOf: (text: string) => StepState | undefined,
): readonly BatchProgress[] {
  const found = Array.from({ length: list.batches }, () => new Map<StepState, number>())
  for (const { batch, state } of list.steps) {
    const known = stateOf(state)
    const counts = found[batch]
    if (known !== undefined && counts !== undefined) counts.set(known, (counts.get(known) ?? 0) + 1)
  }
  return found.map((states, index) => ({
    number: index + 1,
    place: index < list.batch ? 'passed' : index === list.batch ? 'current' : 'ahead',
    total: [...states.values()].reduce((sum, one) => sum + one, 0),
    states,
  }))
}

export const STEP_ORDER: readonly StepState[] = [
  'done',
  'applying',
  'permitted',
  'staged',
  'assigned',
  'waiting',
  'suspect',
  'reverted',
  'refused',
  'broken',
  'deferred',
  'skipped',
]

export function countSteps(
  steps: readonly { readonly state: StepState }[],
): ReadonlyMap<StepState, number> {
  const counts = new Map<StepState, number>()
  for (const { state } of steps) counts.set(state, (counts.get(state) ?? 0) + 1)
  return counts
}

/** Of a list of rollouts, which has no steps. */
export function countsOf({ stepCounts = {} }: Pick<RolloutView, 'stepCounts'>): {
  readonly counts: ReadonlyMap<StepState, number>
  readonly nodes: number
} {
  const counts = new Map(
    STEP_ORDER.flatMap(state => {
      const nodes = stepCounts[state]
      return nodes === undefined ? [] : [[state, nodes] as const]
    }),
  )
  return { counts, nodes: [...counts.values()].reduce((sum, nodes) => sum + nodes, 0) }
}

/** Steps that need somebody first, then those in motion, then by name. */
export function stepsInOrder<S extends { readonly node: string; readonly state: string }>(
  steps: readonly S[],
): readonly S[] {
  return steps.toSorted((a, b) => rank(a.state) - rank(b.state) || collator.compare(a.node, b.node))
}

const RANKS = [
  'broken',
  'suspect',
  'reverted',
  'refused',
  'applying',
  'permitted',
  'assigned',
  'staged',
  'waiting',
  'deferred',
  'skipped',
  'done',
]
const collator = new Intl.Collator('en', { numeric: true })

function rank(state: string): number {
  return RANKS.indexOf(state)
}
