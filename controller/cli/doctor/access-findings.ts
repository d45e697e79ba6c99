// What the connection and the login say. Pure.

import type { Finding } from '../../../shared/findings.ts'
import type { OperatorView, WhoAmI } from '../../../shared/contract/operators.ts'
import { count, relativeTime } from '../views/words.ts'

const DAY_MS = 86_400_000
const TOKEN_SOON_MS = 14 * DAY_MS

export function certificateFinding(endsAtMs: number, nowMs: number): Finding {
  const when = relativeTime(endsAtMs, nowMs)
  // It lives thirty days and is renewed long before; see ARCHITECTURE.md.
  if (endsAtMs - nowMs > DAY_MS)
    return { check: 'certificate', state: 'ok', message: `of the controller ends ${when}` }
  return {
    check: 'certificate',
    state: 'warning',
    message: `of the controller ends ${when} and was not renewed`,
    fix: 'look into its log: journalctl -u tlsfleet-controller',
  }
}

export function versionFinding(own: string, theirs: string | undefined): Finding {
  const check = 'version'
  if (theirs === undefined)
    return {
      check,
      state: 'warning',
      message: 'the controller does not say its version',
      fix: 'check that the URL of this login is the operator port of tlsfleet-controller',
    }
  if (theirs === own) return { check, state: 'ok', message: `${own}, as the controller` }
  return {
    check,
    state: 'warning',
    message: `this command is ${own}, the controller ${theirs}`,
    fix: 'install the same version on both sides; the controller first',
  }
}

export function loginFinding(who: WhoAmI, nowMs: number): Finding {
  const message = `${who.name} (${who.role}) of fleet ${who.fleet}`
  const endsAtMs = who.credential?.expiresAtMs
  if (endsAtMs === undefined) return { check: 'login', state: 'ok', message }
  const ends = `${message}, ends ${relativeTime(endsAtMs, nowMs)}`
  if (endsAtMs - nowMs > TOKEN_SOON_MS) return { check: 'login', state: 'ok', message: ends }
  return {
    check: 'login',
    state: 'warning',
    message: ends,
    fix:
      who.role === 'admin'
        ? `make a new token and log in with it: tlsfleet token create ${who.name}; tlsfleet login`
        : `get a new token from an admin: tlsfleet token create ${who.name}`,
  }
}

/** Tokens without an end, and whether some admin can still get in for a while. */
export function operatorFindings(
  operators: readonly OperatorView[],
  nowMs: number,
): readonly Finding[] {
  const check = 'operators'
  const enabled = operators.filter(({ disabled }) => !disabled)
  const endless = enabled.flatMap(({ name, tokens }) =>
    tokens
      .filter(({ expiresAtMs }) => expiresAtMs === undefined)
      .map(
        ({ id }): Finding => ({
          check,
          state: 'warning',
          message: `the token ${id} of ${name} never ends`,
          fix: `replace it: tlsfleet token create ${name}; then tlsfleet token revoke ${name} ${id}`,
        }),
      ),
  )
  const found = [...endless, ...lastWayIn(enabled, nowMs)]
  if (found.length > 0) return found
  return [{ check, state: 'ok', message: `${count(enabled.length, 'operator')}, every token ends` }]
}

// Who has no token any more makes one on the controller's machine, with the controller stopped.
function lastWayIn(operators: readonly OperatorView[], nowMs: number): readonly Finding[] {
  const admins = operators.filter(({ role }) => role === 'admin')
  if (admins.some(({ certificateNames }) => certificateNames.length > 0)) return []
  const ends = admins.flatMap(({ tokens }) =>
    tokens.flatMap(({ role, expiresAtMs }) =>
      role === 'admin' ? [expiresAtMs ?? Number.POSITIVE_INFINITY] : [],
    ),
  )
  const endsAtMs = Math.max(...ends)
  if (endsAtMs - nowMs > TOKEN_SOON_MS) return []
  const name = admins[0]?.name ?? 'admin'
  if (endsAtMs <= nowMs)
    return [
      {
        check: 'operators',
        state: 'failed',
        message: 'no admin has a token that is still good',
        fix: `on the controller's machine, stopped: tlsfleet-controller token ${name} --role admin`,
      },
    ]
  return [
    {
      check: 'operators',
      state: 'warning',
      message: `the last token of an admin ends ${relativeTime(endsAtMs, nowMs)}`,
      fix: `make another one before: tlsfleet token create ${name}; tlsfleet login`,
    },
  ]
}
