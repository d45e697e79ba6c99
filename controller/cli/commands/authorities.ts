import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'
import { authoritiesText } from '../views/authorities.ts'

export async function listAuthorities(session: Session): Promise<ExitCode> {
  const list = await withClient(session, client => client.authorities())
  const { paint, width } = session
  const nowMs = session.clock.now()
  show(session, list, shown => authoritiesText(shown.authorities, { paint, width, nowMs }))
  return EXIT.ok
}
