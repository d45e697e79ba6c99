import type { OperatorChange, OperatorRole } from '../../../shared/contract/operators.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { confirm, withClient } from '../session.ts'
import { operatorText, operatorsText } from '../views/operators.ts'

export async function listOperators(session: Session): Promise<ExitCode> {
  const list = await withClient(session, client => client.operators())
  const options = { ...session, nowMs: session.clock.now() }
  show(session, list, ({ operators }) => operatorsText(operators, options))
  return EXIT.ok
}

export async function showOperator(session: Session, name: string): Promise<ExitCode> {
  const operator = await withClient(session, client => client.operator(name))
  const options = { ...session, nowMs: session.clock.now() }
  show(session, operator, shown => operatorText(shown, options))
  return EXIT.ok
}

export async function addOperator(
  session: Session,
  name: string,
  options: { readonly role: OperatorRole; readonly certificate?: readonly string[] },
): Promise<ExitCode> {
  const { role, certificate = [] } = options
  const body = { name, role, certificateNames: [...certificate] }
  const added = await withClient(session, client => client.addOperator(body))
  const next = certificate.length === 0 ? `; give it a token: tlsfleet token create ${name}` : ''
  show(session, added, shown => `operator ${shown.name} added as ${shown.role}${next}\n`)
  return EXIT.ok
}

export interface ChangeOptions {
  readonly role?: OperatorRole
  /** False: none. */
  readonly certificate?: readonly string[] | boolean
  readonly disable?: boolean
  readonly enable?: boolean
}

export async function changeOperator(
  session: Session,
  name: string,
  options: ChangeOptions,
): Promise<ExitCode> {
  const { role, certificate, disable = false, enable = false } = options
  if (disable && enable)
    throw new OperationalError('usage', `could not change operator ${name}`, {
      cause: new Error('--disable and --enable exclude each other'),
    })
  const changed = await withClient(session, async client => {
    const before = await client.operator(name)
    const body: OperatorChange = {
      role: role ?? before.role,
      certificateNames:
        certificate === false
          ? []
          : Array.isArray(certificate)
            ? certificate
            : before.certificateNames,
      disabled: disable || (before.disabled && !enable),
    }
    return client.changeOperator(name, body)
  })
  const view = { ...session, nowMs: session.clock.now() }
  show(session, changed, shown => operatorText(shown, view))
  return EXIT.ok
}

export async function denyCertificate(
  session: Session,
  name: string,
  serial: string,
): Promise<ExitCode> {
  const operator = await withClient(session, client => client.denyCertificate(name, serial))
  show(
    session,
    operator,
    () => `certificate ${serial} of operator ${name} is refused from now on\n`,
  )
  return EXIT.ok
}

export async function removeOperator(
  session: Session,
  name: string,
  { yes: isGiven = false }: { readonly yes?: boolean },
): Promise<ExitCode> {
  const text = `Remove operator ${name} with all its tokens?`
  if (!(await confirm(session, { attempt: `remove operator ${name}`, text, isGiven })))
    return EXIT.error
  await withClient(session, client => client.removeOperator(name))
  show(session, { removed: name }, ({ removed }) => `operator ${removed} removed\n`)
  return EXIT.ok
}
