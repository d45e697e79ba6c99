// The certificate of our own listeners: from the identity CA, with a key that lives in this process
// only. It is made at start and again before it ends.

import { isIP } from 'node:net'
import { generateKey } from '../shared/pki/keys.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { ServerCertificate } from './api/app.ts'
import { type CaCredential, issueLeaf } from './ca/authority.ts'

export const SERVER_LIFETIME_MS = 30 * 86_400_000
/** When a third of the life is left, with time for many attempts. */
export const RENEW_AFTER_MS = (SERVER_LIFETIME_MS * 2) / 3

// People log in on the controller's own machine.
const OWN_NAMES = ['localhost', '127.0.0.1', '::1']

/** The chain goes up to the intermediate. */
export async function issueServerCertificate(options: {
  readonly issuer: CaCredential
  readonly publicNames: readonly string[]
  readonly nowMs: number
  readonly random: RandomBytes
}): Promise<ServerCertificate> {
  const { issuer, nowMs, random } = options
  const { privateKeyPem, publicKeyPem } = await generateKey('ec-p256')
  const names = [...options.publicNames, ...OWN_NAMES]
  const { chainPem } = issueLeaf(
    issuer,
    {
      profile: 'controller',
      names: {
        dns: names.filter(name => isIP(name) === 0),
        ip: names.filter(name => isIP(name) !== 0),
      },
      publicKeyPem,
      lifetimeMs: SERVER_LIFETIME_MS,
    },
    { nowMs, random },
  )
  return { chainPem, keyPem: privateKeyPem.reveal() }
}
