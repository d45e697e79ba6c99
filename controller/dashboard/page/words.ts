// What states are called, what they mean, and how they look: a tone and a shape, because colours alone
// tell nothing to many people. Pure.

import type { AuthorityState } from '../../../shared/contract/authorities.ts'
import type { CertificateState } from '../../../shared/contract/certificates.ts'
import type { NodeState, RolloutStatus, StepState } from '../../../shared/contract/operator-api.ts'
import type { OutcomeKind } from '../../../shared/contract/report.ts'
import type { RotationNodeView, RotationSummary } from '../../../shared/contract/rotations.ts'

export type Tone = 'ok' | 'info' | 'warn' | 'bad' | 'off'
export type Shape =
  | 'check'
  | 'half'
  | 'clock'
  | 'triangle'
  | 'cross'
  | 'slash'
  | 'lock'
  | 'dots'
  | 'dash'
  | 'question'
  | 'back'
  | 'pause'

export interface Word {
  readonly label: string
  readonly tone: Tone
  readonly shape: Shape
  readonly meaning: string
}

function word(label: string, tone: Tone, shape: Shape, meaning: string): Word {
  return { label, tone, shape, meaning }
}

/** In the order in which operators want to see them: what is wrong first. */
export const NODE_STATES = {
  failed: word('Failed', 'bad', 'cross', 'It could not get to its desired state'),
  locked: word('Locked', 'bad', 'lock', 'Its identity is not accepted any more'),
  drifting: word('Drifting', 'warn', 'triangle', 'It differs from what it had converged to'),
  offline: word('Offline', 'off', 'slash', 'Its agent does not answer'),
  waiting: word('Waiting', 'warn', 'clock', 'It needs something before it can go on'),
  converging: word('Converging', 'info', 'half', 'It is on its way to its desired state'),
  pending: word('Pending', 'off', 'dots', 'No agent has enrolled as this node yet'),
  idle: word('Idle', 'off', 'dash', 'No revision selects it'),
  converged: word('Converged', 'ok', 'check', 'Every service serves what is desired'),
} as const satisfies Record<NodeState, Word>

export const STEP_STATES = {
  waiting: word('Waiting', 'off', 'dots', 'Nothing was given to it yet'),
  assigned: word('Preparing', 'info', 'half', 'It prepares the change beside its live files'),
  staged: word('Staged', 'info', 'clock', 'Prepared; it has no permit to switch yet'),
  permitted: word('Permitted', 'info', 'clock', 'It may switch'),
  applying: word('Applying', 'info', 'half', 'It switches'),
  suspect: word('Suspect', 'warn', 'question', 'Silent since it claimed its permit'),
  done: word('Done', 'ok', 'check', 'Switched and proven'),
  reverted: word('Reverted', 'bad', 'back', 'It has put its old state back'),
  refused: word('Refused', 'bad', 'cross', 'It refused; nothing was touched'),
  broken: word('Broken', 'bad', 'cross', 'Neither state is known to work'),
  deferred: word('Deferred', 'off', 'slash', 'It was away; it follows when it is back'),
  skipped: word('Skipped', 'off', 'dash', 'An operator has taken it out'),
} as const satisfies Record<StepState, Word>

export const ROLLOUT_STATES = {
  planned: word('Planned', 'off', 'dots', 'Waits to be approved or started'),
  staging: word('Staging', 'info', 'half', 'Every node prepares; nothing is switched yet'),
  running: word('Running', 'info', 'half', 'Nodes switch, batch by batch'),
  draining: word('Draining', 'warn', 'back', 'Steps in motion are waited for, others taken back'),
  succeeded: word('Succeeded', 'ok', 'check', 'Every node is done'),
  partial: word('Partial', 'warn', 'triangle', 'Done, but for nodes that were away or skipped'),
  failed: word('Failed', 'bad', 'cross', 'More nodes failed than are tolerated'),
  aborted: word('Aborted', 'off', 'dash', 'An operator has ended it'),
  superseded: word('Superseded', 'off', 'dash', 'Another rollout has taken its place'),
} as const satisfies Record<RolloutStatus, Word>

export const PAUSED = word('Paused', 'warn', 'pause', 'No permit is given until it goes on')

