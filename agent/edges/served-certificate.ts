// What a listener showed in its handshake, and whether a client that verifies would accept it.

import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import type { TLSSocket } from 'node:tls'
import type { Reason } from '../../shared/contract/schema.ts'

// A longer chain is refused by every product; Node's list of issuers could also be a ring.
const CHAIN_LENGTH_MAX = 16

export interface ServedCertificate {
  readonly fingerprint: string
  readonly chainPem: readonly string[]
  readonly untrusted: Reason | undefined
}

/** Undefined: the other side showed no certificate. */
export function servedCertificate(
  socket: TLSSocket,
  serverName: string,
): ServedCertificate | undefined {
  const leaf = socket.getPeerX509Certificate()
  if (leaf === undefined) return undefined
  return {
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    chainPem: chainOf(leaf).map(certificate => certificate.toString()),
    untrusted: chainVerdict(socket) ?? nameVerdict(leaf, serverName),
  }
}

/** Leaf first, as sent. */
export function chainOf(leaf: X509Certificate): readonly X509Certificate[] {
  const chain = [leaf]
  let issuer = leaf.issuerCertificate
  while (issuer !== undefined && chain.length < CHAIN_LENGTH_MAX) {
    chain.push(issuer)
    issuer = issuer.issuerCertificate
  }
  return chain
}

function chainVerdict(socket: TLSSocket): Reason | undefined {
  if (socket.authorized) return undefined
  // Declared as an Error, but it is OpenSSL's code as text.
  const code = String(socket.authorizationError)
  switch (code) {
    case 'CERT_HAS_EXPIRED':
      return { code: 'certificate-expired', message: 'a certificate of the chain has expired' }
    case 'CERT_NOT_YET_VALID':
      return {
        code: 'certificate-not-yet-valid',
        message: 'a certificate of the chain is not valid yet',
      }
    default:
      return {
        code: 'certificate-untrusted',
        message: `the chain does not lead to a trusted certificate (${code})`,
      }
  }
}

/** As strict as the strictest client among the products: names count in the SAN only. */
function nameVerdict(leaf: X509Certificate, serverName: string): Reason | undefined {
  const isAddress = isIP(serverName) !== 0
  const matches = isAddress
    ? leaf.checkIP(serverName)
    : leaf.checkHost(serverName, { subject: 'never', partialWildcards: false })
  if (matches !== undefined) return undefined
  // Node takes the common name then; Go, and with it most products here, refuses.
  if (leaf.subjectAltName === undefined)
    return {
      code: 'san-missing',
      message:
        'the certificate has no subject alternative names, and clients ignore its common name',
    }
  return {
    code: 'certificate-name-mismatch',
    message: `the certificate is not for ${serverName}`,
  }
}
