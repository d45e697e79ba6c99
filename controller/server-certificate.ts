// The certificate of our own listeners: from the identity CA, with a key that lives in this process
// only. It is made at start and again before it ends.

import { isIP } from 'node:net'
import { generateKey } from '../shared/pki/keys.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { ServerCertificate } from './api/app.ts'
import { issueLeaf } from './ca/authority.ts'
import type { OpenedAuthority } from './authorities.ts'

const LIFETIME_MS = 30 * 86_400_000
/** When a third of the life is left, with time for many attempts. */
export const RENEW_AFTER_MS = (LIFETIME_MS * 2) / 3

// People log in on the controller's own machine.
const OWN_NAMES = ['localhost', '127.0.0.1', '::1']

export async function issueServerCertificate(options: {
  readonly authority: OpenedAuthority
  readonly publicNames: readonly string[]
  readonly nowMs: number
  readonly random: RandomBytes
}): Promise<ServerCertificate> {
  const { authority, nowMs, random } = options
  const { privateKeyPem, publicKeyPem } = await generateKey('ec-p256')
  const names = [...options.publicNames, ...OWN_NAMES]
  const { chainPem } = issueLeaf(
    authority.issuer,
    {
      profile: 'controller',
      names: {
        dns: names.filter(name => isIP(name) === 0),
        ip: names.filter(name => isIP(name) !== 0),
      },
      publicKeyPem,
      lifetimeMs: LIFETIME_MS,
    },
    { nowMs, random },
  )
  return { chainPem: chainPem + authority.root, keyPem: privateKeyPem.reveal() }
}
