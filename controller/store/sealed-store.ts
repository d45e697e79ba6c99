// Everything in the store that is sealed with the CA passphrase, wherever it stands: for a change of the
// passphrase, which nothing may be left out of.

export interface SealedKeys {
  /**
   * Puts what `change` makes of each envelope (ca/sealed-key.ts) in its place. How many there were.
   * Throws what `change` throws.
   */
  replaceAll(change: (envelope: string) => string): Promise<number>
}
