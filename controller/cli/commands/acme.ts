import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'
import { acmeText } from '../views/acme.ts'

export async function acmeList(session: Session): Promise<ExitCode> {
  const view = await withClient(session, client => client.acme())
  const { paint, width, clock } = session
  show(session, view, shown => acmeText(shown, { paint, width, nowMs: clock.now() }))
  return EXIT.ok
}
