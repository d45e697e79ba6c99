// What the store keeps of requests that may come twice.

/** Whose request, and the key that they gave it. */
export interface IdempotencyKey {
  readonly actor: string
  readonly key: string
}

export interface StoredRequest {
  /** Of route and body: the same key with anything else is a mistake. */
  readonly requestDigest: string
  readonly answer: StoredAnswer
  readonly atMs: number
}

/**
 * `begun`: it is under way, or was when a controller was killed. `withheld`: it succeeded, and its answer
 * is not kept, because it held a secret or was too large.
 */
export type StoredAnswer =
  | { readonly kind: 'begun' }
  | {
      readonly kind: 'answered'
      readonly status: number
      readonly headers: Readonly<Record<string, string>>
      readonly body: string
    }
  | { readonly kind: 'withheld'; readonly status: number; readonly why: 'secret' | 'size' }

export interface Idempotency {
  get(id: IdempotencyKey): Promise<StoredRequest | undefined>
  /** One of this key is replaced. */
  put(id: IdempotencyKey, stored: StoredRequest): Promise<void>
  remove(id: IdempotencyKey): Promise<void>
  /** Forgets what is from before, and of each caller all but the newest. Gives how many. */
  prune(beforeMs: number, keptOfActor: number): Promise<number>
}
