// Prints CA certificates for whoever sets up clients: of the fleet's services, or of the controller itself.

import { OperationalError } from '../../../shared/errors.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'

export async function trust(
  session: Session,
  { controller = false }: { readonly controller?: boolean | undefined },
): Promise<ExitCode> {
  const view = await withClient(session, client => client.trust())
  // Clients that are given an empty file trust nothing, or everything.
  if (controller && (view.identity ?? []).length === 0)
    throw new OperationalError('malformed-answer', 'the controller names no roots of its own')
  show(session, view, ({ service, identity = [] }) => (controller ? identity : service).join(''))
  return EXIT.ok
}
