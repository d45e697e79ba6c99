// The two authorities between store and memory. Root keys are sealed when they are made and are not
// opened again by the running controller: it signs with the intermediates.

import { OperationalError } from '../shared/errors.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import {
  type AuthorityKind,
  type CaCredential,
  createAuthority,
  type Issuing,
} from './ca/authority.ts'
import type { Sealing } from './ca/sealed-key.ts'
import type { AuthorityRecord, Transaction } from './store/store.ts'

export async function makeAuthority(
  options: Issuing & { readonly kind: AuthorityKind; readonly fleet: string },
  sealing: Sealing,
): Promise<AuthorityRecord> {
  const { kind, nowMs, random } = options
  const { root, intermediate } = await createAuthority(options)
  return {
    kind,
    rootCertificate: root.certificatePem,
    intermediateCertificate: intermediate.certificatePem,
    rootKeySealed: seal(sealing, root, 'root', random),
    intermediateKeySealed: seal(sealing, intermediate, 'intermediate', random),
    createdAtMs: nowMs,
  }
}

function seal(
  sealing: Sealing,
  credential: CaCredential,
  part: 'root' | 'intermediate',
  random: RandomBytes,
): string {
  return sealing.seal(credential.keyPem, { purpose: purposeOf(credential.kind, part), random })
}

function purposeOf(kind: AuthorityKind, part: 'root' | 'intermediate'): string {
  return `ca/${kind}/${part}`
}

export interface OpenedAuthority {
  readonly root: string
  /** The intermediate, ready to sign. */
  readonly issuer: CaCredential
}

/** Throws `not-initialised`, `wrong-passphrase` and the like. */
export async function openAuthority(
  tx: Transaction,
  { kind, fleet }: { readonly kind: AuthorityKind; readonly fleet: string },
  sealing: Sealing,
): Promise<OpenedAuthority> {
  const record = await tx.authorities.get(kind)
  if (record === undefined)
    throw new OperationalError('not-initialised', `there is no ${kind} CA in the store`)
  const keyPem = sealing.open(record.intermediateKeySealed, {
    purpose: purposeOf(kind, 'intermediate'),
  })
  return {
    root: record.rootCertificate,
    issuer: { kind, fleet, certificatePem: record.intermediateCertificate, keyPem },
  }
}
