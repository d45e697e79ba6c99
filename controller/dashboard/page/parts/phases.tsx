// The five phases of a rotation, and which of them it is in.

import type { RotationPhase, RotationSummary } from '../../../../shared/contract/rotations.ts'
import { ShapeIcon } from './icons.tsx'

export const PHASES: readonly { readonly phase: RotationPhase; readonly meaning: string }[] = [
  { phase: 'prepare', meaning: 'The new CA exists' },
  { phase: 'distribute', meaning: 'Everybody trusts both' },
  { phase: 'activate', meaning: 'The new one signs and is served' },
  { phase: 'retire', meaning: 'Nobody trusts the old one any more' },
  { phase: 'deny', meaning: 'The keys of the old one are destroyed' },
]

export function Phases({
  rotation: { phase, status, direction },
}: {
  rotation: Pick<RotationSummary, 'phase' | 'status' | 'direction'>
}) {
  const at = PHASES.findIndex(one => one.phase === phase)
  return (
    <ol class="phases" aria-label="Phases">
      {PHASES.map(({ phase: name, meaning }, index) => {
        const isDone = status === 'completed' || (status === 'running' && index < at)
        const isCurrent = status === 'running' && index === at
        return (
          <li
            key={name}
            class={`phase${isDone ? ' phase-done' : ''}${isCurrent ? ' phase-current' : ''}`}
            aria-current={isCurrent ? 'step' : undefined}
            title={meaning}
          >
            <ShapeIcon
              shape={
                isDone ? 'check' : isCurrent ? (direction === 'reverse' ? 'back' : 'half') : 'dots'
              }
            />
            {name}
          </li>
        )
      })}
    </ol>
  )
}
