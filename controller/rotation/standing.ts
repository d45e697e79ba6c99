// How the CAs stand in each phase of a rotation. Level, not edge: whatever happened before, these are
// their states now. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { AuthorityState } from '../store/store.ts'
import { isOpen, type Rotation } from './rotation.ts'

export interface Standing {
  readonly id: string
  readonly state: AuthorityState
}

/** The one that stops signing first, because two never sign. Empty for a change of issuer. */
export function standingsOf(rotation: Rotation): readonly Standing[] {
  const { subject, status } = rotation
  if (subject.kind === 'issuer') return []
  const { from, to } = subject
  const [old, next] = isOpen(rotation)
    ? statesIn(rotation)
    : status === 'completed'
      ? (['denied', 'active'] as const)
      : (['active', 'denied'] as const)
  const standings = [
    { id: from, state: old },
    { id: to, state: next },
  ]
  return standings.toSorted((a, b) => Number(a.state === 'active') - Number(b.state === 'active'))
}

/** Of the CA that is left and of the one that follows it. */
function statesIn({
  phase,
  direction,
}: Pick<Rotation, 'phase' | 'direction'>): readonly [AuthorityState, AuthorityState] {
  const isForward = direction === 'forward'
  switch (phase) {
    case 'prepare':
      return isForward ? ['active', 'prepared'] : ['active', 'denied']
    case 'distribute':
      return isForward ? ['active', 'trusted'] : ['active', 'retired']
    case 'activate':
      return isForward ? ['outgoing', 'active'] : ['active', 'outgoing']
    case 'retire':
      return ['retired', 'active']
    case 'deny':
      return ['denied', 'active']
    default:
      return unreachable(phase)
  }
}
