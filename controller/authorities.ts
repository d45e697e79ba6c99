// CAs between store and memory: keys are sealed here and opened here. The controller signs with
// intermediates; it opens a root key only to make another intermediate, or so that an agent that knows
// just an earlier root finds its way to the present one.

import { unreachable } from '../shared/assert.ts'
import { OperationalError } from '../shared/errors.ts'
import { certificateFacts } from '../shared/pki/facts.ts'
import { spkiPin } from '../shared/pki/pin.ts'
import type { PermittedNames } from '../shared/pki/profile.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import { type Authority, type CaCredential, createAuthority, type Issuing } from './ca/authority.ts'
import { intermediatesOf, isTrusted, serviceCaOf, trustOf } from './ca/generations.ts'
import type { Sealing } from './ca/sealed-key.ts'
import type { ServiceCa } from './fleet/compile.ts'
import type { AuthorityKind, AuthorityRecord, Transaction } from './store/store.ts'

export interface AuthorityOptions extends Issuing {
  /** As ca/generations.ts names the next one. */
  readonly id: string
  readonly kind: AuthorityKind
  readonly fleet: string
  /** Of the intermediate; the fleet's own, from its settings. */
  readonly nameConstraints?: PermittedNames
}

/** In state `prepared`, both keys sealed. */
export async function makeAuthority(
  options: AuthorityOptions,
  sealing: Sealing,
): Promise<AuthorityRecord> {
  const authority = await createAuthority(options)
  const { random } = options
  return {
    ...recordOf(authority, options, sealing),
    rootKeySealed: sealKey(sealing, authority.root, 'root', random),
  }
}

/** The same, for a root whose key goes elsewhere. */
export function recordOf(
  { root, intermediate }: Authority,
  { id, kind, nowMs, random }: Omit<AuthorityOptions, 'fleet'>,
  sealing: Sealing,
): AuthorityRecord {
  return {
    id,
    kind,
    state: 'prepared',
    rootCertificate: root.certificatePem,
    intermediateCertificate: intermediate.certificatePem,
    formerIntermediates: [],
    rootKeySealed: undefined,
    intermediateKeySealed: sealKey(sealing, intermediate, 'intermediate', random),
    formerKeySealed: undefined,
    taintedAtMs: undefined,
    createdAtMs: nowMs,
    changedAtMs: nowMs,
  }
}

export type KeyPart = 'root' | 'intermediate' | 'former'

export function sealKey(
  sealing: Sealing,
  { kind, keyPem }: Pick<CaCredential, 'kind' | 'keyPem'>,
  part: KeyPart,
  random: RandomBytes,
): string {
  return sealing.seal(keyPem, { purpose: purposeOf(kind, part), random })
}

// By kind and not by id: what was sealed when there was one of each still opens, and an intermediate
// that is followed by another stays what it is.
function purposeOf(kind: AuthorityKind, part: KeyPart): string {
  return `ca/${kind}/${part === 'root' ? 'root' : 'intermediate'}`
}

export interface OpenedAuthority {
  readonly root: string
  /** The intermediate, ready to sign. */
  readonly issuer: CaCredential
}

/** The active one. Throws `not-initialised`, `wrong-passphrase` and the like. */
export async function openAuthority(
  tx: Transaction,
  { kind, fleet }: { readonly kind: AuthorityKind; readonly fleet: string },
  sealing: Sealing,
): Promise<OpenedAuthority> {
  return openRecord(await requireActive(tx, kind), fleet, sealing)
}

/** The active one. Throws `not-initialised`. */
export async function requireActive(
  tx: Transaction,
  kind: AuthorityKind,
): Promise<AuthorityRecord> {
  const record = await tx.authorities.active(kind)
  if (record === undefined) throw noSigner(kind)
  return record
}

function noSigner(kind: AuthorityKind): OperationalError {
  return new OperationalError('not-initialised', `there is no ${kind} CA in the store that signs`)
}

