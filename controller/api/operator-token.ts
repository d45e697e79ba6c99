// API tokens of operators: `tlsf_<id>_<secret>`. The store has the hash of the secret only. The prefix is for
// programs that look for secrets where none should be: `tlsf_[0-9a-f]{16}_[A-Za-z0-9_-]{43}`.

import { timingSafeEqual } from 'node:crypto'
import { TOKEN_LIFETIME_MS_MAX } from '../../shared/contract/operators.ts'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { RandomBytes } from '../../shared/pki/random.ts'
import { Secret } from '../../shared/secret.ts'

export interface CreatedOperatorToken {
  /** To be shown once. */
  readonly token: Secret
  readonly id: string
  readonly secretHash: string
}

export function createOperatorToken(random: RandomBytes): CreatedOperatorToken {
  const id = Buffer.from(random(8)).toString('hex')
  const secret = Buffer.from(random(32)).toString('base64url')
  return { token: new Secret(`tlsf_${id}_${secret}`), id, secretHash: sha256(secret) }
}

/** Throws `invalid-lifetime`. `name`: of the operator. */
export function requireTokenLifetime(name: string, lifetimeMs: number): void {
  if (lifetimeMs > 0 && lifetimeMs <= TOKEN_LIFETIME_MS_MAX) return
  throw new OperationalError('invalid-lifetime', `could not make a token for ${name}`, {
    hint: 'A token lives for a year at most.',
  })
}

// The second form is an earlier one; tokens of it stay good until they end or are revoked.
const TOKEN = /^(?:tlsf_([0-9a-f]{16})_|tfo1\.([0-9a-f]{16})\.)([A-Za-z0-9_-]{43})$/

/** Undefined for anything that is not a token. */
export function parseOperatorToken(
  text: string,
): { readonly id: string; readonly secret: Secret } | undefined {
  const [, id, formerId, secret] = TOKEN.exec(text) ?? []
  const known = id ?? formerId
  return known === undefined || secret === undefined
    ? undefined
    : { id: known, secret: new Secret(secret) }
}

/** In constant time. The secret has 256 random bits, so a slow hash would add nothing. */
export function isSecretOf(secret: Secret, secretHash: string): boolean {
  const actual = Buffer.from(sha256(secret.reveal()))
  const expected = Buffer.from(secretHash)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}
