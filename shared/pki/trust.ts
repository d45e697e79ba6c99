// Trust bundles: sets of CA certificates as text with one spelling, so that equal sets are equal files.

import { sha256 } from '../digest.ts'
import { parseCertificate, pemOf, splitPemCertificates } from './pem.ts'

/** Every certificate once, ordered by fingerprint. Each text may hold several. Throws `certificate-unparsable`. */
export function normalizeBundle(pems: readonly string[]): string {
  return certificatesOf(pems)
    .map(({ der }) => pemOf(der))
    .join('')
}

/** Fingerprints of the certificates in a bundle, sorted. */
export function bundleFingerprints(pems: readonly string[]): readonly string[] {
  return certificatesOf(pems).map(({ fingerprint }) => fingerprint)
}

/** Equal for equal sets, whatever their order, spelling or comments. */
export function bundleDigest(pems: readonly string[]): string {
  return sha256(bundleFingerprints(pems).join('\n'))
}

function certificatesOf(pems: readonly string[]) {
  const ders = pems.flatMap(splitPemCertificates).map(pem => parseCertificate(pem).raw)
  const byFingerprint = new Map(ders.map(der => [sha256(der), der]))
  return [...byFingerprint]
    .map(([fingerprint, der]) => ({ fingerprint, der }))
    .toSorted((a, b) => (a.fingerprint < b.fingerprint ? -1 : 1))
}
