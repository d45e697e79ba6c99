// Prints CA certificates for whoever sets up clients: of the fleet's services, or of the controller itself.

import { EXIT, type ExitCode } from '../exit-codes.ts'
import { type Session, show } from '../output.ts'
import { withClient } from '../session.ts'

export async function trust(
  session: Session,
  options: { readonly controller?: boolean | undefined },
): Promise<ExitCode> {
  const view = await withClient(session, client => client.trust())
  show(session, view, ({ service, identity = [] }) => {
    const bundle = options.controller === true ? identity : service
    return bundle.join('').trimEnd()
  })
  return EXIT.ok
}