export const CERTIFICATE_STATES = {
  ok: word('Good', 'ok', 'check', 'It is renewed before it ends'),
  'renewal-due': word('Renewal due', 'info', 'clock', 'The time of its renewal has come'),
  overdue: word('Overdue', 'warn', 'triangle', 'It should have been renewed a while ago'),
  expired: word('Expired', 'bad', 'cross', 'It has ended'),
  foreign: word('Foreign', 'warn', 'question', 'Served, and not what tlsfleet has put there'),
  unknown: word('Unknown', 'off', 'dots', 'Nothing was seen at the listener'),
} as const satisfies Record<CertificateState, Word>

export const OUTCOMES = {
  'in-sync': word('In sync', 'ok', 'check', 'Nothing to change'),
  changed: word('Changed', 'ok', 'check', 'Changed and proven'),
  staged: word('Staged', 'info', 'clock', 'Prepared beside the live files'),
  planned: word('Planned', 'info', 'dots', 'It would change, and only says so'),
  waiting: word('Waiting', 'warn', 'clock', 'It needs something before it can go on'),
  restored: word('Restored', 'bad', 'back', 'The change failed; the old state is back'),
  failed: word('Failed', 'bad', 'cross', 'The change failed'),
  unsupported: word('Unsupported', 'bad', 'cross', 'tlsfleet cannot do this here'),
} as const satisfies Record<OutcomeKind, Word>

export const ROTATION_STATES = {
  running: word('Running', 'info', 'half', 'Phase after phase'),
  completed: word('Completed', 'ok', 'check', 'The old one is trusted by nobody any more'),
  reversed: word('Reversed', 'off', 'back', 'Taken back'),
} as const satisfies Record<RotationSummary['status'], Word>

export const STOPPED = word('Stopped', 'warn', 'pause', 'It goes no further until it is resumed')

/** What to do about a node in this state; undefined: nothing. */
export function adviceOn(state: NodeState): string | undefined {
  switch (state) {
    case 'failed':
      return 'Its services run with what they had. Remove the cause below; then apply the spec again, or run `tlsfleet-agent apply` on the node.'
    case 'locked':
      return 'Find out why. Then make a new token with `tlsfleet node token` and enroll the machine again.'
    case 'drifting':
      return 'In mode enforce the agent corrects this by itself, as its groups allow. The changes below show what differs.'
    case 'offline':
      return 'Look at the machine: `systemctl status tlsfleet-agent`, its clock, and its way to port 8444 of the controller. Its services go on meanwhile.'
    case 'waiting':
      return 'See below what it waits for: a signed certificate, a permit, or an operator.'
    case 'pending':
      return 'Paste the line from `tlsfleet node add` on the machine; `tlsfleet node token` makes another one.'
    case 'idle':
      return 'Select it in the fleet spec, and apply that.'
    case 'converging':
    case 'converged':
      return undefined
    default:
      return state
  }
}

export const TAINTED = word(
  'Tainted',
  'bad',
  'triangle',
  'Its key is known to be in the wrong hands',
)

export const NOT_KNOWN = word('Not known', 'off', 'question', 'Silence is no yes')

export const AUTHORITY_STATES = {
  prepared: word('Prepared', 'off', 'dots', 'It exists, and nobody trusts it'),
  trusted: word('Trusted', 'info', 'half', 'Clients trust it; it does not sign'),
  active: word('Active', 'ok', 'check', 'It signs'),
  outgoing: word('Outgoing', 'warn', 'clock', 'Trusted; it does not sign any more'),
  retired: word('Retired', 'off', 'dash', 'Not trusted any more'),
  denied: word('Denied', 'off', 'slash', 'Its keys are destroyed'),
} as const satisfies Record<AuthorityState, Word>

export const PLACES = {
  behind: word('Behind', 'warn', 'triangle', 'It lacks what the phase wants'),
  silent: word('Silent', 'off', 'slash', 'Nobody knows: silence is no yes'),
  'on-its-way': word('On its way', 'info', 'half', 'It was given what the phase wants'),
  there: word('There', 'ok', 'check', 'It has what the phase wants'),
  elsewhere: word('Elsewhere', 'off', 'dash', 'The rotation does not concern it'),
} as const satisfies Record<RotationNodeView['place'], Word>
