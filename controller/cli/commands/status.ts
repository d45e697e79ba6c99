import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'
import { statusText } from '../views/status.ts'

export async function status(
  session: Session,
  options: { readonly label?: readonly string[] },
): Promise<ExitCode> {
  const nodes = await withClient(session, client => client.nodes(options.label ?? []))
  const { paint, width } = session
  const nowMs = session.clock.now()
  show(session, { nodes }, shown => statusText(shown.nodes, { paint, width, nowMs }))
  return EXIT.ok
}
