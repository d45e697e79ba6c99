// Key and chain of a service as one unit: `directory/releases/<id>/{key.pem,chain.pem}` and
// `directory/current`, a symlink to the release that is in use. A release is written once and never
// changed; switching is one rename. What else products take (store.ts) is made from the two.

import { X509Certificate } from 'node:crypto'
import type { Reason } from '../../shared/contract/schema.ts'
import type { CertificateSpec } from '../../shared/contract/service.ts'
import { type CertificateFacts, certificateFacts } from '../../shared/pki/facts.ts'
import { OID } from '../../shared/pki/oids.ts'
import { checkPair } from '../../shared/pki/pair.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import type { Secret } from '../../shared/secret.ts'
import { REQUEST_FILE, type RequestNote, readNote, requestNote } from '../request-note.ts'
import type { FileStat, Files } from '../host.ts'
import { finalFlaw, flawOf, isMadeElsewhere } from './release-flaws.ts'
import { BUNDLE_FILE, STORE_FILE, bundleProblem, storeProblem } from './store.ts'
import { decideSuccession, type Succession } from './succession.ts'

export const KEY_FILE = 'key.pem'
export const CHAIN_FILE = 'chain.pem'

/** What is in one release directory. The key itself is checked and forgotten. */
export interface Release {
  readonly id: string
  readonly facts: CertificateFacts
  readonly chainPem: string
  /** EKU clientAuth beside serverAuth. */
  readonly clientUse: boolean
  /** It may be shown as a client's, be it because no purpose is named at all. */
  readonly allowsClientUse: boolean
  /** Of those who signed it elsewhere, what they were asked. */
  readonly request: RequestNote | undefined
  /** Key does not fit, chain out of order, and the like. Independent of time, names and trust. */
  readonly problems: readonly Reason[]
  readonly stats: ReleaseStats
}

export interface ReleaseStats {
  readonly directory: FileStat
  readonly key: FileStat
  readonly chain: FileStat
  readonly bundle: FileStat | undefined
  readonly store: FileStat | undefined
}

/** What a release must hold beside key and chain. */
export interface ReleaseExtras {
  readonly isBundleWanted: boolean
  readonly store:
    | {
        readonly password: Secret | undefined
        readonly trust: readonly string[]
        /** See StoreIntent.carry. */
        readonly carried: string | undefined
      }
    | undefined
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
  /** Of the incomplete ones those whose certificate was asked for elsewhere. */
  readonly requests: readonly RequestNote[]
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
  extras: ReleaseExtras,
): Promise<MaterialObservation> {
  const releasesPath = `${directory}/releases`
  const link = await files.readLink(`${directory}/current`)
  const releases: Release[] = []
  const incomplete: string[] = []
  const requests: RequestNote[] = []
  for (const id of await files.list(releasesPath)) {
    const release = await observeRelease(files, releaseDirectory(directory, id), id, extras)
    if (release !== undefined) {
      releases.push(release)
      continue
    }
    incomplete.push(id)
    const note = readNote(await files.read(`${releaseDirectory(directory, id)}/${REQUEST_FILE}`))
    if (note !== undefined) requests.push(note)
  }
  const linked = link === undefined ? undefined : /^releases\/([0-9a-f]+)$/.exec(link)?.[1]
  return {
    directory: await files.stat(directory),
    releasesDirectory: await files.stat(releasesPath),
    current: releases.some(release => release.id === linked) ? linked : undefined,
    link,
    releases,
    incomplete,
    requests,
  }
}

/** Paths whose change makes an observation of the material stale. */
export function materialPaths(directory: string, material: MaterialObservation): readonly string[] {
  const paths = [directory, `${directory}/releases`, `${directory}/current`]
  for (const release of material.releases) {
    const path = releaseDirectory(directory, release.id)
    paths.push(path, `${path}/${KEY_FILE}`, `${path}/${CHAIN_FILE}`)
    if (release.stats.bundle !== undefined) paths.push(`${path}/${BUNDLE_FILE}`)
    if (release.stats.store !== undefined) paths.push(`${path}/${STORE_FILE}`)
  }
  return paths
}

