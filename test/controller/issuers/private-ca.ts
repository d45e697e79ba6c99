// The CA of a security team, as tests play it: a root, an intermediate, and leaves with whatever is
// wrong with them.

import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { buildCertificate, buildSelfSigned, type Issuer } from '../../../shared/pki/certificate.ts'
import { serialNumber } from '../../../shared/pki/random.ts'

export const DAY_MS = 86_400_000

export interface LeafWish {
  readonly dns?: readonly string[]
  readonly ip?: readonly string[]
  readonly clientAuth?: boolean
  readonly beginMs?: number
  readonly lifetimeMs?: number
}

export interface PrivateCa {
  readonly root: string
  readonly intermediate: string
  /** Leaf alone. */
  issue(publicKeyPem: string, wish?: LeafWish): string
  /** By the root itself. */
  issueDirectly(publicKeyPem: string, wish?: LeafWish): string
}

export function createPrivateCa(nowMs: number, name = 'team'): PrivateCa {
  const beginMs = wholeSeconds(nowMs - 1000 * DAY_MS)
  const endMs = wholeSeconds(nowMs + 3000 * DAY_MS)
  const dates = { notBeforeMs: beginMs, notAfterMs: endMs }
  const [rootKey, intermediateKey] = [newKey(), newKey()]
  const root = buildSelfSigned({
    subject: { commonName: `${name} root` },
    serial: serialNumber(randomBytes),
    ...dates,
    profile: { kind: 'root' },
    key: rootKey.privateKey,
  })
  const intermediate = buildCertificate({
    subject: { commonName: `${name} intermediate` },
    serial: serialNumber(randomBytes),
    ...dates,
    profile: { kind: 'intermediate' },
    subjectPublicKey: intermediateKey.publicKey,
    issuer: { certificatePem: root, key: rootKey.privateKey },
  })
  const leaf = (issuer: Issuer, publicKeyPem: string, wish: LeafWish = {}) => {
    const { dns = ['a.test'], ip = [], clientAuth = false, lifetimeMs = 90 * DAY_MS } = wish
    const notBeforeMs = wholeSeconds(wish.beginMs ?? nowMs - 60_000)
    return buildCertificate({
      subject: {},
      serial: serialNumber(randomBytes),
      notBeforeMs,
      notAfterMs: wholeSeconds(notBeforeMs + lifetimeMs) - 1000,
      profile: { kind: 'server', names: { dns, ip }, clientAuth },
      subjectPublicKey: createPublicKey(publicKeyPem),
      issuer,
    })
  }
  const signers = {
    root: { certificatePem: root, key: rootKey.privateKey },
    intermediate: { certificatePem: intermediate, key: intermediateKey.privateKey },
  }
  return {
    root,
    intermediate,
    issue: (key, wish) => leaf(signers.intermediate, key, wish),
    issueDirectly: (key, wish) => leaf(signers.root, key, wish),
  }
}

function newKey(): { readonly privateKey: KeyObject; readonly publicKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' })
}

// As certificates have them.
function wholeSeconds(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}
