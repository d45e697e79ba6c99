// Key and chain of a service as one unit: `directory/releases/<id>/{key.pem,chain.pem}` and
// `directory/current`, a symlink to the release that is in use. A release is written once and never
// changed; switching is one rename.

import { X509Certificate } from 'node:crypto'
import type { Reason } from '../../shared/contract/schema.ts'
import type { CertificateSpec } from '../../shared/contract/service.ts'
import { type CertificateFacts, certificateFacts } from '../../shared/pki/facts.ts'
import { missingNames, sameNames } from '../../shared/pki/names.ts'
import { checkPair } from '../../shared/pki/pair.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import { isDue } from '../../shared/pki/renewal.ts'
import type { FileStat, Files } from '../host.ts'
import { trustProblem } from './trust-verdict.ts'

export const KEY_FILE = 'key.pem'
export const CHAIN_FILE = 'chain.pem'

/** What is in one release directory. The key itself is checked and forgotten. */
export interface Release {
  readonly id: string
  readonly facts: CertificateFacts
  readonly chainPem: string
  /** EKU clientAuth beside serverAuth. */
  readonly clientUse: boolean
  /** Key does not fit, chain out of order, and the like. Independent of time, names and trust. */
  readonly problems: readonly Reason[]
  readonly stats: { readonly directory: FileStat; readonly key: FileStat; readonly chain: FileStat }
}

export interface MaterialObservation {
  /** Undefined: the directory does not exist yet. */
  readonly directory: FileStat | undefined
  readonly releasesDirectory: FileStat | undefined
  /** Release that `current` leads to; undefined when there is no link or it leads elsewhere. */
  readonly current: string | undefined
  /** Target of `current` as written. */
  readonly link: string | undefined
  /** Usable or not, by id. Directories without both files (left by a crash) are listed in `incomplete`. */
  readonly releases: readonly Release[]
  readonly incomplete: readonly string[]
}

/** The pair that issuer `files` takes over, as its tool placed it. */
export type SourcePair =
  | { readonly kind: 'pair'; readonly chainPem: string; readonly facts: CertificateFacts }
  | { readonly kind: 'unusable'; readonly reason: Reason }

export function releaseDirectory(directory: string, id: string): string {
  return `${directory}/releases/${id}`
}

export async function observeMaterial(
  files: Files,
  directory: string,
): Promise<MaterialObservation> {
  const releasesPath = `${directory}/releases`
  const link = await files.readLink(`${directory}/current`)
  const releases: Release[] = []
  const incomplete: string[] = []
  for (const id of await files.list(releasesPath)) {
    const release = await observeRelease(files, releaseDirectory(directory, id), id)
    if (release === undefined) incomplete.push(id)
    else releases.push(release)
  }
  const linked = link === undefined ? undefined : /^releases\/([0-9a-f]+)$/.exec(link)?.[1]
  return {
    directory: await files.stat(directory),
    releasesDirectory: await files.stat(releasesPath),
    current: releases.some(release => release.id === linked) ? linked : undefined,
    link,
    releases,
    incomplete,
  }
}

/** Paths whose change makes an observation of the material stale. */
export function materialPaths(directory: string, material: MaterialObservation): readonly string[] {
  const paths = [directory, `${directory}/releases`, `${directory}/current`]
  for (const release of material.releases) {
    const path = releaseDirectory(directory, release.id)
    paths.push(path, `${path}/${KEY_FILE}`, `${path}/${CHAIN_FILE}`)
  }
  return paths
}

async function observeRelease(
  files: Files,
  path: string,
  id: string,
): Promise<Release | undefined> {
  const [directory, key, chain] = [
    await files.stat(path),
    await files.stat(`${path}/${KEY_FILE}`),
    await files.stat(`${path}/${CHAIN_FILE}`),
  ]
  if (directory === undefined || key?.kind !== 'file' || chain?.kind !== 'file') return undefined
  try {
    const keyBytes = await files.read(`${path}/${KEY_FILE}`)
    const chainBytes = await files.read(`${path}/${CHAIN_FILE}`)
    if (keyBytes === undefined || chainBytes === undefined) return undefined
    return { id, ...describePair(chainBytes, keyBytes), stats: { directory, key, chain } }
  } catch {
    // Neither readable nor parsable: as good as not there. It is replaced, never repaired.
    return undefined
  }
}

