// Several CAs of one kind following one another: which are trusted, which one signs, and how one may
// change. Pure; `tlsfleet ca rotate` moves them.

import { unreachable } from '../../shared/assert.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { constraintsOf } from '../../shared/pki/zones.ts'
import type { ServiceCa } from '../fleet/compile.ts'
import type { AuthorityKind, AuthorityRecord, AuthorityState } from '../store/store.ts'

type Standing = Pick<AuthorityRecord, 'state' | 'rootCertificate'>

/** Whether certificates of it are good. */
export function isTrusted(state: AuthorityState): boolean {
  switch (state) {
    case 'trusted':
    case 'active':
    case 'outgoing':
      return true
    case 'prepared':
    case 'retired':
    case 'denied':
      return false
    default:
      return unreachable(state)
  }
}

/** Roots that everybody is to trust, in the order of the records, each once. */
export function trustOf(records: readonly Standing[]): readonly string[] {
  return [...new Set(records.filter(one => isTrusted(one.state)).map(one => one.rootCertificate))]
}

/** The one that signs; undefined: there is none, and nothing is issued. */
export function signerOf<T extends Pick<AuthorityRecord, 'state'>>(
  records: readonly T[],
): T | undefined {
  return records.find(({ state }) => state === 'active')
}

/** Every intermediate that has signed or will, the one in use last. */
export function intermediatesOf(
  record: Pick<AuthorityRecord, 'intermediateCertificate' | 'formerIntermediates'>,
): readonly string[] {
  return [...record.formerIntermediates, record.intermediateCertificate]
}

const NEXT: Readonly<Record<AuthorityState, readonly AuthorityState[]>> = {
  prepared: ['trusted', 'denied'],
  // Back to `prepared`: the rotation is reversed before anything was signed.
  trusted: ['prepared', 'active', 'retired', 'denied'],
  active: ['outgoing', 'trusted'],
  outgoing: ['active', 'retired', 'denied'],
  retired: ['trusted', 'outgoing', 'denied'],
  denied: [],
}

/**
 * Whether a CA may change from one state to the other. What signs is never lost: an `active` one only
 * makes room for another. What is denied stays denied.
 */
export function allowedTransition(from: AuthorityState, to: AuthorityState): boolean {
  return NEXT[from].includes(to)
}

/** The service CA as contents are compiled with it. Undefined: none signs. */
export function serviceCaOf(
  records: readonly (Standing & Pick<AuthorityRecord, 'intermediateCertificate'>)[],
): ServiceCa | undefined {
  const signer = signerOf(records)
  if (signer === undefined) return undefined
  const certificate = signer.intermediateCertificate
  const constraints = constraintsOf(certificate)
  return {
    trust: trustOf(records),
    issuedBy: certificateFacts(certificate).fingerprint,
    ...(constraints === undefined ? {} : { constraints }),
  }
}

/** The name of the next one. `records` are all of the kind that there ever were. */
export function nextId(kind: AuthorityKind, records: readonly Pick<AuthorityRecord, 'id'>[]) {
  const numbers = records.map(({ id }) => Number(id.slice(kind.length + 1)))
  return `${kind}-${Math.max(0, ...numbers) + 1}`
}
