// A certificate authority: a root that stays offline and an intermediate that signs. There are two
// of them, never one: who may talk to the controller (identity) and what services serve (service).

import { type KeyObject, type X509Certificate, createPublicKey } from 'node:crypto'
import { assert, unreachable } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import {
  type Subject,
  buildCertificate,
  buildSelfSigned,
  validity,
} from '../../shared/pki/certificate.ts'
import { constraintViolation } from '../../shared/pki/constraints.ts'
import { certificateDetails } from '../../shared/pki/extensions.ts'
import { type CertificateFacts, certificateFacts } from '../../shared/pki/facts.ts'
import { identityUri } from '../../shared/pki/identity.ts'
import {
  generateKey,
  isSameKey,
  parsePrivateKey,
  parsePublicKey,
  weakKeyReason,
} from '../../shared/pki/keys.ts'
import { type CertificateNames, normalizeNames } from '../../shared/pki/names.ts'
import { parseCertificate } from '../../shared/pki/pem.ts'
import type { CertificateProfile, PermittedNames } from '../../shared/pki/profile.ts'
import { type RandomBytes, serialNumber } from '../../shared/pki/random.ts'
import type { Secret } from '../../shared/secret.ts'
import type { AuthorityKind } from '../store/store.ts'

/** A CA certificate and its key. The kind goes with it, so that no CA signs for the other one. */
export interface CaCredential {
  readonly kind: AuthorityKind
  readonly fleet: string
  readonly certificatePem: string
  readonly keyPem: Secret
}

export interface Authority {
  readonly root: CaCredential
  readonly intermediate: CaCredential
}

export interface Issuing {
  readonly nowMs: number
  readonly random: RandomBytes
}

const DAY_MS = 86_400_000
const ROOT_LIFETIME_MS = 3650 * DAY_MS
/** NIST SP 800-57 gives a signing key that is in use 1 to 3 years. */
const INTERMEDIATE_LIFETIME_MS = 1095 * DAY_MS
/** An agent that is cut off longer renews by proof of its old key, or with a new token. */
export const IDENTITY_LIFETIME_MS = 7 * DAY_MS

export async function createAuthority(
  options: Issuing & {
    readonly kind: AuthorityKind
    readonly fleet: string
    readonly rootLifetimeMs?: number
    readonly intermediateLifetimeMs?: number
    /** Zones and addresses that the intermediate may issue for. */
    readonly nameConstraints?: PermittedNames
  },
): Promise<Authority> {
  const root = await createRoot(options)
  return { root, intermediate: await createIntermediate(root, options) }
}

export async function createRoot(
  options: Issuing & {
    readonly kind: AuthorityKind
    readonly fleet: string
    readonly rootLifetimeMs?: number
  },
): Promise<CaCredential> {
  const { kind, fleet, nowMs, random, rootLifetimeMs = ROOT_LIFETIME_MS } = options
  const { privateKeyPem } = await generateKey('ec-p256')
  const serial = serialNumber(random)
  const certificatePem = buildSelfSigned({
    subject: caSubject(fleet, `${kind} root`, serial),
    serial,
    ...validity({ nowMs, lifetimeMs: rootLifetimeMs, issuerNotAfterMs: Number.POSITIVE_INFINITY }),
    profile: { kind: 'root' },
    key: parsePrivateKey(privateKeyPem),
  })
  return { kind, fleet, certificatePem, keyPem: privateKeyPem }
}

/** Another intermediate under the same root, with a new key. */
export async function createIntermediate(
  root: CaCredential,
  options: Issuing & {
    readonly intermediateLifetimeMs?: number
    readonly nameConstraints?: PermittedNames
  },
): Promise<CaCredential> {
  const { privateKeyPem, publicKeyPem } = await generateKey('ec-p256')
  const certificatePem = certifyIntermediate(root, publicKeyPem, options)
  return { ...root, certificatePem, keyPem: privateKeyPem }
}

