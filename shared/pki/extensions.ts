// What a certificate says beyond the fields that X509Certificate shows: its extensions, read from
// the DER by the strict reader.

import type { X509Certificate } from 'node:crypto'
import { OperationalError } from '../errors.ts'
import {
  TAG,
  type DerValue,
  bitsOf,
  booleanOf,
  expectTag,
  malformed,
  oidOf,
  readDer,
  smallIntegerOf,
} from './der-reader.ts'
import { ipText } from './names.ts'
import { OID } from './oids.ts'
import { unparsable } from './pem.ts'

export interface AlternativeNames {
  readonly dnsNames: readonly string[]
  readonly ipAddresses: readonly string[]
  readonly uris: readonly string[]
  readonly mailAddresses?: readonly string[]
  /** Names of other kinds: mail addresses, directory names. */
  readonly others: number
  readonly isCritical: boolean
}

/** A permitted or excluded subtree. `bytes` of an IP range are address and mask. */
export type Subtree =
  | { readonly kind: 'dns'; readonly zone: string }
  | { readonly kind: 'ip'; readonly bytes: Buffer }
  | { readonly kind: 'uri'; readonly host: string }
  | { readonly kind: 'other' }

export interface NameConstraints {
  readonly permitted: readonly Subtree[]
  readonly excluded: readonly Subtree[]
  readonly isCritical: boolean
}

export interface CertificateDetails {
  /** 1 or 3. */
  readonly version: number
  /** Content of the INTEGER, big-endian, two's complement. */
  readonly serial: Buffer
  readonly issuer: Buffer
  readonly subject: Buffer
  readonly isSubjectEmpty: boolean
  readonly basicConstraints:
    | {
        readonly isCa: boolean
        readonly pathLength: number | undefined
        readonly isCritical: boolean
      }
    | undefined
  /** Bit numbers; undefined where the extension is absent, which allows everything. */
  readonly keyUsage: { readonly bits: readonly number[]; readonly isCritical: boolean } | undefined
  readonly extendedKeyUsage: readonly string[] | undefined
  readonly subjectKeyId: string | undefined
  readonly authorityKeyId: string | undefined
  readonly names: AlternativeNames | undefined
  readonly nameConstraints: NameConstraints | undefined
  /** Critical extensions that nobody here understands. */
  readonly unknownCritical: readonly string[]
}

interface Extension {
  readonly oid: string
  readonly isCritical: boolean
  readonly value: Buffer
}

/** Throws `certificate-unparsable`. */
export function certificateDetails(certificate: X509Certificate): CertificateDetails {
  try {
    return readCertificate(certificate.raw)
  } catch (cause) {
    if (!(cause instanceof OperationalError)) throw cause
    throw unparsable('could not read the extensions of a certificate', cause)
  }
}

function readCertificate(der: Uint8Array): CertificateDetails {
  const [tbs] = expectTag(readDer(der), TAG.sequence).children
  const fields = [...expectTag(tbs, TAG.sequence).children]
  const version = fields[0]?.tag === 0xa0 ? versionOf(fields.shift()) : 1
  const [serial, , issuer, , subject, ...rest] = fields
  const subjectName = expectTag(subject, TAG.sequence)
  const extensions = readExtensions(rest.find(field => field.tag === 0xa3))
  const find = (oid: string) => extensions.get(oid)

  return {
    version,
    serial: expectTag(serial, TAG.integer).content,
    issuer: expectTag(issuer, TAG.sequence).bytes,
    subject: subjectName.bytes,
    isSubjectEmpty: subjectName.children.length === 0,
    basicConstraints: read(find(OID.basicConstraints), readBasicConstraints),
    keyUsage: read(find(OID.keyUsage), (value, isCritical) => ({
      bits: bitsOf(value),
      isCritical,
    })),
    extendedKeyUsage: read(find(OID.extendedKeyUsage), value =>
      expectTag(value, TAG.sequence).children.map(oidOf),
    ),
    subjectKeyId: read(find(OID.subjectKeyIdentifier), value =>
      expectTag(value, TAG.octetString).content.toString('hex'),
    ),
    authorityKeyId: read(find(OID.authorityKeyIdentifier), readAuthorityKeyId),
    names: read(find(OID.subjectAltName), readAlternativeNames),
    nameConstraints: read(find(OID.nameConstraints), readNameConstraints),
    unknownCritical: [...extensions.values()]
      .filter(extension => extension.isCritical && !UNDERSTOOD.has(extension.oid))
      .map(extension => extension.oid),
  }
}

