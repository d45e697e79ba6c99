// Judges a key and its chain before anything uses them: would a service that serves this pair, and
// a client that trusts this bundle, understand each other?

import type { KeyObject, X509Certificate } from 'node:crypto'
import { OperationalError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { certificateDetails } from './extensions.ts'
import { isSignedBy, publicKeyOf } from './facts.ts'
import { parsePrivateKey, publicKeyDigest, weakKeyReason } from './keys.ts'
import { type CertificateNames, missingNames } from './names.ts'
import { type Purpose, judgePath, pathReasons, reason, show } from './path.ts'
import { parseCertificate, splitPemCertificates } from './pem.ts'
import type { PkiReason } from './reason.ts'

export interface PairQuestion {
  /** Leaf first, then its issuer, and so on; a root at the end is allowed. */
  readonly certificatePem: string
  readonly keyPem: Secret | string
  /** CA certificates of the clients; without them the question of trust is not asked. */
  readonly trust?: readonly string[]
  /** Names that the leaf must cover. */
  readonly names?: CertificateNames
  /** What the service does with the pair; a server by default. */
  readonly purposes?: readonly Purpose[]
  readonly nowMs: number
}

/** Everything that is wrong, each code at most once; empty when the pair is good. Never throws for bad material. */
export function checkPair(question: PairQuestion): readonly PkiReason[] {
  const key = attempt(() => parsePrivateKey(secretOf(question.keyPem)))
  const chain = attempt(() => parseChain(question.certificatePem))
  const trust = attempt(() => (question.trust ?? []).flatMap(parseBundle))
  const reasons: PkiReason[] = []
  if (!key.ok) reasons.push(key.reason)
  if (!chain.ok) return [...reasons, chain.reason]
  if (!trust.ok) return [...reasons, trust.reason]

  const judged = attempt(() => [
    ...(key.ok ? keyReasons(key.value, chain.value) : []),
    ...leafReasons(chain.value, question),
    ...orderReasons(chain.value),
    ...trustReasons(chain.value, trust.value, question),
  ])
  return onePerCode([...reasons, ...(judged.ok ? judged.value : [judged.reason])])
}

interface Chain {
  readonly leaf: X509Certificate
  readonly rest: readonly X509Certificate[]
}

function parseChain(pem: string): Chain {
  const [leaf, ...rest] = parseBundle(pem)
  if (leaf === undefined)
    throw new OperationalError('certificate-unparsable', 'text holds no certificate')
  return { leaf, rest }
}

function parseBundle(pem: string): readonly X509Certificate[] {
  return splitPemCertificates(pem).map(parseCertificate)
}

function keyReasons(key: KeyObject, { leaf, rest }: Chain): readonly PkiReason[] {
  const wanted = publicKeyDigest(key)
  const belongsTo = (certificate: X509Certificate) =>
    publicKeyDigest(publicKeyOf(certificate)) === wanted
  if (belongsTo(leaf)) return []
  const owner = rest.find(belongsTo)
  return owner === undefined
    ? [reason('key-mismatch', `private key does not belong to ${show(leaf)}`)]
    : [reason('chain-order', `private key belongs to ${show(owner)}, which must come first`)]
}

function leafReasons(
  { leaf }: Chain,
  { names = { dns: [], ip: [] }, purposes = ['server'] }: PairQuestion,
): readonly PkiReason[] {
  const reasons: PkiReason[] = []
  if (leaf.ca) reasons.push(reason('ca-as-leaf', `${show(leaf)} is a CA certificate`))
  const weak = weakKeyReason(publicKeyOf(leaf))
  if (weak !== undefined) reasons.push(weak)
  const alternative = certificateDetails(leaf).names
  // A server without names in this extension is refused by Go and by browsers, whatever its CN.
  const offered = { dns: alternative?.dnsNames ?? [], ip: alternative?.ipAddresses ?? [] }
  if (purposes.includes('server') && offered.dns.length + offered.ip.length === 0)
    return [...reasons, reason('san-missing', `${show(leaf)} has no subject alternative name`)]
  const missing = missingNames(offered, names)
  if (missing.length > 0)
    reasons.push(reason('name-missing', `${show(leaf)} does not cover ${missing.join(', ')}`))
  return reasons
}

// Servers send the file as it is, and not every client sorts what it gets.
function orderReasons({ leaf, rest }: Chain): readonly PkiReason[] {
  let current = leaf
  for (const next of rest) {
    if (!isSignedBy(current, next))
      return [
        reason(
          'chain-order',
          `${show(current)} is followed by ${show(next)}, which is not its issuer`,
        ),
      ]
    current = next
  }
  return []
}

function trustReasons(
  { leaf, rest }: Chain,
  trust: readonly X509Certificate[],
  question: PairQuestion,
): readonly PkiReason[] {
  const { nowMs, purposes = ['server'] } = question
  if (question.trust !== undefined)
    return pathReasons({ leaf, intermediates: rest, trust, purposes, nowMs })
  // Without a bundle the chain is judged as far as it goes.
  const isOrdered = orderReasons({ leaf, rest }).length === 0
  return judgePath(isOrdered ? [leaf, ...rest] : [leaf], { purposes, nowMs })
}

function secretOf(key: Secret | string): Secret {
  return typeof key === 'string' ? new Secret(key) : key
}

type Attempt<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly reason: PkiReason }

function attempt<T>(parse: () => T): Attempt<T> {
  try {
    return { ok: true, value: parse() }
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    switch (error.code) {
      case 'key-encrypted':
      case 'key-unparsable':
      case 'certificate-unparsable':
        return { ok: false, reason: reason(error.code, error.message) }
      default:
        throw error
    }
  }
}

function onePerCode(reasons: readonly PkiReason[]): readonly PkiReason[] {
  const seen = new Map<string, PkiReason>()
  for (const one of reasons) if (!seen.has(one.code)) seen.set(one.code, one)
  return [...seen.values()]
}
