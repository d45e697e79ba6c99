import type { StepState } from '../../../../shared/contract/operator-api.ts'
import { STEP_ORDER } from '../rollout-model.ts'
import { STEP_STATES } from '../words.ts'
import { Meter, type Segment } from './status.tsx'

export function segmentsOfSteps(counts: ReadonlyMap<StepState, number>): readonly Segment[] {
  return STEP_ORDER.map(state => ({ word: STEP_STATES[state], value: counts.get(state) ?? 0 }))
}

/** How far a rollout is. */
export function StepBar({ counts }: { counts: ReadonlyMap<StepState, number> }) {
  const segments = segmentsOfSteps(counts)
  const label = segments
    .filter(({ value }) => value > 0)
    .map(({ word, value }) => `${value} ${word.label.toLowerCase()}`)
    .join(', ')
  return <Meter segments={segments} label={label} />
}
