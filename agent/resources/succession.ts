// Self-signed certificates are trusted one by one: before one takes the place of another, all clients
// must hold it. So the successor is made ahead of its time and shown to the controller, and it is
// switched to when the desired state says that it has been given to everybody. Pure.

import type { Reason } from '../../shared/contract/schema.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import { floorAtMs, prepareAtMs, renewAtMs, type RenewalInputs } from '../../shared/pki/renewal.ts'
import type { MaterialDecision, MaterialObservation, MaterialTarget, Release } from './material.ts'
import { flawOf } from './release-flaws.ts'

/** What becomes of a certificate in use that others trust by itself. */
export interface Succession {
  /** The release that follows; undefined: it is to be made when `prepareFor` says why. */
  readonly next: Release | undefined
  readonly prepareFor: Reason | undefined
  /** Not all clients were given it, and it should be in use by now. */
  readonly isAwaited: boolean
  /** When the next step is due: making it, switching to it, or not waiting any longer. */
  readonly dueAtMs: number
}

/**
 * Undefined: the certificate in use has nobody to hand over to, because no controller keeps the
 * trust of its clients, because it is no good any more, or because it ends too soon to wait.
 */
export function decideSuccession(
  target: MaterialTarget,
  material: MaterialObservation,
  nowMs: number,
): MaterialDecision | undefined {
  const current = material.releases.find(release => release.id === material.current)
  if (current === undefined || target.spec.issuer !== 'self-signed') return undefined
  if (!isListed(target.trust, current)) return undefined
  const flaw = target.isRenewalWanted ? RENEWAL_WANTED : flawOf(current, target, nowMs)
  if (flaw !== undefined && !REPLACEABLE.has(flaw.code)) return undefined
  const dates = inputsOf(current, target)
  if (nowMs >= floorAtMs(dates)) return undefined

  const next = successorOf(current, target, material, nowMs)
  const prepareMs = prepareAtMs(dates)
  if (next === undefined) {
    const prepareFor = flaw ?? (nowMs >= prepareMs ? AHEAD : undefined)
    return kept(current, { next, prepareFor, isAwaited: false, dueAtMs: prepareMs })
  }
  // One that is there before its time was asked for: by an operator, or with other names.
  const isWanted = flaw !== undefined || nowMs < prepareMs
  if (isWanted && isListed(target.trust, next))
    return { kind: 'switch', release: next, reason: flaw ?? RENEWAL_WANTED }
  const dueAtMs = isWanted ? floorAtMs(dates) : renewAtMs(dates)
  return kept(current, { next, prepareFor: undefined, isAwaited: isWanted, dueAtMs })
}

/** Is the leaf of this release among the certificates that clients were given? */
export function isListed(trust: readonly string[], { chainPem }: Pick<Release, 'chainPem'>) {
  const [leaf] = splitPemCertificates(chainPem)
  const body = bare(leaf ?? chainPem)
  return trust.some(pem => bare(pem) === body)
}

// Line breaks are nobody's concern.
function bare(pem: string): string {
  return pem.replaceAll(/\s/g, '')
}

function kept(release: Release, succession: Succession): MaterialDecision {
  return { kind: 'keep', release, succession }
}

// What was in use before it and is kept for a while is no successor, however good it still is.
function successorOf(
  current: Release,
  target: MaterialTarget,
  { releases }: MaterialObservation,
  nowMs: number,
): Release | undefined {
  return releases
    .filter(
      release =>
        release.id !== current.id &&
        release.facts.notBeforeMs > current.facts.notBeforeMs &&
        flawOf(release, target, nowMs) === undefined,
    )
    .toSorted((a, b) => b.facts.notBeforeMs - a.facts.notBeforeMs)[0]
}

function inputsOf({ facts }: Release, { spec }: MaterialTarget): RenewalInputs {
  return { ...facts, renewBeforeMs: spec.renewBeforeMs }
}

// Reasons for another certificate for which this one can serve on until all clients know the other.
const REPLACEABLE: ReadonlySet<string> = new Set([
  'renewal-due',
  'renewal-requested',
  'names-changed',
  'key-type-changed',
  'usage-changed',
])

const RENEWAL_WANTED: Reason = {
  code: 'renewal-requested',
  message: 'an operator asked for a new key and certificate',
}

const AHEAD: Reason = {
  code: 'successor-ahead',
  message: 'clients are given the next certificate before it is in use',
}