/** Facts of a pair and what is wrong with it, whatever the time, the names and the trust. Throws when the chain cannot be parsed. */
export function describePair(
  chain: Uint8Array,
  key: Uint8Array,
): { facts: CertificateFacts; chainPem: string; clientUse: boolean; problems: readonly Reason[] } {
  const chainPem = Buffer.from(chain).toString('utf8')
  const leaf = splitPemCertificates(chainPem)[0]
  const facts = certificateFacts(leaf ?? chainPem)
  const problems = checkPair({
    certificatePem: chainPem,
    keyPem: Buffer.from(key).toString('utf8'),
    // In the middle of its life: dates are judged when it is decided, with the time of then.
    nowMs: (facts.notBeforeMs + facts.notAfterMs) / 2,
  }).filter(isFatal)
  // Undefined where there is no such extension, as in what "openssl req -x509" makes.
  const usages: readonly string[] | undefined = new X509Certificate(leaf ?? chainPem).keyUsage
  return { facts, chainPem, clientUse: usages?.includes(CLIENT_AUTH) === true, problems }
}

// What "openssl req -x509" makes calls itself a CA. Servers serve it and clients accept it; it is the
// other tool's business.
export function isFatal(problem: Reason): boolean {
  return problem.code !== 'ca-as-leaf'
}

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

/** The intent that a release is judged against. */
export interface MaterialTarget {
  readonly spec: CertificateSpec
  readonly clientUse: boolean
  /** CA certificates that must accept the chain; empty means that it is its own trust (self-signed) or that of the platform. */
  readonly trust: readonly string[]
  /** Issuer `files`: what the other tool has placed. */
  readonly source: SourcePair | undefined
  /** An operator asked for a new key and certificate now. */
  readonly isRenewalWanted: boolean
}

export type MaterialDecision =
  | { readonly kind: 'keep'; readonly release: Release }
  /** A release that is prepared already, by a stage or before a crash. */
  | { readonly kind: 'switch'; readonly release: Release; readonly reason: Reason }
  | { readonly kind: 'new'; readonly reason: Reason }
  | { readonly kind: 'blocked'; readonly reason: Reason }

/** Keep the release in use, switch to a prepared one, or make a new one. Pure. */
export function decideMaterial(
  target: MaterialTarget,
  material: MaterialObservation,
  nowMs: number,
): MaterialDecision {
  const current = material.releases.find(release => release.id === material.current)
  if (current !== undefined && target.isRenewalWanted && target.spec.issuer !== 'files')
    return { kind: 'new', reason: RENEWAL_WANTED }
  const flaw = current === undefined ? NO_RELEASE : flawOf(current, target, nowMs)
  if (current !== undefined && flaw === undefined) return { kind: 'keep', release: current }
  const reason = flaw ?? NO_RELEASE
  if (target.source?.kind === 'unusable') {
    return current === undefined || reason.code === 'expired'
      ? { kind: 'blocked', reason: target.source.reason }
      : { kind: 'keep', release: current }
  }
  const prepared = material.releases
    .filter(
      release => release.id !== material.current && flawOf(release, target, nowMs) === undefined,
    )
    .sort((a, b) => b.facts.notBeforeMs - a.facts.notBeforeMs)[0]
  if (prepared !== undefined) return { kind: 'switch', release: prepared, reason }
  return { kind: 'new', reason }
}

const NO_RELEASE: Reason = { code: 'certificate-missing', message: 'there is no certificate yet' }

const RENEWAL_WANTED: Reason = {
  code: 'renewal-requested',
  message: 'an operator asked for a new key and certificate',
}

type Check = (release: Release, target: MaterialTarget, nowMs: number) => Reason | undefined

// What makes a release unfit, one line each; the first that applies is the reason that is shown.
const CHECKS: readonly Check[] = [
  release => release.problems[0],
  isExpired,
  isNotYetValid,
  isSourceChanged,
  isOfAnotherIssuer,
  hasOtherNames,
  hasOtherKeyType,
  hasOtherUsage,
  isRenewalDue,
]

