// API tokens of operators: `tfo1.<id>.<secret>`. The store has the hash of the secret only.

import { timingSafeEqual } from 'node:crypto'
import { sha256 } from '../../shared/digest.ts'
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
  return { token: new Secret(`tfo1.${id}.${secret}`), id, secretHash: sha256(secret) }
}

/** Undefined for anything that is not a token. */
export function parseOperatorToken(
  text: string,
): { readonly id: string; readonly secret: Secret } | undefined {
  const [, id, secret] = /^tfo1\.([0-9a-f]{16})\.([A-Za-z0-9_-]{43})$/.exec(text) ?? []
  return id === undefined || secret === undefined ? undefined : { id, secret: new Secret(secret) }
}

/** In constant time. The secret has 256 random bits, so a slow hash would add nothing. */
export function isSecretOf(secret: Secret, secretHash: string): boolean {
  const actual = Buffer.from(sha256(secret.reveal()))
  const expected = Buffer.from(secretHash)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}
