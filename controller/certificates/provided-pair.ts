// Whether a pair that an operator uploads may be served, and what is to be said of one that was
// uploaded before. Pure.

import type { X509Certificate } from 'node:crypto'
import type { Reason } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import { type CertificateFacts, certificateFacts, isSelfSigned } from '../../shared/pki/facts.ts'
import { parsePrivateKey } from '../../shared/pki/keys.ts'
import { checkPair } from '../../shared/pki/pair.ts'
import { pathReasons } from '../../shared/pki/path.ts'
import { parseCertificate, pemOf, splitPemCertificates } from '../../shared/pki/pem.ts'
import { publicLifetimeProblem } from '../../shared/pki/public-lifetime.ts'
import { Secret } from '../../shared/secret.ts'
import { instant } from './renewal.ts'

/** Roots of the public CAs: whoever is issued by one is bound by their rules. */
export interface PublicRoots {
  /** Those with this subject. */
  named(subject: string): readonly X509Certificate[]
}

export function publicRootsOf(pems: () => readonly string[]): PublicRoots {
  // Some 140, and most controllers are never asked.
  let bySubject: ReadonlyMap<string, readonly X509Certificate[]> | undefined
  const group = () => Map.groupBy(pems().map(parseCertificate), ({ subject }) => subject)
  return {
    named(subject) {
      bySubject ??= group()
      return bySubject.get(subject) ?? []
    },
  }
}

export interface Upload {
  readonly chainPem: string
  readonly keyPem: Secret
  /** CA certificates of a private CA, PEM; none for a public one. */
  readonly trust: readonly string[]
}

export interface GoodPair {
  /** In one spelling, and nothing between the certificates. */
  readonly chainPem: string
  readonly trustPem: string
  /** PKCS#8, which every product reads. */
  readonly keyPem: Secret
  readonly facts: CertificateFacts
}

export type Judgement =
  | { readonly kind: 'good'; readonly pair: GoodPair }
  | { readonly kind: 'refused'; readonly reasons: readonly Reason[] }

/** Everything that is wrong with an upload. Never throws for bad material, and never quotes it. */
export function judgeUpload(upload: Upload, roots: PublicRoots, nowMs: number): Judgement {
  const chain = readable(upload.chainPem) ?? []
  const trust = readable(upload.trust.join('\n'))
  if (trust === undefined) return { kind: 'refused', reasons: [TRUST_UNPARSABLE] }
  // An intermediate is not there for clients because the controller was given it: the chain must have it.
  const anchors = trust.filter(isSelfSigned)
  const reasons = checkPair({
    certificatePem: upload.chainPem,
    keyPem: upload.keyPem,
    trust: [...anchors, ...rootsAbove(chain, roots)].map(({ raw }) => pemOf(raw)),
    nowMs,
  }).filter(({ code }) => code !== 'ca-as-leaf' || !isOwnCa(chain))
  if (reasons.length > 0) return { kind: 'refused', reasons }
  const chainPem = textOf(chain)
  const facts = certificateFacts(chain[0] ?? chainPem)
  const tooLong = isPublic(chainPem, roots) ? publicLifetimeProblem(facts) : undefined
  if (tooLong !== undefined) return { kind: 'refused', reasons: [tooLong] }
  const keyPem = pkcs8(upload.keyPem)
  return { kind: 'good', pair: { chainPem, trustPem: textOf(anchors), keyPem, facts } }
}

const TRUST_UNPARSABLE: Reason = {
  code: 'certificate-unparsable',
  message: 'the CA certificates that came with it cannot be parsed',
}

/**
 * Does a way lead to a root of the public CAs, whatever else is trusted and whatever the dates are?
 * A private CA is one that the operator has named and that no such root stands above.
 */
export function isPublic(chainPem: string, roots: PublicRoots): boolean {
  const [leaf, ...intermediates] = certificatesOf(chainPem)
  if (leaf === undefined) return false
  const trust = rootsAbove([leaf, ...intermediates], roots)
  const nowMs = leaf.validFromDate.getTime()
  const reasons = pathReasons({ leaf, intermediates, trust, purposes: [], nowMs })
  return !reasons.some(({ code }) => code === 'untrusted' || code === 'chain-incomplete')
}

export interface Standing {
  /** It cannot be used as it is now. */
  readonly problems: readonly Reason[]
  readonly warnings: readonly Reason[]
}

/** What time has made of a pair that was good when it came. Its key is not asked: it does not change. */
export function standingOf(
  pair: { readonly certificateChain: string; readonly trust: string },
  roots: PublicRoots,
  nowMs: number,
): Standing {
  const [leaf, ...intermediates] = certificatesOf(pair.certificateChain)
  if (leaf === undefined) return { problems: [], warnings: [] }
  const trust = [...certificatesOf(pair.trust), ...rootsAbove([leaf, ...intermediates], roots)]
  const problems = pathReasons({ leaf, intermediates, trust, purposes: ['server'], nowMs })
  if (problems.length > 0) return { problems, warnings: [] }
  const warnings = [endsSoon(leaf, nowMs), caAsLeaf(leaf), rootInChain(intermediates)]
  return { problems, warnings: warnings.filter(one => one !== undefined) }
}

// A third of its life and no more than a month: until then somebody has to get the next one.
const SOON_MS_MAX = 30 * 86_400_000

function endsSoon(leaf: X509Certificate, nowMs: number): Reason | undefined {
  const endMs = leaf.validToDate.getTime()
  const lifeMs = endMs - leaf.validFromDate.getTime()
  if (nowMs < endMs - Math.min(SOON_MS_MAX, lifeMs / 3)) return undefined
  const message = `it ends ${instant(endMs)} and is not renewed by itself: upload the next one`
  return { code: 'ends-soon', message }
}

function caAsLeaf(leaf: X509Certificate): Reason | undefined {
  if (!leaf.ca) return undefined
  return { code: 'ca-as-leaf', message: 'the leaf is a CA certificate, which some clients refuse' }
}

function rootInChain(above: readonly X509Certificate[]): Reason | undefined {
  const last = above.at(-1)
  if (last === undefined || !isSelfSigned(last)) return undefined
  const message = 'the chain ends with a root: clients do not need it, and it is sent every time'
  return { code: 'root-in-chain', message }
}

// What `openssl req -x509` makes calls itself a CA. Servers serve it, and clients accept it. The key
// of a CA that others have signed is not for nodes.
function isOwnCa([leaf, ...above]: readonly X509Certificate[]): boolean {
  return leaf !== undefined && above.length === 0 && isSelfSigned(leaf)
}

function rootsAbove(
  chain: readonly X509Certificate[],
  roots: PublicRoots,
): readonly X509Certificate[] {
  return [...new Set(chain.map(({ issuer }) => issuer))].flatMap(issuer => roots.named(issuer))
}

function readable(pem: string): readonly X509Certificate[] | undefined {
  try {
    return certificatesOf(pem)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    return undefined
  }
}

function certificatesOf(pem: string): readonly X509Certificate[] {
  return splitPemCertificates(pem).map(parseCertificate)
}

function textOf(certificates: readonly X509Certificate[]): string {
  return certificates.map(({ raw }) => pemOf(raw)).join('')
}

function pkcs8(keyPem: Secret): Secret {
  return new Secret(parsePrivateKey(keyPem).export({ type: 'pkcs8', format: 'pem' }).toString())
}
