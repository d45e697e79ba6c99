import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { confirm, withClient } from '../session.ts'
import { freezesText } from '../views/freezes.ts'

export async function listFreezes(session: Session): Promise<ExitCode> {
  const list = await withClient(session, client => client.freezes())
  const { width } = session
  const nowMs = session.clock.now()
  show(session, list, shown => freezesText(shown.freezes, { width, nowMs }))
  return EXIT.ok
}

export async function freeze(
  session: Session,
  name: string,
  options: { readonly reason: string; readonly node?: readonly string[] },
): Promise<ExitCode> {
  const { reason, node } = options
  const scope = node === undefined ? {} : { nodes: [...node] }
  await withClient(session, client => client.putFreeze(name, { reason, ...scope }))
  show(
    session,
    { name, reason, ...scope },
    shown =>
      `${shown.nodes?.join(', ') ?? 'all nodes'} frozen by ${name}: rollouts pause, corrections wait, renewals go on\n`,
  )
  return EXIT.ok
}

export async function unfreeze(
  session: Session,
  name: string,
  options: { readonly yes?: boolean },
): Promise<ExitCode> {
  const isSure = await confirm(session, {
    attempt: `lift freeze ${name}`,
    text: `Lift freeze ${name}? Rollouts that it paused go on at once.`,
    isGiven: options.yes === true,
  })
  if (!isSure) {
    session.terminal.err('nothing was changed\n')
    return EXIT.error
  }
  await withClient(session, client => client.removeFreeze(name))
  show(session, { removed: name }, () => `freeze ${name} is lifted\n`)
  return EXIT.ok
}
