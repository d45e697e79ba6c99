// What makes a release unfit for what is wanted now. Pure.

import type { Reason } from '../../shared/contract/schema.ts'
import type { CertificateSpec } from '../../shared/contract/service.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { missingNames, sameNames } from '../../shared/pki/names.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import { isDue } from '../../shared/pki/renewal.ts'
import { requestNote } from '../request-note.ts'
import type { MaterialTarget, Release } from './material.ts'
import { trustProblem } from './trust-verdict.ts'

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

/** Undefined: it is as wanted. */
export function flawOf(
  release: Release,
  target: MaterialTarget,
  nowMs: number,
): Reason | undefined {
  for (const check of CHECKS) {
    const reason = check(release, target, nowMs)
    if (reason !== undefined) return reason
  }
  return undefined
}

/** Key and certificate come as one from elsewhere; the agent neither makes nor renews them. */
export function isMadeElsewhere({ issuer }: CertificateSpec): boolean {
  return issuer === 'files' || issuer === 'provided'
}

/** Issuer `provided`: the version that is wanted is here, whole, and no good. To ask for it again is no cure. */
export function finalFlaw(
  releases: readonly Release[],
  target: MaterialTarget,
  nowMs: number,
): Reason | undefined {
  const { issuer, provided } = target.spec
  if (issuer !== 'provided') return undefined
  const wanted = releases.find(
    ({ facts, problems }) => facts.fingerprint === provided?.fingerprint && problems.length === 0,
  )
  const flaw = wanted === undefined ? undefined : flawOf(wanted, target, nowMs)
  if (flaw === undefined) return undefined
  return { code: flaw.code, message: `${flaw.message}; an operator uploads the next one` }
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
  const { issuer, provided } = target.spec
  if (issuer === 'provided')
    return provided?.fingerprint === release.facts.fingerprint
      ? undefined
      : {
          code: 'source-changed',
          message: `another version of ${provided?.name ?? 'it'} is wanted`,
        }
  if (issuer !== 'files' || target.source?.kind !== 'pair') return undefined
  if (target.source.facts.fingerprint === release.facts.fingerprint) return undefined
  return { code: 'source-changed', message: 'the pair placed on this node is another one' }
}

function isOfAnotherIssuer(
  release: Release,
  target: MaterialTarget,
  nowMs: number,
): Reason | undefined {
  const { spec, trust } = target
  const asked = requestNote(spec, target.clientUse)
  if (asked !== undefined && release.request?.origin !== asked.origin)
    return {
      code: 'issuer-changed',
      message: `the certificate was not asked for from ${asked.origin}`,
    }
  switch (spec.issuer) {
    case 'files':
      return undefined
    case 'self-signed':
      return release.facts.selfSigned
        ? undefined
        : { code: 'issuer-changed', message: 'the certificate is not self-signed' }
    case 'acme':
    case 'csr':
    case 'internal':
    case 'local-ca':
    case 'provided': {
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
  if (mayOfferMore(spec)) {
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

// Whoever signs elsewhere may put more into a certificate than was asked for.
function mayOfferMore({ issuer }: CertificateSpec): boolean {
  return issuer === 'files' || issuer === 'csr' || issuer === 'acme' || issuer === 'provided'
}

function hasOtherKeyType(release: Release, { spec }: MaterialTarget): Reason | undefined {
  if (isMadeElsewhere(spec) || release.facts.keyType === spec.key) return undefined
  return {
    code: 'key-type-changed',
    message: `the key is ${release.facts.keyType}, wanted is ${spec.key}`,
  }
}

function hasOtherUsage(release: Release, target: MaterialTarget): Reason | undefined {
  if (target.spec.issuer === 'files' || release.clientUse === target.clientUse) return undefined
  if (mayOfferMore(target.spec) && (!target.clientUse || release.allowsClientUse)) return undefined
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
  if (isMadeElsewhere(spec)) return undefined
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