export function openRecord(
  record: AuthorityRecord,
  fleet: string,
  sealing: Sealing,
): OpenedAuthority {
  const issuer = openKey(record, 'intermediate', fleet, sealing)
  if (issuer === undefined)
    throw new OperationalError('store-corrupt', `the CA ${record.id} has no key to sign with`)
  return { root: record.rootCertificate, issuer }
}

/** Undefined: the store does not have this key. */
export function openKey(
  record: AuthorityRecord,
  part: KeyPart,
  fleet: string,
  sealing: Sealing,
): CaCredential | undefined {
  const { kind } = record
  const [certificatePem, sealed] = pairOf(record, part)
  if (certificatePem === undefined || sealed === undefined) return undefined
  return {
    kind,
    fleet,
    certificatePem,
    keyPem: sealing.open(sealed, { purpose: purposeOf(kind, part) }),
  }
}

function pairOf(record: AuthorityRecord, part: KeyPart) {
  switch (part) {
    case 'root':
      return [record.rootCertificate, record.rootKeySealed] as const
    case 'intermediate':
      return [record.intermediateCertificate, record.intermediateKeySealed] as const
    case 'former':
      return [record.formerIntermediates.at(-1), record.formerKeySealed] as const
    default:
      return unreachable(part)
  }
}

function signersOf(record: AuthorityRecord, fleet: string, sealing: Sealing) {
  const { state, taintedAtMs } = record
  const maySign = state === 'active' || (state === 'outgoing' && taintedAtMs === undefined)
  if (!maySign) return []
  return (['former', 'intermediate'] as const).flatMap(part => {
    const credential = openKey(record, part, fleet, sealing)
    if (credential === undefined) return []
    return [[certificateFacts(credential.certificatePem).fingerprint, credential] as const]
  })
}

/** A CA without its keys. */
export type Generation = Omit<
  AuthorityRecord,
  'rootKeySealed' | 'intermediateKeySealed' | 'formerKeySealed'
>

/** As the store has them at one moment, opened. */
export interface CurrentAuthorities {
  readonly identity: {
    readonly issuer: CaCredential
    /** Of the active one; `pin` is of its key. */
    readonly root: string
    readonly pin: string
    /** Of all that are trusted. */
    readonly roots: readonly string[]
    /** Intermediates of all that are trusted: whose identities are good. */
    readonly issuers: readonly string[]
    readonly all: readonly Generation[]
  }
  readonly service: {
    readonly issuer: CaCredential
    /**
     * By fingerprint: `issuer`, and those before it as long as documents may name them. A node is given
     * what its document names; it moves when a rollout moves it.
     */
    readonly signers: ReadonlyMap<string, CaCredential>
    readonly ca: ServiceCa
    readonly all: readonly Generation[]
  }
}

export async function openAuthorities(
  tx: Transaction,
  fleet: string,
  sealing: Sealing,
): Promise<CurrentAuthorities> {
  const identity = await openAuthority(tx, { kind: 'identity', fleet }, sealing)
  const service = await openAuthority(tx, { kind: 'service', fleet }, sealing)
  const identities = await tx.authorities.list('identity')
  const services = await tx.authorities.list('service')
  const ca = serviceCaOf(services)
  if (ca === undefined) throw noSigner('service')
  return {
    identity: {
      ...identity,
      pin: spkiPin(identity.root),
      roots: trustOf(identities),
      issuers: identities.filter(({ state }) => isTrusted(state)).flatMap(intermediatesOf),
      all: identities.map(withoutKeys),
    },
    service: {
      issuer: service.issuer,
      signers: new Map(services.flatMap(record => signersOf(record, fleet, sealing))),
      ca,
      all: services.map(withoutKeys),
    },
  }
}

function withoutKeys(record: AuthorityRecord): Generation {
  const {
    rootKeySealed: _root,
    intermediateKeySealed: _intermediate,
    formerKeySealed: _former,
    ...rest
  } = record
  return rest
}
