// A controller whose identity CA is followed by another one says so with every answer, while it is still
// known by the one before. The login context is brought up to date then, on the strength of the trust that
// it has: there is nothing for an operator to compare.

import { OperationalError, describeError } from '../../shared/errors.ts'
import { isSelfSigned } from '../../shared/pki/facts.ts'
import { parseCertificate } from '../../shared/pki/pem.ts'
import { bundleDigest } from '../../shared/pki/trust.ts'
import type { Client } from './client.ts'
import { type Context, storeRoots } from './context.ts'
import type { Session } from './output.ts'

/** After whatever was asked; a failure is told and changes nothing else. */
export async function followIdentityRoots(
  { terminal, signal }: Pick<Session, 'terminal' | 'signal'>,
  client: Pick<Client, 'identityRoots' | 'trust'>,
  known: { readonly path: string; readonly name: string; readonly context: Context },
): Promise<void> {
  const wanted = client.identityRoots()
  if (wanted === undefined || signal.aborted) return
  try {
    if (wanted === bundleDigest(known.context.ca)) return
    const { identity = [] } = await client.trust()
    if (identity.length === 0 || !identity.every(isRoot))
      throw new OperationalError('malformed-answer', 'the controller names no roots of its own')
    storeRoots(known.path, known, identity)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    terminal.err(
      `warning: the login context could not be brought up to date: ${describeError(error)}\n`,
    )
  }
}

function isRoot(pem: string): boolean {
  const certificate = parseCertificate(pem)
  return certificate.ca && isSelfSigned(certificate)
}