function flawOf(release: Release, target: MaterialTarget, nowMs: number): Reason | undefined {
  for (const check of CHECKS) {
    const reason = check(release, target, nowMs)
    if (reason !== undefined) return reason
  }
  return undefined
}

function isExpired(release: Release, _: MaterialTarget, nowMs: number): Reason | undefined {
  if (nowMs < release.facts.notAfterMs) return undefined
  return { code: 'expired', message: `the certificate ended ${isoDate(release.facts.notAfterMs)}` }
}

function isNotYetValid(release: Release, _: MaterialTarget, nowMs: number): Reason | undefined {
  if (nowMs >= release.facts.notBeforeMs) return undefined
  return {
    code: 'not-yet-valid',
    message: `the certificate begins ${isoDate(release.facts.notBeforeMs)}`,
  }
}

function isSourceChanged(release: Release, target: MaterialTarget): Reason | undefined {
  if (target.spec.issuer !== 'files' || target.source?.kind !== 'pair') return undefined
  if (target.source.facts.fingerprint === release.facts.fingerprint) return undefined
  return { code: 'source-changed', message: 'the pair placed on this node is another one' }
}

function isOfAnotherIssuer(
  release: Release,
  target: MaterialTarget,
  nowMs: number,
): Reason | undefined {
  const { spec, trust } = target
  switch (spec.issuer) {
    case 'files':
      return undefined
    case 'self-signed':
      return release.facts.selfSigned
        ? undefined
        : { code: 'issuer-changed', message: 'the certificate is not self-signed' }
    case 'internal':
    case 'local-ca': {
      if (
        spec.issuedBy !== undefined &&
        !chainFingerprints(release.chainPem).includes(spec.issuedBy)
      ) {
        return {
          code: 'issuer-changed',
          message: `the certificate was issued by ${release.facts.issuer}`,
        }
      }
      const problem = trustProblem(release, trust, nowMs)
      return problem === undefined
        ? undefined
        : { code: 'issuer-changed', message: problem.message }
    }
  }
}

function hasOtherNames(release: Release, { spec }: MaterialTarget): Reason | undefined {
  const offered = { dns: release.facts.dnsNames, ip: release.facts.ipAddresses }
  if (spec.issuer === 'files') {
    const missing = missingNames(offered, spec.names)
    return missing.length === 0
      ? undefined
      : { code: 'name-missing', message: `the certificate is not for ${missing.join(', ')}` }
  }
  if (sameNames(offered, spec.names)) return undefined
  return {
    code: 'names-changed',
    message: `the certificate is for ${[...offered.dns, ...offered.ip].join(', ')}, wanted is ${[...spec.names.dns, ...spec.names.ip].join(', ')}`,
  }
}

function hasOtherKeyType(release: Release, { spec }: MaterialTarget): Reason | undefined {
  if (spec.issuer === 'files' || release.facts.keyType === spec.key) return undefined
  return {
    code: 'key-type-changed',
    message: `the key is ${release.facts.keyType}, wanted is ${spec.key}`,
  }
}

function hasOtherUsage(release: Release, target: MaterialTarget): Reason | undefined {
  if (target.spec.issuer === 'files' || release.clientUse === target.clientUse) return undefined
  return {
    code: 'usage-changed',
    message: target.clientUse
      ? 'the certificate must also identify this node as a client'
      : 'the certificate may identify a client, which it must not',
  }
}

function isRenewalDue(
  release: Release,
  { spec }: MaterialTarget,
  nowMs: number,
): Reason | undefined {
  if (spec.issuer === 'files') return undefined
  if (!isDue({ ...release.facts, renewBeforeMs: spec.renewBeforeMs }, nowMs)) return undefined
  return {
    code: 'renewal-due',
    message: `the certificate ends ${isoDate(release.facts.notAfterMs)}`,
  }
}

/** SHA-256 fingerprints of every certificate of a chain. */
function chainFingerprints(chainPem: string): readonly string[] {
  return splitPemCertificates(chainPem).map(pem => certificateFacts(pem).fingerprint)
}

function isoDate(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')
}
