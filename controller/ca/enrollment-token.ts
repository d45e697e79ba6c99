// Enrollment tokens on the side that gives them out. The database keeps the hash; the token itself
// is shown once.

import { timingSafeEqual } from 'node:crypto'
import { sha256 } from '../../shared/digest.ts'
import { formatToken } from '../../shared/pki/enrollment-token.ts'
import type { RandomBytes } from '../../shared/pki/random.ts'
import { Secret } from '../../shared/secret.ts'

export interface CreatedToken {
  /** To be shown once. */
  readonly token: Secret
  readonly id: string
  /** SHA-256 of the secret part, lower-case hex: what is stored. */
  readonly secretHash: string
}

const ID_BYTES = 8
const SECRET_BYTES = 32

export function createToken(options: {
  readonly random: RandomBytes
  /** Of the root of the identity CA. */
  readonly pin: string
  readonly enrollUrl: string
}): CreatedToken {
  const { random, pin, enrollUrl } = options
  const id = Buffer.from(random(ID_BYTES)).toString('hex')
  const secret = new Secret(Buffer.from(random(SECRET_BYTES)).toString('base64url'))
  const token = formatToken({ id, secret, pin, enrollUrl })
  return { token, id, secretHash: secretHashOf(secret) }
}

/** In constant time; false for anything that is not a hash. */
export function matchesSecret(secret: Secret, secretHash: string): boolean {
  const actual = Buffer.from(secretHashOf(secret))
  const expected = Buffer.from(secretHash)
  return actual.length === expected.length && timingSafeEqual(actual, expected)
}

// The secret has 256 random bits, so a slow hash would add nothing.
function secretHashOf(secret: Secret): string {
  return sha256(secret.reveal())
}
