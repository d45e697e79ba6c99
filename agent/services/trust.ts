// Which CA certificates the engine writes beside a pair, as far as a driver must know.

import { X509Certificate } from 'node:crypto'
import type { ServerTls } from '../../shared/contract/service.ts'

/** Is there a bundle for clients? Without one the roots of the operating system are enough. */
export function hasTrustFile(tls: ServerTls): boolean {
  return hasClientTrust(tls) || tls.certificate.issuer === 'self-signed'
}

/** Is there a CA that can have issued certificates of clients? A self-signed leaf is none. */
export function hasClientTrust(tls: ServerTls): boolean {
  if (tls.certificate.issuer === 'self-signed') return !tls.trust.every(isLeaf)
  return tls.trust.length > 0 || tls.certificate.issuer === 'local-ca'
}

function isLeaf(pem: string): boolean {
  try {
    return !new X509Certificate(pem).ca
  } catch {
    // Whoever reads the file says so; a driver does not fail for it.
    return false
  }
}
