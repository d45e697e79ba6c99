import type { OperatorRole } from '../../../shared/contract/operators.ts'
import { parseDuration } from '../../../shared/duration.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { confirm, withClient } from '../session.ts'
import { tokensText } from '../views/operators.ts'
import { relativeTime } from '../views/words.ts'

export async function listTokens(session: Session, name: string | undefined): Promise<ExitCode> {
  const tokens = await withClient(session, async client => {
    const operators =
      name === undefined ? (await client.operators()).operators : [await client.operator(name)]
    return operators.flatMap(one => one.tokens.map(token => ({ operator: one.name, ...token })))
  })
  const options = { ...session, nowMs: session.clock.now() }
  show(session, { tokens }, shown => tokensText(shown.tokens, options))
  return EXIT.ok
}

/** The token alone is on standard output, so that it can go into a file. */
export async function createToken(
  session: Session,
  name: string,
  options: { readonly role?: OperatorRole; readonly lifetime: string },
): Promise<ExitCode> {
  const { role, lifetime } = options
  const lifetimeMs = parseDuration(lifetime)
  if (lifetimeMs === undefined || lifetimeMs === 0)
    throw new OperationalError('usage', `could not read --lifetime ${lifetime}`, {
      hint: 'give a time, for example --lifetime 30d',
    })
  const body = { lifetimeMs, ...(role === undefined ? {} : { role }) }
  const made = await withClient(session, client => client.createToken(name, body))
  if (!session.json) {
    const ends = relativeTime(made.expiresAtMs, session.clock.now())
    session.terminal.err(
      `token ${made.id} of ${name}, role ${made.role}; it is shown once and ends ${ends}:\n`,
    )
  }
  show(session, made, ({ token }) => `${token}\n`)
  return EXIT.ok
}

export async function revokeToken(
  session: Session,
  name: string,
  id: string,
  { yes: isGiven = false }: { readonly yes?: boolean },
): Promise<ExitCode> {
  const attempt = `revoke token ${id} of operator ${name}`
  if (!(await confirm(session, { attempt, text: `Revoke token ${id} of ${name}?`, isGiven })))
    return EXIT.error
  await withClient(session, client => client.revokeToken(name, id))
  show(session, { operator: name, revoked: id }, ({ revoked }) => `token ${revoked} revoked\n`)
  return EXIT.ok
}
