// Path validation: from a leaf over intermediates to a trusted root. X509Certificate verifies single
// signatures; everything that makes a path of them is decided here.

import type { X509Certificate } from 'node:crypto'
import { constraintViolation } from './constraints.ts'
import { type CertificateDetails, certificateDetails } from './extensions.ts'
import { isSelfSigned, isSignedBy } from './facts.ts'
import { KEY_USAGE, OID } from './oids.ts'
import type { PkiReason, PkiReasonCode } from './reason.ts'

export type Purpose = 'server' | 'client'

export interface PathQuestion {
  readonly leaf: X509Certificate
  /** Candidates for the way up, in any order. */
  readonly intermediates: readonly X509Certificate[]
  /** Self-signed certificates are anchors, others only help to find the way. */
  readonly trust: readonly X509Certificate[]
  readonly purposes: readonly Purpose[]
  readonly nowMs: number
}

/** Leaf, intermediates, root. */
type Path = readonly X509Certificate[]

/** Longer chains do not exist outside of attacks. */
const PATH_LENGTH_MAX = 8
/** Cross-signed CAs open several ways; hostile bundles could open very many. */
const SIGNATURES_MAX = 200

/** Nothing, if one path is valid; otherwise what is wrong with the best one. */
export function pathReasons(question: PathQuestion): readonly PkiReason[] {
  const { paths, deadEnd } = findPaths(question)
  let best: readonly PkiReason[] | undefined
  for (const path of paths) {
    const reasons = judgePath(path, question)
    if (reasons.length === 0) return []
    if (best === undefined || reasons.length < best.length) best = reasons
  }
  return best ?? [deadEnd]
}

function findPaths(question: PathQuestion): { paths: readonly Path[]; deadEnd: PkiReason } {
  const anchors = new Set(question.trust.filter(isSelfSigned).map(root => root.fingerprint256))
  const candidates = unique([...question.trust, ...question.intermediates])
  const paths: Path[] = []
  let deadEnd: PkiReason | undefined
  let signatures = 0

  const climb = (path: Path, top: X509Certificate): void => {
    if (anchors.has(top.fingerprint256)) {
      paths.push(path)
      return
    }
    const named = candidates.filter(
      candidate => candidate.subject === top.issuer && !path.some(step => isSame(step, candidate)),
    )
    let climbed = false
    for (const candidate of named) {
      if (path.length >= PATH_LENGTH_MAX || ++signatures > SIGNATURES_MAX) break
      if (!isSignedBy(top, candidate)) continue
      climbed = true
      climb([...path, candidate], candidate)
    }
    if (!climbed) deadEnd ??= deadEndReason(top, named.length > 0)
  }
  climb([question.leaf], question.leaf)
  return { paths, deadEnd: deadEnd ?? reason('untrusted', 'no path leads to a trusted CA') }
}

function deadEndReason(top: X509Certificate, isNamed: boolean): PkiReason {
  if (isNamed)
    return reason(
      'untrusted',
      `${show(top)} is not signed by the CA of that name that is known here`,
    )
  if (isSelfSigned(top))
    return reason('untrusted', `${show(top)} is not among the trusted certificates`)
  return reason(
    'chain-incomplete',
    `the issuer of ${show(top)} is neither in the chain nor among the trusted certificates`,
  )
}

/** What is wrong with a path whose signatures are known to be right, whoever trusts its top. */
export function judgePath(
  path: Path,
  { purposes, nowMs }: Pick<PathQuestion, 'purposes' | 'nowMs'>,
): readonly PkiReason[] {
  const steps = path.map(certificate => ({ certificate, details: certificateDetails(certificate) }))
  const reasons: PkiReason[] = []
  // Self-issued certificates, such as those of a CA that changes its key, do not count.
  let intermediates = 0
  for (const [index, { certificate, details }] of steps.entries()) {
    const isAnchor = index === steps.length - 1 && certificate.subject === certificate.issuer
    reasons.push(...ownReasons(certificate, details, purposes, nowMs))
    if (!isAnchor) reasons.push(...signatureReasons(certificate))
    if (index === 0) continue
    reasons.push(...issuerReasons(certificate, details, isAnchor, intermediates))
    const below = steps.slice(0, index).map(step => step.details.names)
    reasons.push(...constraintReasons(certificate, details, below))
    if (certificate.subject !== certificate.issuer) intermediates++
  }
  return reasons
}