const UNDERSTOOD: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectAltName,
  OID.nameConstraints,
  // No policy is ever required here, so any set of policies is acceptable.
  OID.certificatePolicies,
])

function versionOf(field: DerValue | undefined): number {
  const [number] = field?.children ?? []
  return smallIntegerOf(expectTag(number, TAG.integer)) + 1
}

function readExtensions(field: DerValue | undefined): ReadonlyMap<string, Extension> {
  const extensions = new Map<string, Extension>()
  if (field === undefined) return extensions
  for (const member of expectTag(field.children[0], TAG.sequence).children) {
    const [id, second, third] = expectTag(member, TAG.sequence).children
    const oid = oidOf(expectTag(id, TAG.oid))
    const isCritical = third !== undefined && second !== undefined && booleanOf(second)
    const value = expectTag(third ?? second, TAG.octetString).content
    if (extensions.has(oid)) throw malformed(`has the extension ${oid} twice`)
    extensions.set(oid, { oid, isCritical, value })
  }
  return extensions
}

function read<T>(
  extension: Extension | undefined,
  parse: (value: DerValue, isCritical: boolean) => T,
): T | undefined {
  return extension === undefined ? undefined : parse(readDer(extension.value), extension.isCritical)
}

function readBasicConstraints(value: DerValue, isCritical: boolean) {
  const members = [...expectTag(value, TAG.sequence).children]
  const isCa = members[0]?.tag === TAG.boolean && booleanOf(members[0])
  const length = members[0]?.tag === TAG.boolean ? members[1] : members[0]
  return {
    isCa,
    pathLength: length === undefined ? undefined : smallIntegerOf(length),
    isCritical,
  }
}

function readAuthorityKeyId(value: DerValue): string | undefined {
  const keyId = expectTag(value, TAG.sequence).children.find(member => member.tag === 0x80)
  return keyId?.content.toString('hex')
}

function readAlternativeNames(value: DerValue, isCritical: boolean): AlternativeNames {
  const names = expectTag(value, TAG.sequence).children
  const texts = (tag: number) => names.filter(name => name.tag === tag).map(textOf)
  const dnsNames = texts(0x82)
  const uris = texts(0x86)
  const ipAddresses = names.filter(name => name.tag === 0x87).map(name => ipText(name.content))
  const others = names.length - dnsNames.length - uris.length - ipAddresses.length
  return { dnsNames, ipAddresses, uris, mailAddresses: texts(0x81), others, isCritical }
}

function readNameConstraints(value: DerValue, isCritical: boolean): NameConstraints {
  const lists = expectTag(value, TAG.sequence).children
  const subtrees = (tag: number) =>
    (lists.find(list => list.tag === tag)?.children ?? []).map(readSubtree)
  return { permitted: subtrees(0xa0), excluded: subtrees(0xa1), isCritical }
}

function readSubtree(value: DerValue): Subtree {
  const [base] = expectTag(value, TAG.sequence).children
  if (base === undefined) throw malformed('has an empty subtree')
  switch (base.tag) {
    case 0x82:
      return { kind: 'dns', zone: textOf(base).toLowerCase() }
    case 0x86:
      return { kind: 'uri', host: textOf(base).toLowerCase() }
    case 0x87:
      return { kind: 'ip', bytes: base.content }
    default:
      return { kind: 'other' }
  }
}

// Names are IA5String; a NUL or a control character inside one is an attack on whoever prints or compares it.
function textOf(value: DerValue): string {
  const isPrintable = value.content.every(byte => byte > 0x20 && byte < 0x7f)
  if (!isPrintable) throw malformed('has a name with characters that no name may have')
  return value.content.toString('latin1')
}
