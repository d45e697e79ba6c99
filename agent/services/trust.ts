// Which CA certificates the engine writes beside a pair, as far as a driver must know.

import type { ServiceTls } from '../../shared/contract/service.ts'

/** Is there a bundle for clients? Without one the roots of the operating system are enough. */
export function hasTrustFile(tls: ServiceTls): boolean {
  return hasClientTrust(tls) || tls.certificate.issuer === 'self-signed'
}

/** Is there a CA that can have issued certificates of clients? */
export function hasClientTrust(tls: ServiceTls): boolean {
  return tls.trust.length > 0 || tls.certificate.issuer === 'local-ca'
}