function ownReasons(
  certificate: X509Certificate,
  details: CertificateDetails,
  purposes: readonly Purpose[],
  nowMs: number,
): readonly PkiReason[] {
  const reasons = [...dateReasons(certificate, nowMs)]
  const [unknown] = details.unknownCritical
  if (unknown !== undefined)
    reasons.push(
      reason('critical-extension', `${show(certificate)} demands the unknown extension ${unknown}`),
    )
  for (const purpose of purposes)
    if (!allowsPurpose(details, purpose))
      reasons.push(reason('wrong-purpose', `${show(certificate)} may not be used for a ${purpose}`))
  return reasons
}

function dateReasons(certificate: X509Certificate, nowMs: number): readonly PkiReason[] {
  const { validFromDate, validToDate } = certificate
  if (nowMs < validFromDate.getTime())
    return [
      reason(
        'not-yet-valid',
        `${show(certificate)} is not valid before ${validFromDate.toISOString()}`,
      ),
    ]
  // The last second is part of the validity.
  if (nowMs >= validToDate.getTime() + 1000)
    return [reason('expired', `${show(certificate)} was valid until ${validToDate.toISOString()}`)]
  return []
}

// An absent extension allows every purpose, for CAs as for leaves.
function allowsPurpose(details: CertificateDetails, purpose: Purpose): boolean {
  const wanted = purpose === 'server' ? OID.serverAuth : OID.clientAuth
  const allowed = details.extendedKeyUsage
  return (
    allowed === undefined || allowed.includes(wanted) || allowed.includes(OID.anyExtendedKeyUsage)
  )
}

function signatureReasons(certificate: X509Certificate): readonly PkiReason[] {
  const algorithm = certificate.signatureAlgorithm ?? ''
  if (!/md[245]|sha1(?!\d)/i.test(algorithm)) return []
  return [reason('weak-signature', `${show(certificate)} is signed with ${algorithm}`)]
}

function issuerReasons(
  certificate: X509Certificate,
  details: CertificateDetails,
  isAnchor: boolean,
  intermediates: number,
): readonly PkiReason[] {
  const { basicConstraints, keyUsage } = details
  // Roots of version 1 have no extensions; whoever trusts one has decided that it is a CA.
  const isOldRoot = isAnchor && details.version < 3
  const maySign = keyUsage === undefined || keyUsage.bits.includes(KEY_USAGE.keyCertSign)
  if (!isOldRoot && (basicConstraints?.isCa !== true || !maySign))
    return [reason('not-a-ca', `${show(certificate)} may not issue certificates`)]
  const limit = basicConstraints?.pathLength
  if (limit !== undefined && intermediates > limit)
    return [
      reason(
        'path-too-long',
        `${show(certificate)} allows ${limit} intermediates, there are ${intermediates}`,
      ),
    ]
  return []
}

function constraintReasons(
  certificate: X509Certificate,
  details: CertificateDetails,
  below: readonly CertificateDetails['names'][],
): readonly PkiReason[] {
  const { nameConstraints } = details
  if (nameConstraints === undefined) return []
  const violations = below.flatMap(names => constraintViolation(names, nameConstraints) ?? [])
  const [first] = violations
  if (first === undefined) return []
  return [reason('name-constraints', `${show(certificate)} does not allow ${first}`)]
}

function unique(certificates: readonly X509Certificate[]): readonly X509Certificate[] {
  return [...new Map(certificates.map(one => [one.fingerprint256, one])).values()]
}

function isSame(a: X509Certificate, b: X509Certificate): boolean {
  return a.raw.equals(b.raw)
}

/** How messages name a certificate. */
export function show(certificate: X509Certificate): string {
  const subject = certificate.subject || certificate.subjectAltName || certificate.serialNumber
  return `certificate ${JSON.stringify(subject.replaceAll('\n', ', ').slice(0, SHOWN_MAX))}`
}

// A hostile certificate can have a name of 60 KB.
const SHOWN_MAX = 200

export function reason(code: PkiReasonCode, message: string): PkiReason {
  return { code, message }
}
