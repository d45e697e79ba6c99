import { EXIT, type ExitCode } from '../exit-codes.ts'
import { followRollout } from '../follow.ts'
import { type Session, show } from '../output.ts'
import { confirm, withClient } from '../session.ts'
import { rolloutsText } from '../views/rollout.ts'

export async function listRollouts(session: Session): Promise<ExitCode> {
  const list = await withClient(session, client => client.rollouts())
  show(session, list, shown => rolloutsText(shown.rollouts, session.width))
  return EXIT.ok
}

/**
 * From its first event on, so that nothing that happened before is missed. With `screen`, a terminal
 * shows one screen of the whole rollout; anything else gets plain lines.
 */
export async function follow(
  session: Session,
  id: string,
  options: { readonly screen?: boolean } = {},
): Promise<ExitCode> {
  return await withClient(session, async client => {
    const { rollout } = await client.rolloutEvents(id, 0, 0)
    return await followRollout(session, client, rollout, options)
  })
}

export async function abortRollout(
  session: Session,
  id: string,
  options: { readonly yes?: boolean },
): Promise<ExitCode> {
  const isSure = await confirm(session, {
    attempt: `abort rollout ${id}`,
    text: `Abort rollout ${id}? Nodes that are done stay as they are, the others get their previous desired state.`,
    isGiven: options.yes === true,
  })
  if (!isSure) {
    session.terminal.err('nothing was aborted\n')
    return EXIT.error
  }
  const rollout = await withClient(session, client => client.abortRollout(id))
  show(session, rollout, shown => `rollout ${shown.id} is ${shown.status}\n`)
  return EXIT.ok
}
