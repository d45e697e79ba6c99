// The CA certificates that clients of a service must trust. Pure.

import { X509Certificate } from 'node:crypto'
import type { ServiceTls } from '../shared/contract/service.ts'
import { isSelfSigned } from '../shared/pki/facts.ts'
import { normalizeBundle } from '../shared/pki/trust.ts'
import { createMemory } from './remember.ts'

const bundles = createMemory<string>()
const selfSigned = createMemory<boolean>()

/** CA certificates that clients of the service must trust once `chainPem` is served. */
export function clientTrust(
  tls: ServiceTls,
  issuerTrust: readonly string[],
  chainPem: string | undefined,
): string {
  const own = chainPem !== undefined && isOwnTrust(tls, chainPem) ? [chainPem] : []
  const pems = [...tls.trust, ...issuerTrust, ...own]
  return bundles(JSON.stringify(pems), () => normalizeBundle(pems))
}

// A self-signed certificate is its own trust, also one that another tool has placed.
function isOwnTrust(tls: ServiceTls, chainPem: string): boolean {
  const { issuer } = tls.certificate
  if (issuer === 'self-signed') return true
  return (
    issuer === 'files' && selfSigned(chainPem, () => isSelfSigned(new X509Certificate(chainPem)))
  )
}
