import { OperationalError } from '../../../shared/errors.ts'
import { configPath, readConfig, removeContext, renameContext, useContext } from '../context.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { confirm } from '../session.ts'
import { contextsText } from '../views/contexts.ts'

/** Without tokens: they are for the controller alone. */
export function listContexts(session: Session): ExitCode {
  const { contexts, current } = readConfig(configPath(session.environment))
  const list = Object.entries(contexts)
    .map(([name, { url }]) => ({ name, url, current: name === current }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  show(session, { contexts: list }, shown => contextsText(shown.contexts, session))
  return EXIT.ok
}

export function currentContext(session: Session): ExitCode {
  const { current, contexts } = readConfig(configPath(session.environment))
  const name = session.contextName ?? current
  const url = name !== undefined && Object.hasOwn(contexts, name) ? contexts[name]?.url : undefined
  if (name === undefined || url === undefined)
    throw new OperationalError('no-context', 'no login context is chosen', {
      hint: 'list them: tlsfleet context ls; log in: tlsfleet login --help',
    })
  show(session, { name, url }, shown => `${shown.name}\n`)
  return EXIT.ok
}

export function chooseContext(session: Session, name: string): ExitCode {
  useContext(configPath(session.environment), name)
  show(session, { current: name }, () => `context ${name} is the current one\n`)
  return EXIT.ok
}

export function rename(session: Session, from: string, to: string): ExitCode {
  renameContext(configPath(session.environment), from, to)
  show(session, { from, to }, () => `context ${from} is now called ${to}\n`)
  return EXIT.ok
}

/** The token stays valid at the controller: that is said, with how it is ended. */
export async function forget(
  session: Session,
  name: string,
  options: { readonly yes?: boolean },
): Promise<ExitCode> {
  const isSure = await confirm(session, {
    attempt: `forget context ${name}`,
    text: `Forget context ${name}? Its token is removed from this machine only.`,
    isGiven: options.yes === true,
  })
  if (!isSure) {
    session.terminal.err('nothing was changed\n')
    return EXIT.error
  }
  removeContext(configPath(session.environment), name)
  show(
    session,
    { removed: name },
    () => `context ${name} is forgotten; its token stays valid until it is revoked or ends\n`,
  )
  return EXIT.ok
}
