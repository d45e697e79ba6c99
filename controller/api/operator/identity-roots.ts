// Every answer to an operator names, by its digest, the set of roots that clients of the controller are to
// trust. A client that trusts another set learns of it with whatever it asked.

import { IDENTITY_ROOTS_HEADER } from '../../../shared/contract/operator-api.ts'
import { bundleDigest } from '../../../shared/pki/trust.ts'
import type { ApiContext, App } from '../context.ts'

export function nameIdentityRoots(app: App, { authorities }: ApiContext): void {
  let named: { readonly roots: readonly string[]; readonly digest: string } | undefined
  app.addHook('onRequest', async (_request, reply) => {
    const { roots } = authorities.current().identity
    if (named?.roots !== roots) named = { roots, digest: bundleDigest(roots) }
    void reply.header(IDENTITY_ROOTS_HEADER, named.digest)
  })
}
