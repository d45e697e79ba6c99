// A limit for requests that cost a signature: so many at once, so many a second after that.

export interface TokenBuckets {
  /** Takes one token of this key; false when there is none. `nowMs` must not go back. */
  take(key: string, nowMs: number): boolean
  /** How long until there is one again, from the last `take` of this key. */
  waitMs(key: string): number
}

export interface BucketOptions {
  readonly burst: number
  readonly perSecond: number
  /** Buckets kept; the ones unused longest are forgotten first, and are full again. */
  readonly keysMax?: number
}

export function createTokenBuckets({
  burst,
  perSecond,
  keysMax = 20_000,
}: BucketOptions): TokenBuckets {
  const buckets = new Map<string, { tokens: number; atMs: number }>()
  return {
    take(key, nowMs) {
      const bucket = buckets.get(key) ?? { tokens: burst, atMs: nowMs }
      const earned = (Math.max(0, nowMs - bucket.atMs) / 1000) * perSecond
      const tokens = Math.min(burst, bucket.tokens + earned)
      // Moved to the end: the map's order is the order of last use.
      buckets.delete(key)
      buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, atMs: nowMs })
      const [oldest] = buckets.keys()
      if (buckets.size > keysMax && oldest !== undefined) buckets.delete(oldest)
      return tokens >= 1
    },
    waitMs(key) {
      const missing = 1 - (buckets.get(key)?.tokens ?? burst)
      return Math.max(0, Math.ceil((missing / perSecond) * 1_000))
    },
  }
}
