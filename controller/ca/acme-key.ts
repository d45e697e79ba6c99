// Keys of accounts at ACME directories, sealed: whoever has one can order in the account's name.

import { generateKeyPairSync } from 'node:crypto'
import type { RandomBytes } from '../../shared/pki/random.ts'
import { Secret } from '../../shared/secret.ts'
import type { Sealing } from './sealed-key.ts'

/** A new P-256 key, PKCS#8, sealed for the directory of this name. */
export function makeAcmeKey(sealing: Sealing, directory: string, random: RandomBytes): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = new Secret(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  return sealing.seal(pem, { purpose: purposeOf(directory), random })
}

export function openAcmeKey(
  sealing: Sealing,
  { directory, keySealed }: { readonly directory: string; readonly keySealed: string },
): Secret {
  return sealing.open(keySealed, { purpose: purposeOf(directory) })
}

function purposeOf(directory: string): string {
  return `acme/${directory}`
}
