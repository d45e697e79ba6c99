// The CA certificates that clients of a service must trust. Pure.

import { X509Certificate } from 'node:crypto'
import { type ServerTls, type ServiceTls, isServer } from '../shared/contract/service.ts'
import { isSelfSigned } from '../shared/pki/facts.ts'
import { normalizeBundle } from '../shared/pki/trust.ts'
import { createMemory } from '../shared/remember.ts'
import type { Compiled } from './services/service.ts'

const bundles = createMemory<string>()
const selfSigned = createMemory<boolean>()

/** The intent of a product that needs a key and a certificate now; undefined: it needs none. */
export function certifiedTls(tls: ServiceTls, compiled: Compiled): ServerTls | undefined {
  return compiled.material.isWanted && isServer(tls) ? tls : undefined
}

/** CA certificates that clients of the service must trust once `chainPem` is served. */
export function clientTrust(
  tls: ServerTls,
  issuerTrust: readonly string[],
  chainPem: string | undefined,
): string {
  const own = chainPem !== undefined && isOwnTrust(tls, chainPem) ? [chainPem] : []
  const pems = [...tls.trust, ...issuerTrust, ...own]
  return bundles(JSON.stringify(pems), () => normalizeBundle(pems))
}

// A self-signed certificate is its own trust, also one that comes from elsewhere.
function isOwnTrust(tls: ServerTls, chainPem: string): boolean {
  const { issuer } = tls.certificate
  if (issuer === 'self-signed') return true
  if (issuer !== 'files' && issuer !== 'provided') return false
  return selfSigned(chainPem, () => isSelfSigned(new X509Certificate(chainPem)))
}

/** Of what clients trust, the CAs: what a store of the product itself is given. Leaves come and go without it. */
export function authoritiesOf(tls: ServiceTls, issuerTrust: readonly string[]): readonly string[] {
  if (!isServer(tls)) return issuerTrust
  const { trust, certificate } = tls
  const own =
    certificate.issuer === 'self-signed' ? trust.filter(pem => new X509Certificate(pem).ca) : trust
  return [...own, ...issuerTrust]
}
