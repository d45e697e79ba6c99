// What people and programs want to know about a certificate, as plain data.

import type { X509Certificate } from 'node:crypto'
import { sha256 } from '../digest.ts'
import { certificateDetails } from './extensions.ts'
import { keyTypeOf, publicKeyDigest } from './keys.ts'
import { parseCertificate, unparsable } from './pem.ts'

export interface CertificateFacts {
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
  /** One line, most significant part first as in the certificate: `O=fleet, CN=es-1`. */
  readonly subject: string
  readonly issuer: string
  /** Lower-case hex. */
  readonly serial: string
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly uris: readonly string[]
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly isCa: boolean
  readonly selfSigned: boolean
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  readonly publicKeyDigest: string
  readonly keyType: string
}

/** Throws `certificate-unparsable`. */
export function certificateFacts(
  certificate: string | Uint8Array | X509Certificate,
): CertificateFacts {
  const x509 =
    typeof certificate === 'string' || certificate instanceof Uint8Array
      ? parseCertificate(certificate)
      : certificate
  const { names } = certificateDetails(x509)
  const publicKey = publicKeyOf(x509)
  return {
    fingerprint: sha256(x509.raw),
    subject: oneLine(x509.subject),
    issuer: oneLine(x509.issuer),
    serial: x509.serialNumber.toLowerCase(),
    dnsNames: (names?.dnsNames ?? []).map(name => name.toLowerCase()),
    ipAddresses: names?.ipAddresses ?? [],
    uris: names?.uris ?? [],
    notBeforeMs: x509.validFromDate.getTime(),
    notAfterMs: x509.validToDate.getTime(),
    isCa: x509.ca,
    selfSigned: isSelfSigned(x509),
    publicKeyDigest: publicKeyDigest(publicKey),
    keyType: keyTypeOf(publicKey),
  }
}

/** Issued in its own name and signed by its own key. */
export function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.subject === certificate.issuer && isSignedBy(certificate, certificate)
}

/** The name of the issuer and the signature agree. Says nothing about rights and dates. */
export function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  if (certificate.issuer !== issuer.subject) return false
  try {
    return certificate.verify(issuer.publicKey)
  } catch {
    // An unknown algorithm cannot be verified, which is as good as a wrong signature.
    return false
  }
}

export function publicKeyOf(certificate: X509Certificate) {
  try {
    return certificate.publicKey
  } catch (cause) {
    throw unparsable('could not read the public key of a certificate', cause)
  }
}

// X509Certificate separates the parts by new lines; it escapes those that a name holds.
function oneLine(name: string | undefined): string {
  return (name ?? '').replaceAll('\n', ', ')
}
