// The batches of a rollout as a row of boxes; the current one says how long it is still watched.

import { useRef } from 'preact/hooks'
import type { StepState } from '../../../../shared/contract/operator-api.ts'
import type { StepList } from '../../../../shared/contract/rollout-verbs.ts'
import { count, duration } from '../format.ts'
import { batchesOf } from '../rollout-model.ts'
import { STEP_STATES } from '../words.ts'
import { segmentsOfSteps } from './step-bar.tsx'
import { Meter } from './status.tsx'

export function stepStateOf(text: string): StepState | undefined {
  return STATES.find(state => state === text)
}
const STATES: readonly StepState[] = [
  'waiting',
  'assigned',
  'staged',
  'permitted',
  'applying',
  'suspect',
  'done',
  'reverted',
  'refused',
  'broken',
  'deferred',
  'skipped',
]

export function Batches({
  list,
  hasEnded,
  nowMs,
}: {
  list: StepList
  hasEnded: boolean
  nowMs: number
}) {
  const soakLeftMs = useCountdown(list.soakLeftMs, nowMs, list.pausedBy.length > 0)
  const batches = batchesOf(list, stepStateOf)
  return (
    <ol class="batches" aria-label="Batches">
      {batches.map(({ number, place, total, states }) => {
        const isCurrent = place === 'current' && !hasEnded
        const done = states.get('done') ?? 0
        return (
          <li
            key={number}
            class={`batch batch-${hasEnded ? 'passed' : place}`}
            aria-current={isCurrent ? 'step' : undefined}
          >
            <span class="batch-name">
              {number === 1 && batches.length > 1 ? 'Canaries' : `Batch ${number}`}
            </span>
            <Meter
              segments={segmentsOfSteps(states)}
              label={`${done} of ${count(total, 'node')} ${STEP_STATES.done.label.toLowerCase()}`}
            />
            <span class="muted">
              {done} of {total}
              {isCurrent && soakLeftMs !== undefined
                ? soakLeftMs > 0
                  ? `, watched for ${duration(soakLeftMs)} more`
                  : ', watched long enough'
                : ''}
            </span>
          </li>
        )
      })}
    </ol>
  )
}

/** Goes on between two answers; the controller's clock stands during a pause. */
function useCountdown(
  leftMs: number | undefined,
  nowMs: number,
  isStanding: boolean,
): number | undefined {
  const told = useRef({ leftMs, atMs: nowMs })
  if (told.current.leftMs !== leftMs) told.current = { leftMs, atMs: nowMs }
  if (leftMs === undefined || isStanding) return leftMs
  return Math.max(0, leftMs - (nowMs - told.current.atMs))
}
