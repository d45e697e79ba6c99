// Signatures cost time, and a key that the node had signed is trusted by others: one node can ask
// for so many and no more.

import type { Clock } from '../../../shared/clock.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { createTokenBuckets } from '../token-bucket.ts'

/** A public key, a proof, and a certificate request of at most 16 KiB as PEM. */
export const SIGN_BODY_BYTES_MAX = 32 * 1024

export interface SignLimit {
  /** Throws `too-many-requests`. */
  take(node: string): void
}

// A node has at most 32 services, each with one certificate; the first rollout asks for all.
const BURST = 40
const PER_SECOND = 0.5

export function createSignLimit(clock: Clock): SignLimit {
  const buckets = createTokenBuckets({ burst: BURST, perSecond: PER_SECOND })
  return {
    take(node) {
      if (!buckets.take(node, clock.monotonic()))
        throw new OperationalError('too-many-requests', 'the node asks for too many certificates', {
          retryable: true,
        })
    },
  }
}