async function observeRelease(
  files: Files,
  path: string,
  id: string,
  extras: ReleaseExtras,
): Promise<Release | undefined> {
  const [directory, key, chain, bundle, store] = [
    await files.stat(path),
    await files.stat(`${path}/${KEY_FILE}`),
    await files.stat(`${path}/${CHAIN_FILE}`),
    await files.stat(`${path}/${BUNDLE_FILE}`),
    await files.stat(`${path}/${STORE_FILE}`),
  ]
  if (directory === undefined || key?.kind !== 'file' || chain?.kind !== 'file') return undefined
  try {
    const keyBytes = await files.read(`${path}/${KEY_FILE}`)
    const chainBytes = await files.read(`${path}/${CHAIN_FILE}`)
    if (keyBytes === undefined || chainBytes === undefined) return undefined
    const pair = describePair(chainBytes, keyBytes)
    const more = await extraProblems(files, path, { key: keyBytes, chain: chainBytes }, extras)
    return {
      id,
      ...pair,
      request: readNote(await files.read(`${path}/${REQUEST_FILE}`)),
      problems: [...pair.problems, ...more],
      stats: { directory, key, chain, bundle, store },
    }
  } catch {
    // Neither readable nor parsable: as good as not there. It is replaced, never repaired.
    return undefined
  }
}

async function extraProblems(
  files: Files,
  path: string,
  pair: { readonly key: Uint8Array; readonly chain: Uint8Array },
  { isBundleWanted, store }: ReleaseExtras,
): Promise<readonly Reason[]> {
  const problems: (Reason | undefined)[] = []
  if (isBundleWanted)
    problems.push(bundleProblem(await files.read(`${path}/${BUNDLE_FILE}`), pair.key, pair.chain))
  if (store !== undefined) {
    const bytes = await files.read(`${path}/${STORE_FILE}`)
    problems.push(await storeProblem({ store: bytes, ...pair, ...store }))
  }
  return problems.filter(problem => problem !== undefined)
}

/** Facts of a pair and what is wrong with it, whatever the time, the names and the trust. Throws when the chain cannot be parsed. */
export function describePair(
  chain: Uint8Array,
  key: Uint8Array,
): {
  facts: CertificateFacts
  chainPem: string
  clientUse: boolean
  allowsClientUse: boolean
  problems: readonly Reason[]
} {
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
  const clientUse = usages?.includes(CLIENT_AUTH) === true
  const allowsClientUse = clientUse || (usages?.includes(ANY_PURPOSE) ?? true)
  return { facts, chainPem, clientUse, allowsClientUse, problems }
}

// What "openssl req -x509" makes calls itself a CA. Servers serve it and clients accept it; it is the
// other tool's business.
export function isFatal(problem: Reason): boolean {
  return problem.code !== 'ca-as-leaf'
}

const CLIENT_AUTH = OID.clientAuth
const ANY_PURPOSE = OID.anyExtendedKeyUsage

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
  /** No new certificate is to be had now: the one in use is kept, whatever is wrong with it. */
  readonly isUncertified?: boolean
}

export type MaterialDecision =
  | { readonly kind: 'keep'; readonly release: Release; readonly succession?: Succession }
  /** A release that is prepared already, by a stage or before a crash. */
  | { readonly kind: 'switch'; readonly release: Release; readonly reason: Reason }
  | { readonly kind: 'new'; readonly reason: Reason }
  /** No key and no certificate are wanted; what is there is left alone. */
  | { readonly kind: 'none' }
  | { readonly kind: 'blocked'; readonly reason: Reason }

/** Keep the release in use, switch to a prepared one, or make a new one. Pure. */
export function decideMaterial(
  target: MaterialTarget,
  material: MaterialObservation,
  nowMs: number,
): MaterialDecision {
  const current = material.releases.find(release => release.id === material.current)
  if (current !== undefined && target.isUncertified === true)
    return { kind: 'keep', release: current }
  const handingOver = decideSuccession(target, material, nowMs)
  if (handingOver !== undefined) return handingOver
  if (current !== undefined && target.isRenewalWanted && !isMadeElsewhere(target.spec))
    return { kind: 'new', reason: RENEWAL_WANTED }
  const flaw = current === undefined ? NO_RELEASE : flawOf(current, target, nowMs)
  if (current !== undefined && flaw === undefined)
    return isRequested(target, material)
      ? { kind: 'new', reason: REQUESTED }
      : { kind: 'keep', release: current }
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
  const final = finalFlaw(material.releases, target, nowMs)
  if (final !== undefined) return { kind: 'blocked', reason: final }
  return { kind: 'new', reason }
}

const NO_RELEASE: Reason = { code: 'certificate-missing', message: 'there is no certificate yet' }

const RENEWAL_WANTED: Reason = {
  code: 'renewal-requested',
  message: 'an operator asked for a new key and certificate',
}

// An operator's wish is heard once and the answer comes days later: the key that waits remembers it.
function isRequested({ spec, clientUse }: MaterialTarget, { requests }: MaterialObservation) {
  const wanted = requestNote(spec, clientUse)
  return requests.some(one => one.question === wanted?.question)
}

const REQUESTED: Reason = {
  code: 'certificate-requested',
  message: 'a new certificate was asked for',
}
