import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'
import { whoamiText } from '../views/operators.ts'

export async function whoami(session: Session): Promise<ExitCode> {
  const who = await withClient(session, client => client.whoami())
  show(session, who, shown => whoamiText(shown, session.clock.now()))
  return EXIT.ok
}
