// Builds and signs certificates: encoded by der.ts, signed by node:crypto, and read back by
// OpenSSL's parser before anyone gets to see them.

import { type KeyObject, createHash, createPublicKey, sign } from 'node:crypto'
import { assert } from '../assert.ts'
import { OperationalError } from '../errors.ts'
import { checkBuilt } from './built.ts'
import {
  type Der,
  bit,
  contextSeq,
  encode,
  int,
  nul,
  oid,
  raw,
  seq,
  set,
  time,
  utf8,
} from './der.ts'
import { readDer } from './der-reader.ts'
import { certificateDetails } from './extensions.ts'
import { spkiOf } from './keys.ts'
import { OID } from './oids.ts'
import { parseCertificate } from './pem.ts'
import { type CertificateProfile, extensionsOf, isCaProfile, normalizeProfile } from './profile.ts'

/** Clocks of nodes differ; a new certificate must be valid on all of them. */
export const BACKDATE_MS = 5 * 60_000

export interface Subject {
  readonly commonName?: string
  readonly organization?: string
}

export interface CertificateRequest {
  /** May be empty for leaves, whose names are alternative names. */
  readonly subject: Subject
  readonly serial: Uint8Array
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly profile: CertificateProfile
}

export interface Issuer {
  readonly certificatePem: string
  readonly key: KeyObject
}

/** A certificate for the owner of `subjectPublicKey`, as PEM. Throws `issuer-unusable` or `issuer-expired`. */
export function buildCertificate(
  wanted: CertificateRequest & { readonly subjectPublicKey: KeyObject; readonly issuer: Issuer },
): string {
  const { issuer, subjectPublicKey } = wanted
  const request = { ...wanted, profile: normalizeProfile(wanted.profile) }
  const certificate = parseCertificate(issuer.certificatePem)
  const details = certificateDetails(certificate)
  assert(subjectPublicKey.type === 'public', 'a certificate is made for a public key')
  if (!certificate.ca) throw unusable('is not a CA')
  if (!certificate.checkPrivateKey(issuer.key)) throw unusable('does not belong to the given key')
  if (request.notAfterMs > certificate.validToDate.getTime())
    throw unusable('ends before the certificate that it should issue')
  if (isCaProfile(request.profile) && details.basicConstraints?.pathLength === 0)
    throw unusable('may not issue CA certificates')

  const authorityKeyId =
    details.subjectKeyId === undefined
      ? keyIdOf(spkiOf(certificate.publicKey))
      : Buffer.from(details.subjectKeyId, 'hex')
  const der = signCertificate({
    ...request,
    subjectPublicKey,
    issuerName: raw(details.subject),
    authorityKeyId,
    key: issuer.key,
  })
  return checkBuilt({ der, request, subjectPublicKey, issuer: certificate })
}

/** A certificate for one's own key: a root CA, or a leaf that clients trust directly. */
export function buildSelfSigned(wanted: CertificateRequest & { readonly key: KeyObject }): string {
  const request = { ...wanted, profile: normalizeProfile(wanted.profile) }
  const subjectPublicKey = createPublicKey(request.key)
  const der = signCertificate({
    ...request,
    subjectPublicKey,
    issuerName: nameOf(request.subject),
    authorityKeyId: keyIdOf(spkiOf(subjectPublicKey)),
  })
  return checkBuilt({ der, request, subjectPublicKey, issuer: parseCertificate(der) })
}

/**
 * Dates for a new certificate: backdated, `lifetimeMs` long in all, and never beyond its issuer.
 * Throws `issuer-expired`.
 */
export function validity(options: {
  readonly nowMs: number
  readonly lifetimeMs: number
  readonly issuerNotAfterMs: number
}): { readonly notBeforeMs: number; readonly notAfterMs: number } {
  const notBeforeMs = wholeSeconds(options.nowMs) - BACKDATE_MS
  // The last second is part of the validity, so it is taken off the lifetime.
  const wantedMs = wholeSeconds(notBeforeMs + options.lifetimeMs) - 1000
  const notAfterMs = Math.min(wantedMs, wholeSeconds(options.issuerNotAfterMs))
  if (notAfterMs <= options.nowMs)
    throw new OperationalError(
      'issuer-expired',
      'could not issue a certificate that would be valid now',
      {
        details: { notAfterMs, issuerNotAfterMs: options.issuerNotAfterMs },
      },
    )
  return { notBeforeMs, notAfterMs }
}

function signCertificate(
  inputs: CertificateRequest & {
    readonly subjectPublicKey: KeyObject
    readonly issuerName: Der
    readonly authorityKeyId: Buffer
    readonly key: KeyObject
  },
): Buffer {
  const { subjectPublicKey, key } = inputs
  const algorithm = signatureAlgorithm(key)
  const subject = nameOf(inputs.subject)
  const spki = spkiOf(subjectPublicKey)
  const tbs = seq(
    contextSeq(0, int(VERSION_3)),
    int(inputs.serial),
    algorithm,
    inputs.issuerName,
    seq(time(inputs.notBeforeMs), time(inputs.notAfterMs)),
    subject,
    raw(spki),
    extensionsOf({
      profile: inputs.profile,
      subjectKeyId: keyIdOf(spki),
      authorityKeyId: inputs.authorityKeyId,
      isSubjectEmpty: isEmpty(inputs.subject),
      isRsaKey: subjectPublicKey.asymmetricKeyType === 'rsa',
    }),
  )
  return encode(seq(tbs, algorithm, bit(sign('sha256', encode(tbs), key))))
}

const VERSION_3 = 2

/** The algorithm identifier for SHA-256 signatures by this key. Throws `issuer-unusable`. */
export function signatureAlgorithm(key: KeyObject): Der {
  if (key.asymmetricKeyType === 'ec') return seq(oid(OID.ecdsaWithSha256))
  if (key.asymmetricKeyType === 'rsa') return seq(oid(OID.rsaWithSha256), nul())
  throw unusable(`has a key of the type ${key.asymmetricKeyType ?? 'unknown'}`)
}

export function nameOf(subject: Subject): Der {
  const { organization, commonName } = subject
  return seq(
    ...(organization === undefined ? [] : [attribute(OID.organization, organization)]),
    ...(commonName === undefined ? [] : [attribute(OID.commonName, commonName)]),
  )
}

function attribute(id: string, text: string): Der {
  // RFC 5280 limits both to 64 characters, and OpenSSL enforces it.
  const isValid = text.length > 0 && text.length <= 64 && !text.includes('\0')
  if (!isValid)
    throw new OperationalError(
      'name-invalid',
      'subject of a certificate must have 1 to 64 characters',
    )
  return set(seq(oid(id), utf8(text)))
}

function isEmpty(subject: Subject): boolean {
  return subject.commonName === undefined && subject.organization === undefined
}

// RFC 5280 method 1: SHA-1 of the key bits. An identifier, nothing relies on its strength.
function keyIdOf(spki: Buffer): Buffer {
  const bits = readDer(spki).children[1]?.content.subarray(1) ?? Buffer.alloc(0)
  return createHash('sha1').update(bits).digest()
}

function wholeSeconds(atMs: number): number {
  return Math.floor(atMs / 1000) * 1000
}

function unusable(what: string): OperationalError {
  return new OperationalError(
    'issuer-unusable',
    `could not issue a certificate: the issuer ${what}`,
  )
}
