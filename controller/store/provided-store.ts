// Pairs of key and chain that operators have uploaded for issuer `provided`. Each name has versions,
// told apart by the leaf; the one that was uploaded last is the current one.

export interface ProvidedRecord {
  readonly name: string
  /** SHA-256 of the leaf. */
  readonly fingerprint: string
  /** Leaf first, then its issuers. */
  readonly certificateChain: string
  /** CA certificates of a private CA that was uploaded with it, as one text; empty: none. */
  readonly trust: string
  /** Private key, sealed (ca/sealed-key.ts) for the purpose `provided/<name>`. Never a plaintext key. */
  readonly keySealed: string
  readonly uploadedAtMs: number
  readonly uploadedBy: string
}

export interface ProvidedPairs {
  /** Becomes the current version of its name; one with the same leaf is replaced by it. */
  put(record: ProvidedRecord): Promise<void>
  current(name: string): Promise<ProvidedRecord | undefined>
  get(name: string, fingerprint: string): Promise<ProvidedRecord | undefined>
  /** All versions, by name, of each name the current one first. */
  list(): Promise<readonly ProvidedRecord[]>
  /** False: there is no such version. */
  remove(name: string, fingerprint: string): Promise<boolean>
}
