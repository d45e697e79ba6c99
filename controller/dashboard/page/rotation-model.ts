// What may be done with a rotation now. Pure; the controller judges every request again.

import type { RotationView } from '../../../shared/contract/rotations.ts'
import type { Right } from './rights.ts'

export interface RotationChoice {
  readonly verb: 'advance' | 'resume' | 'abort' | 'taint'
  readonly label: string
  readonly effect: string
  readonly right: Right
  readonly refused: string | undefined
  readonly isGrave: boolean
}

export type Asked = Pick<
  RotationView,
  'waitsFor' | 'stopped' | 'direction' | 'isTainted' | 'author' | 'needsOthers' | 'confirmedBy'
>

/** `me`: the name of who looks. */
export function rotationVerbsOf(rotation: Asked, me: string): readonly RotationChoice[] {
  const { waitsFor, stopped, direction, isTainted } = rotation
  return [
    {
      verb: 'advance',
      label: 'Advance',
      effect:
        rotation.needsOthers > 1
          ? 'Your confirmation is noted, by name; the next phase waits for others still.'
          : 'The next phase begins.',
      right: 'confirmation',
      refused: waitsFor === 'advance' ? othersOnly(rotation, me) : NOT_YET[waitsFor],
      isGrave: false,
    },
    ...(stopped === undefined
      ? []
      : [
          {
            verb: 'resume',
            label: 'Resume',
            effect: 'It goes on where it has stopped.',
            right: 'admin',
            refused: undefined,
            isGrave: false,
          } as const,
        ]),
    {
      verb: 'abort',
      label: 'Take back',
      effect: 'Everything is taken back, phase by phase, until the old CA is the only one again.',
      right: 'admin',
      refused: direction === 'reverse' ? 'it is being taken back already' : undefined,
      isGrave: true,
    },
    {
      verb: 'taint',
      label: 'Compromised',
      effect:
        'The CA that is left is compromised: the rotation waits for no operator any more, but for those whom the fleet spec asks for.',
      right: 'admin',
      refused: isTainted ? 'it is known to be compromised' : undefined,
      isGrave: true,
    },
  ]
}

function othersOnly({ needsOthers, author, confirmedBy }: Asked, me: string): string | undefined {
  if (needsOthers === 0) return undefined
  if (author === me) return 'you have begun it: another operator confirms that trust is removed'
  return confirmedBy.includes(me) ? 'you have confirmed it: another one is waited for' : undefined
}

const NOT_YET = {
  nothing: 'it goes on by itself',
  rollout: 'its rollout is under way',
  barrier: 'nodes are not there yet',
  resume: 'it has stopped and is to be resumed first',
} as const
