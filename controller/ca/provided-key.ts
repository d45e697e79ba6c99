// Private keys that operators have uploaded, at rest. They open under the name of their pair only.

import type { RandomBytes } from '../../shared/pki/random.ts'
import type { Secret } from '../../shared/secret.ts'
import type { Sealing } from './sealed-key.ts'

export function sealProvidedKey(
  sealing: Sealing,
  name: string,
  key: Secret,
  random: RandomBytes,
): string {
  return sealing.seal(key, { purpose: purposeOf(name), random })
}

/** Throws what `Sealing.open` throws. */
export function openProvidedKey(
  sealing: Sealing,
  { name, keySealed }: { readonly name: string; readonly keySealed: string },
): Secret {
  return sealing.open(keySealed, { purpose: purposeOf(name) })
}

function purposeOf(name: string): string {
  return `provided/${name}`
}
