// Prints the bundle that clients of the fleet's services must trust, for whoever sets them up.

import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'

export async function trust(session: Session): Promise<ExitCode> {
  const view = await withClient(session, client => client.trust())
  show(session, view, shown => shown.service.join('').trimEnd())
  return EXIT.ok
}
