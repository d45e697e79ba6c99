// Requests of operators that are under way. Authentication is asked at their beginning; a stream may go on
// for hours. When a credential is revoked, or ends, whatever it has under way is cut at once.

import type { Socket } from 'node:net'
import { unreachable } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Clock } from '../../shared/clock.ts'
import type { OperatorCaller } from './caller.ts'

export interface OperatorSessions {
  /** A request begins; call what is given when its answer is out. */
  enter(caller: OperatorCaller, socket: Socket): () => void
  /**
   * Aborted when the credential is revoked or has ended, with the reason. For streams that want to say a last
   * word; the connection is cut right after.
   */
  endOf(caller: OperatorCaller): AbortSignal
  /** Cuts what is under way with these credentials, but for one connection: that of the answer. */
  revoke(revoked: Revoked, spared?: Socket): void
  /** Requests under way. */
  open(): number
}

export type Revoked =
  | { readonly kind: 'operator'; readonly name: string }
  | { readonly kind: 'token'; readonly id: string }
  | { readonly kind: 'serial'; readonly serial: string }

interface Session {
  readonly caller: OperatorCaller
  readonly socket: Socket
  readonly end: AbortController
}

export function createOperatorSessions(clock: Clock): OperatorSessions {
  const sessions = new Map<OperatorCaller, Session>()

  function cut(session: Session, why: string, spared?: Socket): void {
    session.end.abort(new OperationalError('unauthenticated', why))
    if (session.socket !== spared) session.socket.destroy()
  }

  async function endInTime(session: Session, left: AbortSignal): Promise<void> {
    const { expiresAtMs } = session.caller.credential
    // Again and again: timers have a longest time, and the wall clock may have been moved.
    while (expiresAtMs !== undefined && !left.aborted) {
      const restMs = expiresAtMs - clock.now()
      if (restMs <= 0) return cut(session, 'the credential has ended')
      await clock.sleep(Math.min(restMs, LOOK_AGAIN_MS), left)
    }
  }

  return {
    open: () => sessions.size,
    enter(caller, socket) {
      const session: Session = { caller, socket, end: new AbortController() }
      const left = new AbortController()
      sessions.set(caller, session)
      void endInTime(session, left.signal)
      return () => {
        left.abort()
        sessions.delete(caller)
      }
    },
    endOf(caller) {
      const session = sessions.get(caller)
      if (session !== undefined) return session.end.signal
      return AbortSignal.abort(new OperationalError('unauthenticated', 'the request is over'))
    },
    revoke(revoked, spared) {
      for (const session of sessions.values())
        if (concerns(revoked, session.caller)) cut(session, 'the credential was revoked', spared)
    },
  }
}

const LOOK_AGAIN_MS = 60_000

function concerns(revoked: Revoked, { name, credential }: OperatorCaller): boolean {
  switch (revoked.kind) {
    case 'operator':
      return name === revoked.name
    case 'token':
      return credential.kind === 'token' && credential.id === revoked.id
    case 'serial':
      return credential.serial === revoked.serial
    default:
      return unreachable(revoked)
  }
}
