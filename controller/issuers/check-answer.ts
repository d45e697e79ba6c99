// Whether a certificate that somebody else has issued is the answer to a request. Pure: what does
// not fit is said as reasons, all of them, because whoever signs must be told once and not five times.

import type { X509Certificate } from 'node:crypto'
import type { Reason } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import { type CertificateDetails, certificateDetails } from '../../shared/pki/extensions.ts'
import {
  type CertificateFacts,
  certificateFacts,
  isSelfSigned,
  isSignedBy,
} from '../../shared/pki/facts.ts'
import { missingNames } from '../../shared/pki/names.ts'
import { KEY_USAGE } from '../../shared/pki/oids.ts'
import { type Purpose, judgePath, pathReasons, reason, show } from '../../shared/pki/path.ts'
import { parseCertificate, pemOf, splitPemCertificates } from '../../shared/pki/pem.ts'
import { publicLifetimeProblem } from '../../shared/pki/public-lifetime.ts'
import { isDue } from '../../shared/pki/renewal.ts'
import type { CertificateRequestRecord } from '../store/requests-store.ts'

export interface AnswerQuestion {
  readonly request: Pick<CertificateRequestRecord, 'publicKeyDigest' | 'names' | 'clientUse'>
  /** What came, in any order: the leaf, its issuers, and whatever else. */
  readonly certificates: readonly X509Certificate[]
  /** CA certificates that the clients of the service verify with; empty: the roots of the platform. */
  readonly trust: readonly string[]
  readonly renewBeforeMs: number
  readonly nowMs: number
  /** As it was kept: without the root that vouched for it when it came. */
  readonly wasChecked?: boolean
}

export type CheckedAnswer =
  | {
      readonly kind: 'fit'
      /** Leaf first, then its issuers without the root: as a server serves it. */
      readonly chainPem: string
      readonly facts: CertificateFacts
    }
  | { readonly kind: 'unfit'; readonly reasons: readonly Reason[] }

export function checkAnswer(question: AnswerQuestion): CheckedAnswer {
  try {
    return check(question)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    return { kind: 'unfit', reasons: [{ code: error.code, message: error.message }] }
  }
}

/** Throws `certificate-unparsable`. */
export function certificatesIn(pem: string): readonly X509Certificate[] {
  return splitPemCertificates(pem).map(parseCertificate)
}

function check(question: AnswerQuestion): CheckedAnswer {
  const { request, certificates } = question
  const trust = question.trust.flatMap(certificatesIn)
  const described = certificates.map(one => ({ one, facts: certificateFacts(one) }))
  const own = described.filter(({ facts }) => facts.publicKeyDigest === request.publicKeyDigest)
  // Of several answers to one request the newest is meant.
  const leaf = own.toSorted((a, b) => b.facts.notBeforeMs - a.facts.notBeforeMs)[0]
  if (leaf === undefined)
    return unfit([reason('key-mismatch', 'no certificate is for the key of the request')])

  const details = certificateDetails(leaf.one)
  const pool = [...certificates.filter(one => one !== leaf.one), ...trust]
  const climbed = chainAbove(leaf.one, pool)
  const reasons = [
    ...leafReasons(details, leaf.one, leaf.facts, request),
    ...chainReasons(climbed, trust, question),
    ...dateReasons(leaf.facts, question),
  ]
  if (reasons.length > 0) return unfit(onePerCode(reasons))
  const served = climbed.filter((one, index) => index === 0 || !isSelfSigned(one))
  return { kind: 'fit', chainPem: served.map(one => pemOf(one.raw)).join(''), facts: leaf.facts }
}

/** The leaf, its issuer, and so on, as far as the pool goes. A root is the last. */
function chainAbove(
  leaf: X509Certificate,
  pool: readonly X509Certificate[],
): readonly X509Certificate[] {
  const chain = [leaf]
  let top = leaf
  while (chain.length < CHAIN_LENGTH_MAX && !isSelfSigned(top)) {
    const issuers = pool.filter(one => !chain.includes(one) && isSignedBy(top, one))
    // One CA key may have several certificates: the root leads where clients begin, then the newest.
    const issuer =
      issuers.find(isSelfSigned) ??
      issuers.toSorted((a, b) => b.validToDate.getTime() - a.validToDate.getTime())[0]
    if (issuer === undefined) break
    chain.push(issuer)
    top = issuer
  }
  return chain
}

// As path.ts: longer ones do not exist outside of attacks.
const CHAIN_LENGTH_MAX = 8

function leafReasons(
  { keyUsage }: CertificateDetails,
  leaf: X509Certificate,
  facts: CertificateFacts,
  request: AnswerQuestion['request'],
): readonly Reason[] {
  const reasons: Reason[] = []
  if (leaf.ca) reasons.push(reason('ca-as-leaf', `${show(leaf)} is a CA certificate`))
  const offered = { dns: facts.dnsNames, ip: facts.ipAddresses }
  const missing = missingNames(offered, request.names)
  if (offered.dns.length + offered.ip.length === 0)
    reasons.push(reason('san-missing', `${show(leaf)} has no subject alternative name`))
  else if (missing.length > 0)
    reasons.push(reason('name-missing', `${show(leaf)} does not cover ${missing.join(', ')}`))
  // TLS 1.3, and every suite of 1.2 that is still used, signs with the key.
  if (keyUsage !== undefined && !keyUsage.bits.includes(KEY_USAGE.digitalSignature))
    reasons.push(reason('wrong-purpose', `${show(leaf)} may not be used for digital signatures`))
  return reasons
}

function chainReasons(
  chain: readonly X509Certificate[],
  trust: readonly X509Certificate[],
  { request, certificates, nowMs, wasChecked = false }: AnswerQuestion,
): readonly Reason[] {
  const [leaf] = chain
  if (leaf === undefined) return []
  const purposes: readonly Purpose[] = request.clientUse ? ['server', 'client'] : ['server']
  if (trust.length > 0)
    return pathReasons({ leaf, intermediates: certificates, trust, purposes, nowMs })
  // Whom the platform trusts is not known here. That a server must send what is between is.
  const lone =
    chain.length === 1 && !wasChecked
      ? [reason('chain-incomplete', `the issuer of ${show(leaf)} did not come with it`)]
      : []
  return [...lone, ...judgePath(chain, { purposes, nowMs })]
}

function dateReasons(
  facts: CertificateFacts,
  { trust, renewBeforeMs, nowMs }: AnswerQuestion,
): readonly Reason[] {
  if (nowMs >= facts.notAfterMs || nowMs < facts.notBeforeMs) return []
  if (isDue({ ...facts, renewBeforeMs }, nowMs)) {
    const ends = new Date(facts.notAfterMs).toISOString()
    const message = `it ends ${ends}: its renewal would be due at once`
    return [{ code: 'renewal-due', message }]
  }
  // A trust of one's own is a private CA, which the rules for public ones do not bind.
  const tooLong = trust.length === 0 ? publicLifetimeProblem(facts) : undefined
  if (tooLong === undefined) return []
  const { code, message } = tooLong
  return [{ code, message: `${message}; of a private CA name its root as trust in the fleet spec` }]
}

function unfit(reasons: readonly Reason[]): CheckedAnswer {
  return { kind: 'unfit', reasons }
}

function onePerCode(reasons: readonly Reason[]): readonly Reason[] {
  return [...new Map(reasons.toReversed().map(one => [one.code, one])).values()].toReversed()
}
