import type { FastifyRequest } from 'fastify'
import type { Clock } from '../../shared/clock.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Store } from '../store/store.ts'
import type { OperatorCaller } from './caller.ts'
import { isSecretOf, parseOperatorToken } from './operator-token.ts'

/** One answer for every reason, so that nothing can be learned from trying. */
export async function authenticateOperator(
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  request: FastifyRequest,
): Promise<OperatorCaller> {
  const [, text] = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(request.headers.authorization ?? '') ?? []
  const token = text === undefined ? undefined : parseOperatorToken(text)
  if (token === undefined) throw refused()
  const credential = await store.transaction(tx => tx.credentials.get(token.id))
  const matches = isSecretOf(token.secret, credential?.secretHash ?? NO_HASH)
  if (credential === undefined || !matches) throw refused()
  if (credential.expiresAtMs !== undefined && credential.expiresAtMs <= clock.now()) throw refused()
  return { name: credential.name, role: credential.role }
}

// Compared when there is no such credential, so that both cases take as long.
const NO_HASH = '0'.repeat(64)

function refused(): OperationalError {
  return new OperationalError('unauthenticated', 'the request has no valid API token', {
    hint: 'Send `Authorization: Bearer tfo1.…`; an administrator makes tokens.',
  })
}