/** For a key that is elsewhere. */
export function certifyIntermediate(
  root: CaCredential,
  publicKeyPem: string,
  options: Issuing & {
    readonly intermediateLifetimeMs?: number
    readonly nameConstraints?: PermittedNames
  },
): string {
  const { nowMs, random, nameConstraints, intermediateLifetimeMs } = options
  const serial = serialNumber(random)
  return buildCertificate({
    subject: caSubject(root.fleet, `${root.kind} intermediate`, serial),
    serial,
    ...validity({
      nowMs,
      lifetimeMs: intermediateLifetimeMs ?? INTERMEDIATE_LIFETIME_MS,
      issuerNotAfterMs: parseCertificate(root.certificatePem).validToDate.getTime(),
    }),
    profile: { kind: 'intermediate', ...(nameConstraints && { permitted: nameConstraints }) },
    subjectPublicKey: createPublicKey(publicKeyPem),
    issuer: { certificatePem: root.certificatePem, key: parsePrivateKey(root.keyPem) },
  })
}

/**
 * The key of one root, certified by another: whoever knows only the other one finds the way. Undefined:
 * one of them has ended.
 */
export function crossCertify(
  rootPem: string,
  by: CaCredential,
  { nowMs, random, lifetimeMs }: Issuing & { readonly lifetimeMs: number },
): string | undefined {
  const root = parseCertificate(rootPem)
  const certifier = parseCertificate(by.certificatePem)
  const issuerNotAfterMs = Math.min(root.validToDate.getTime(), certifier.validToDate.getTime())
  if (issuerNotAfterMs <= nowMs || isSameKey(root.publicKey, certifier.publicKey)) return undefined
  const certificatePem = buildCertificate({
    subject: subjectOf(root),
    serial: serialNumber(random),
    ...validity({ nowMs, lifetimeMs, issuerNotAfterMs }),
    profile: { kind: 'root' },
    subjectPublicKey: root.publicKey,
    issuer: { certificatePem: by.certificatePem, key: parsePrivateKey(by.keyPem) },
  })
  assert(parseCertificate(certificatePem).subject === root.subject, 'both name the same CA')
  return certificatePem
}

// Of a CA that caSubject has named.
function subjectOf({ subject }: X509Certificate): Subject {
  const part = (name: string) => new RegExp(`^${name}=(.*)$`, 'm').exec(subject ?? '')?.[1] ?? ''
  return { organization: part('O'), commonName: part('CN') }
}

export type LeafRequest = {
  readonly publicKeyPem: string
  readonly lifetimeMs: number
} & (
  | {
      /** `server-client`: the service connects to its peers with the same certificate. */
      readonly profile: 'server' | 'server-client'
      /** From the node record, never from a request. */
      readonly names: CertificateNames
      readonly allowWildcard?: boolean
    }
  /** An agent: `spiffe://<fleet>/node/<nodeId>`, client only. */
  | { readonly profile: 'identity'; readonly nodeId: string }
  /** The controller: `spiffe://<fleet>/controller`, server only. */
  | { readonly profile: 'controller'; readonly names: CertificateNames }
)

export interface IssuedLeaf {
  readonly certificatePem: string
  /** Leaf and intermediate, as servers send them. */
  readonly chainPem: string
  readonly facts: CertificateFacts
}

/**
 * Signs a leaf. Every name in it comes from the arguments, which the caller takes from the node
 * record. Throws `key-unparsable`, `weak-key`, `name-invalid`, `names-missing`,
 * `outside-name-constraints`, `issuer-expired`, `issuer-unusable`.
 */
