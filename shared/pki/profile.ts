// The kinds of certificates that tlsfleet makes, and the extensions that each kind carries.

import { assert } from '../assert.ts'
import { OperationalError } from '../errors.ts'
import {
  type Der,
  bool,
  context,
  contextSeq,
  encode,
  int,
  namedBits,
  octet,
  oid,
  seq,
} from './der.ts'
import { type CertificateNames, ipBytes, normalizeDnsName, normalizeNames } from './names.ts'
import { KEY_USAGE, OID } from './oids.ts'

/** What an intermediate may sign for. A kind of name without an entry is excluded altogether. */
export interface PermittedNames {
  /** Each stands for itself and everything below it: `prod.example`. */
  readonly dnsZones: readonly string[]
  /** `10.0.0.0/8`, `2001:db8::/32`. */
  readonly ipRanges: readonly string[]
}

export type CertificateProfile =
  | { readonly kind: 'root' }
  | { readonly kind: 'intermediate'; readonly permitted?: PermittedNames }
  | {
      readonly kind: 'server'
      readonly names: CertificateNames
      /** An identity of the product itself, in addition to the names. */
      readonly uris?: readonly string[]
      /** The service also connects to its peers with this certificate. */
      readonly clientAuth: boolean
    }
  | { readonly kind: 'client'; readonly uris: readonly string[] }

export interface ExtensionInputs {
  readonly profile: CertificateProfile
  readonly subjectKeyId: Buffer
  readonly authorityKeyId: Buffer
  readonly isSubjectEmpty: boolean
  readonly isRsaKey: boolean
}

export function isCaProfile(profile: CertificateProfile): boolean {
  return profile.kind === 'root' || profile.kind === 'intermediate'
}

/** Names in the one spelling that certificates have. Whether wildcards are allowed is decided by the caller. */
export function normalizeProfile(profile: CertificateProfile): CertificateProfile {
  if (profile.kind !== 'server') return profile
  return { ...profile, names: normalizeNames(profile.names, { wildcard: true }) }
}

/** Object identifiers in the extended key usage; none for CAs. */
export function purposesOf(profile: CertificateProfile): readonly string[] {
  if (profile.kind === 'client') return [OID.clientAuth]
  if (profile.kind !== 'server') return []
  return profile.clientAuth ? [OID.serverAuth, OID.clientAuth] : [OID.serverAuth]
}

export function extensionsOf(inputs: ExtensionInputs): Der {
  const { profile } = inputs
  const extensions = [
    extension(OID.basicConstraints, true, basicConstraints(profile)),
    extension(OID.keyUsage, true, namedBits(keyUsage(inputs))),
    extension(OID.subjectKeyIdentifier, false, octet(inputs.subjectKeyId)),
    extension(OID.authorityKeyIdentifier, false, seq(context(0, inputs.authorityKeyId))),
  ]
  const purposes = purposesOf(profile)
  if (purposes.length > 0)
    extensions.push(extension(OID.extendedKeyUsage, false, seq(...purposes.map(oid))))
  if (profile.kind === 'server' || profile.kind === 'client')
    extensions.push(extension(OID.subjectAltName, inputs.isSubjectEmpty, alternativeNames(profile)))
  if (profile.kind === 'intermediate' && profile.permitted !== undefined)
    extensions.push(extension(OID.nameConstraints, true, nameConstraints(profile.permitted)))
  return contextSeq(3, seq(...extensions))
}

export function extension(id: string, isCritical: boolean, value: Der): Der {
  return seq(oid(id), ...(isCritical ? [bool(true)] : []), octet(encode(value)))
}

/** The content of subjectAltName. */
export function alternativeNames(names: {
  readonly names?: CertificateNames
  readonly uris?: readonly string[]
}): Der {
  const dns = (names.names?.dns ?? []).map(name => context(2, ascii(name)))
  const ip = (names.names?.ip ?? []).map(address => context(7, ipBytes(address)))
  const uris = (names.uris ?? []).map(uri => context(6, ascii(uri)))
  const all = [...dns, ...ip, ...uris]
  if (all.length === 0)
    throw new OperationalError('names-missing', 'could not build a certificate without any name')
  return seq(...all)
}

// pathlen 0: an intermediate signs leaves and nothing else.
function basicConstraints(profile: CertificateProfile): Der {
  if (profile.kind === 'root') return seq(bool(true))
  if (profile.kind === 'intermediate') return seq(bool(true), int(0))
  return seq()
}

function keyUsage({ profile, isRsaKey }: ExtensionInputs): readonly number[] {
  if (isCaProfile(profile)) return [KEY_USAGE.keyCertSign, KEY_USAGE.crlSign]
  // TLS 1.2 suites with RSA key exchange encrypt to the key of the server.
  return isRsaKey && profile.kind === 'server'
    ? [KEY_USAGE.digitalSignature, KEY_USAGE.keyEncipherment]
    : [KEY_USAGE.digitalSignature]
}

function nameConstraints(permitted: PermittedNames): Der {
  const zones = permitted.dnsZones.map(zone => normalizeDnsName(zone, { wildcard: false }))
  const inside = [
    ...zones.map(zone => seq(context(2, ascii(zone)))),
    ...permitted.ipRanges.map(range => seq(context(7, ipRangeBytes(range)))),
  ]
  // An empty zone and an empty mask match everything. IPv4 and IPv6 are two kinds.
  const hasVersion = (length: number) =>
    permitted.ipRanges.some(range => ipRangeBytes(range).length === length)
  const outside = [
    ...(zones.length === 0 ? [seq(context(2, Buffer.alloc(0)))] : []),
    ...(hasVersion(8) ? [] : [seq(context(7, Buffer.alloc(8)))]),
    ...(hasVersion(32) ? [] : [seq(context(7, Buffer.alloc(32)))]),
  ]
  return seq(
    ...(inside.length === 0 ? [] : [contextSeq(0, ...inside)]),
    ...(outside.length === 0 ? [] : [contextSeq(1, ...outside)]),
  )
}

/** Address and mask of a range in prefix notation. Throws `name-invalid`. */
export function ipRangeBytes(range: string): Buffer {
  const [, address = '', prefix = ''] = /^([^/]+)\/(\d{1,3})$/.exec(range) ?? []
  const bits = Number(prefix)
  const bytes = address === '' ? Buffer.alloc(0) : ipBytes(address)
  const isRange = bytes.length > 0 && bits <= bytes.length * 8
  if (!isRange)
    throw new OperationalError('name-invalid', `${range} is not a range of IP addresses`)
  const mask = Buffer.from([...bytes.keys()].map(index => maskByte(bits - index * 8)))
  if (bytes.some((byte, index) => (byte & ~(mask[index] ?? 0)) !== 0))
    throw new OperationalError('name-invalid', `${range} has bits set behind its prefix`)
  return Buffer.concat([bytes, mask])
}

function maskByte(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 8 ? 0xff : (0xff << (8 - bits)) & 0xff
}

function ascii(text: string): Buffer {
  assert(/^[\x21-\x7e]+$/.test(text), 'a name in a certificate is printable ASCII')
  return Buffer.from(text, 'latin1')
}
