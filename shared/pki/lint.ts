// A second opinion on certificates that our CAs issue: every rule of the profile, checked on the
// finished certificate and not on what was meant.

import type { X509Certificate } from 'node:crypto'
import { BACKDATE_MS } from './certificate.ts'
import { type CertificateDetails, certificateDetails } from './extensions.ts'
import { isSignedBy } from './facts.ts'
import { weakKeyReason } from './keys.ts'
import { type CertificateNames, normalizeNames, sameNames, sameSet } from './names.ts'
import { KEY_USAGE } from './oids.ts'
import { parseCertificate } from './pem.ts'
import { type CertificateProfile, isCaProfile, purposesOf } from './profile.ts'

export interface LintExpectations {
  readonly profile: CertificateProfile
  /** The certificate of the issuer; the certificate itself where it is self-signed. */
  readonly issuerPem: string
  readonly issuedAtMs: number
  readonly lifetimeMaxMs: number
}

export interface LintFinding {
  readonly code: string
  readonly message: string
}

const SERIAL_BYTES_MIN = 8
/** RFC 5280, 4.1.2.2. */
const SERIAL_BYTES_MAX = 20

/** Everything that a certificate of ours must not be; empty when all is well. */
export function lintCertificate(pem: string, expected: LintExpectations): readonly LintFinding[] {
  const certificate = parseCertificate(pem)
  const issuer = parseCertificate(expected.issuerPem)
  const details = certificateDetails(certificate)
  return [
    ...rightsFindings(certificate, details, expected.profile),
    ...nameFindings(details, expected.profile),
    ...dateFindings(certificate, issuer, expected),
    ...linkFindings(certificate, details, issuer),
    ...formFindings(certificate, details),
  ]
}

function rightsFindings(
  certificate: X509Certificate,
  { basicConstraints, keyUsage, extendedKeyUsage = [] }: CertificateDetails,
  profile: CertificateProfile,
): readonly LintFinding[] {
  const isCa = isCaProfile(profile)
  const usage = keyUsage?.bits ?? []
  const leafUsage: readonly number[] = [KEY_USAGE.digitalSignature, KEY_USAGE.keyEncipherment]
  return findings([
    [certificate.ca !== isCa, 'ca-flag', `CA flag is ${certificate.ca}`],
    [
      basicConstraints?.isCritical !== true,
      'basic-constraints',
      'basicConstraints is not critical',
    ],
    [
      profile.kind === 'intermediate' && basicConstraints?.pathLength !== 0,
      'path-length',
      'intermediate may issue CA certificates',
    ],
    [keyUsage?.isCritical !== true, 'key-usage', 'keyUsage is not critical'],
    [
      isCa !== usage.includes(KEY_USAGE.keyCertSign),
      'key-usage',
      'keyCertSign is not that of the profile',
    ],
    [
      !isCa && usage.some(bit => !leafUsage.includes(bit)),
      'key-usage',
      'leaf has a key usage that TLS does not need',
    ],
    [
      !sameSet(extendedKeyUsage, purposesOf(profile)),
      'extended-key-usage',
      `purposes are ${extendedKeyUsage.join(', ')}`,
    ],
  ])
}

function nameFindings(
  { names, isSubjectEmpty }: CertificateDetails,
  profile: CertificateProfile,
): readonly LintFinding[] {
  if (profile.kind === 'root' || profile.kind === 'intermediate')
    return findings([[isSubjectEmpty, 'subject-missing', 'CA has an empty subject']])
  if (names === undefined) return [{ code: 'san-missing', message: 'there is no subjectAltName' }]
  const wanted: CertificateNames = profile.kind === 'server' ? profile.names : { dns: [], ip: [] }
  const seen = { dns: names.dnsNames, ip: names.ipAddresses }
  return findings([
    [
      !sameNames(seen, normalizeNames(wanted, { wildcard: true })),
      'names-differ',
      'names are not those that were asked for',
    ],
    [
      !sameSet(names.uris, profile.uris ?? []),
      'names-differ',
      'URIs are not those that were asked for',
    ],
    [names.others > 0, 'names-differ', 'there are names of other kinds'],
    [
      names.isCritical !== isSubjectEmpty,
      'san-critical',
      'subjectAltName is critical only without a subject',
    ],
  ])
}

function dateFindings(
  certificate: X509Certificate,
  issuer: X509Certificate,
  { issuedAtMs, lifetimeMaxMs }: LintExpectations,
): readonly LintFinding[] {
  const notBeforeMs = certificate.validFromDate.getTime()
  const notAfterMs = certificate.validToDate.getTime()
  const backdateMs = Math.floor(issuedAtMs / 1000) * 1000 - notBeforeMs
  return findings([
    [backdateMs !== BACKDATE_MS, 'backdate', `certificate is backdated by ${backdateMs} ms`],
    [notAfterMs + 1000 - notBeforeMs > lifetimeMaxMs, 'lifetime', 'certificate lives too long'],
    [
      notAfterMs > issuer.validToDate.getTime(),
      'outlives-issuer',
      'certificate outlives its issuer',
    ],
  ])
}

function linkFindings(
  certificate: X509Certificate,
  details: CertificateDetails,
  issuer: X509Certificate,
): readonly LintFinding[] {
  const issuerKeyId = certificateDetails(issuer).subjectKeyId
  return findings([
    [details.subjectKeyId === undefined, 'subject-key-id', 'there is no subjectKeyIdentifier'],
    [
      details.authorityKeyId === undefined || details.authorityKeyId !== issuerKeyId,
      'authority-key-id',
      'authorityKeyIdentifier is not that of the issuer',
    ],
    [!isSignedBy(certificate, issuer), 'signature', 'signature is not that of the issuer'],
  ])
}

function formFindings(
  certificate: X509Certificate,
  { serial, version, unknownCritical }: CertificateDetails,
): readonly LintFinding[] {
  const weak = weakKeyReason(certificate.publicKey)
  const hasGoodSerial =
    serial.length >= SERIAL_BYTES_MIN &&
    serial.length <= SERIAL_BYTES_MAX &&
    (serial[0] ?? 0x80) < 0x80
  return findings([
    [!hasGoodSerial, 'serial', `serial number has ${serial.length} bytes or is negative`],
    [version !== 3, 'version', `version is ${version}`],
    [unknownCritical.length > 0, 'critical-extension', 'there are unknown critical extensions'],
    [weak !== undefined, 'weak-key', weak?.message ?? ''],
    [
      !/sha(256|384|512)/i.test(certificate.signatureAlgorithm ?? ''),
      'weak-signature',
      'signature is weak',
    ],
  ])
}

type Rule = readonly [isBroken: boolean, code: string, message: string]

function findings(rules: readonly Rule[]): readonly LintFinding[] {
  return rules.filter(([isBroken]) => isBroken).map(([, code, message]) => ({ code, message }))
}