export function issueLeaf(
  issuer: CaCredential,
  request: LeafRequest,
  issuing: Issuing & {
    /** Chosen by the caller, from the same source; absent: any. */
    readonly serial?: Uint8Array
  },
): IssuedLeaf {
  const issuerCertificate = parseCertificate(issuer.certificatePem)
  const subjectPublicKey = acceptKey(request.publicKeyPem, issuerCertificate)
  const profile = leafProfile(issuer, request)
  checkConstraints(profile, issuerCertificate)

  const certificatePem = buildCertificate({
    subject: leafSubject(request, profile),
    serial: issuing.serial ?? serialNumber(issuing.random),
    ...validity({
      nowMs: issuing.nowMs,
      lifetimeMs: request.lifetimeMs,
      issuerNotAfterMs: issuerCertificate.validToDate.getTime(),
    }),
    profile,
    subjectPublicKey,
    issuer: { certificatePem: issuer.certificatePem, key: parsePrivateKey(issuer.keyPem) },
  })
  return {
    certificatePem,
    chainPem: certificatePem + issuer.certificatePem,
    facts: certificateFacts(certificatePem),
  }
}

function acceptKey(publicKeyPem: string, issuer: X509Certificate): KeyObject {
  const publicKey = parsePublicKey(publicKeyPem)
  const weak = weakKeyReason(publicKey)
  if (weak !== undefined)
    throw new OperationalError('weak-key', `could not issue a certificate: ${weak.message}`)
  // A leaf with the key of the CA would make every copy of that leaf's key a copy of the CA's key.
  if (isSameKey(publicKey, issuer.publicKey))
    throw new OperationalError(
      'weak-key',
      'could not issue a certificate for the key of the CA itself',
    )
  return publicKey
}

function leafProfile(issuer: CaCredential, request: LeafRequest): CertificateProfile {
  const { kind, fleet } = issuer
  switch (request.profile) {
    case 'server':
    case 'server-client':
      assert(kind === 'service', 'certificates of services come from the service CA')
      return {
        kind: 'server',
        names: normalizeNames(request.names, { wildcard: request.allowWildcard ?? false }),
        clientAuth: request.profile === 'server-client',
      }
    case 'identity':
      assert(kind === 'identity', 'identities come from the identity CA')
      return {
        kind: 'client',
        uris: [identityUri({ kind: 'node', fleet, nodeId: request.nodeId })],
      }
    case 'controller':
      assert(kind === 'identity', 'identities come from the identity CA')
      return {
        kind: 'server',
        names: normalizeNames(request.names, { wildcard: false }),
        uris: [identityUri({ kind: 'controller', fleet })],
        clientAuth: false,
      }
    default:
      return unreachable(request)
  }
}

// OpenSSL would refuse the leaf in every handshake; saying so here names the node record as the cause.
function checkConstraints(profile: CertificateProfile, issuer: X509Certificate): void {
  const { nameConstraints } = certificateDetails(issuer)
  if (profile.kind !== 'server' || nameConstraints === undefined) return
  const { names, uris = [] } = profile
  const violation = constraintViolation(
    { dnsNames: names.dns, ipAddresses: names.ip, uris, others: 0, isCritical: false },
    nameConstraints,
  )
  if (violation !== undefined)
    throw new OperationalError(
      'outside-name-constraints',
      `could not issue a certificate: the CA may not issue for ${violation}`,
      { details: { name: violation }, hint: 'Make an intermediate whose zones include the name.' },
    )
}

// For people and old tools; programs read the alternative names. Longer names than X.520 allows are
// left out, and then the subject is empty.
function leafSubject(request: LeafRequest, profile: CertificateProfile): Subject {
  const name = request.profile === 'identity' ? request.nodeId : firstName(profile)
  return name !== undefined && name.length <= COMMON_NAME_MAX ? { commonName: name } : {}
}

function firstName(profile: CertificateProfile): string | undefined {
  if (profile.kind !== 'server') return undefined
  return profile.names.dns[0] ?? profile.names.ip[0]
}

// A part of the serial number tells the CAs of a rotation apart, for people and for clients that
// look for issuers by name only.
function caSubject(fleet: string, role: string, serial: Uint8Array): Subject {
  const mark = Buffer.from(serial).toString('hex').slice(0, 8)
  return { organization: fleet.slice(0, COMMON_NAME_MAX), commonName: `${role} ${mark}` }
}

const COMMON_NAME_MAX = 64
