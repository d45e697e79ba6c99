// Reads certificate signing requests (PKCS#10) that agents sent and that others will sign. Whoever
// signs reads the same bytes with another program, so what two programs could read differently is
// refused here: loose DER, names in two places, kinds of names that nobody asked for.

import { type KeyObject, createPublicKey, verify } from 'node:crypto'
import { OperationalError } from '../errors.ts'
import { readCsrSubject } from './csr-subject.ts'
import { TAG, type DerValue, expectTag, malformed, oidOf, readDer } from './der-reader.ts'
import { keyTypeOf, publicKeyDigest, spkiOf, weakKeyReason } from './keys.ts'
import {
  type CertificateNames,
  ipText,
  normalizeDnsName,
  normalizeIpAddress,
  normalizeNames,
} from './names.ts'
import { OID } from './oids.ts'
import { pemOf } from './pem.ts'

export interface CsrFacts {
  /** The request in the one spelling that PEM has here. */
  readonly pem: string
  /** SubjectPublicKeyInfo. */
  readonly publicKeyPem: string
  /** SHA-256 of the SubjectPublicKeyInfo, lower-case hex. */
  readonly publicKeyDigest: string
  /** `ec-p256`, `rsa-3072` … */
  readonly keyType: string
  /** Normalized. May hold wildcards: whether they are allowed is decided by whoever knows the node. */
  readonly names: CertificateNames
  /** One line, safe to print; empty when the request has none. */
  readonly subject: string
  /** Object identifiers of whatever else is asked for. Nothing of it is ever copied. */
  readonly otherExtensions: readonly string[]
}

export const CSR_ERROR_CODES = ['csr-unparsable', 'csr-signature', 'csr-names', 'weak-key'] as const

const CSR_BYTES_MAX = 16 * 1024
/** Base64 and its line breaks, which may have two characters. */
const CSR_CHARACTERS_MAX = 24 * 1024

/** Throws an OperationalError with one of `CSR_ERROR_CODES`, whatever the text. */
export function readCsr(pem: string): CsrFacts {
  const der = derOf(pem)
  try {
    return readRequest(der)
  } catch (cause) {
    if (!(cause instanceof OperationalError)) throw cause
    if (cause.code === 'der-malformed') throw unparsable('is not in strict DER', cause)
    if (cause.code === 'name-invalid') throw wrongNames('asks for a name that cannot be', cause)
    throw cause
  }
}

function readRequest(der: Buffer): CsrFacts {
  const [info, algorithm, signature] = members(readDer(der, CSR_BYTES_MAX), 3)
  const [version, subject, spki, attributes] = infoMembers(info)
  if (!expectTag(version, TAG.integer).content.equals(VERSION_1))
    throw unparsable('has an unknown version')

  const publicKey = readPublicKey(expectTag(spki, TAG.sequence))
  const weak = weakKeyReason(publicKey)
  if (weak !== undefined)
    throw new OperationalError('weak-key', `certificate request has a weak key: ${weak.message}`)
  checkSignature({ signed: expectTag(info, TAG.sequence), algorithm, signature, publicKey })

  const extensions = readAttributes(attributes)
  const names = readNames(extensions.get(OID.subjectAltName))
  const { text, commonNames } = readCsrSubject(subject)
  for (const name of commonNames) checkCommonName(name, names)
  checkBasicConstraints(extensions.get(OID.basicConstraints))
  return {
    pem: pemOf(der, LABEL),
    publicKeyPem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    publicKeyDigest: publicKeyDigest(publicKey),
    keyType: keyTypeOf(publicKey),
    names,
    subject: text,
    otherExtensions: [...extensions.keys()].filter(id => id !== OID.subjectAltName),
  }
}

const VERSION_1 = Buffer.from([0])
const LABEL = 'CERTIFICATE REQUEST'

// Exactly one block and nothing around it: OpenSSL takes the first block that it likes.
function derOf(pem: string): Buffer {
  if (pem.length > CSR_CHARACTERS_MAX) throw unparsable('is too large')
  const body = BLOCK.exec(pem)?.[1]
  if (body === undefined) throw unparsable('is not exactly one PEM block')
  const base64 = body.replaceAll(/\r?\n/g, '')
  const der = Buffer.from(base64, 'base64')
  // Node skips what is not base64; what comes back then differs.
  if (der.toString('base64') !== base64) throw unparsable('is not base64')
  if (der.length > CSR_BYTES_MAX) throw unparsable(`is larger than ${CSR_BYTES_MAX} bytes`)
  return der
}

const BLOCK = new RegExp(
  `^-----BEGIN ${LABEL}-----\\r?\\n([A-Za-z0-9+/=\\r\\n]+)-----END ${LABEL}-----\\s{0,2}$`,
)

function infoMembers(info: DerValue | undefined): readonly DerValue[] {
  const fields = expectTag(info, TAG.sequence).children
  // Some programs leave empty attributes out. Without them there are no names, which is said later.
  if (fields.length !== 3 && fields.length !== 4) throw malformed('has other fields than a request')
  return fields
}

function readPublicKey(spki: DerValue): KeyObject {
  const { key, encoded } = importKey(spki)
  // One key has one encoding, so that its digest finds it again: no compressed points, no curves
  // written out as numbers, no parameters left out.
  const [algorithm, bits] = members(spki, 2)
  const [, parameters] = expectTag(algorithm, TAG.sequence).children
  const point = expectTag(bits, TAG.bitString).content[1]
  const isPlainEc = parameters?.tag === TAG.oid && point === UNCOMPRESSED_POINT
  if (!encoded.equals(spki.bytes) || (key.asymmetricKeyType === 'ec' && !isPlainEc))
    throw unparsable('has its public key in an unusual encoding')
  return key
}

const UNCOMPRESSED_POINT = 0x04

function importKey(spki: DerValue): { readonly key: KeyObject; readonly encoded: Buffer } {
  try {
    const key = createPublicKey({ key: spki.bytes, format: 'der', type: 'spki' })
    return { key, encoded: spkiOf(key) }
  } catch (cause) {
    throw unparsable('has a public key that could not be parsed', cause)
  }
}

interface SignatureHash {
  readonly hash: string
  readonly keyType: 'ec' | 'rsa'
}

const SIGNATURES: ReadonlyMap<string, SignatureHash> = new Map([
  [OID.ecdsaWithSha256, { hash: 'sha256', keyType: 'ec' }],
  ['1.2.840.10045.4.3.3', { hash: 'sha384', keyType: 'ec' }],
  ['1.2.840.10045.4.3.4', { hash: 'sha512', keyType: 'ec' }],
  [OID.rsaWithSha256, { hash: 'sha256', keyType: 'rsa' }],
  ['1.2.840.113549.1.1.12', { hash: 'sha384', keyType: 'rsa' }],
  ['1.2.840.113549.1.1.13', { hash: 'sha512', keyType: 'rsa' }],
])

/** The proof that whoever asks holds the key. */
function checkSignature(options: {
  readonly signed: DerValue
  readonly algorithm: DerValue | undefined
  readonly signature: DerValue | undefined
  readonly publicKey: KeyObject
}): void {
  const { signed, algorithm, publicKey } = options
  const [id, parameters, ...others] = expectTag(algorithm, TAG.sequence).children
  const known = SIGNATURES.get(oidOf(expectTag(id, TAG.oid)))
  if (known === undefined || known.keyType !== publicKey.asymmetricKeyType)
    throw wrongSignature('is signed with an algorithm that is not accepted')
  // RSA has a NULL there and ECDSA nothing at all.
  if ((known.keyType === 'rsa') !== (parameters?.tag === TAG.null) || others.length > 0)
    throw malformed('has a signature algorithm with other parameters')
  const content = expectTag(options.signature, TAG.bitString).content
  if (content[0] !== 0) throw malformed('has a signature that does not end with a byte')
  if (!isVerified(known.hash, signed.bytes, publicKey, content.subarray(1)))
    throw wrongSignature('has a signature that its key did not make')
}

function isVerified(hash: string, data: Buffer, key: KeyObject, signature: Buffer): boolean {
  try {
    return verify(hash, data, key, signature)
  } catch {
    // A signature that OpenSSL cannot even read is a wrong one.
    return false
  }
}

/** Requested extensions by object identifier. */
function readAttributes(field: DerValue | undefined): ReadonlyMap<string, DerValue> {
  if (field === undefined) return new Map()
  const attributes = new Map<string, readonly DerValue[]>()
  for (const attribute of expectTag(field, ATTRIBUTES_TAG).children) {
    const [id, values] = members(attribute, 2)
    const type = oidOf(expectTag(id, TAG.oid))
    if (attributes.has(type)) throw malformed(`has the attribute ${type} twice`)
    attributes.set(type, expectTag(values, TAG.set).children)
  }
  // OpenSSL and Windows also take names from this one.
  if (attributes.has(MICROSOFT_EXTENSION_REQUEST))
    throw unparsable('has extensions in an attribute of Microsoft')
  // Whatever else there is, such as a challenge password, is ignored.
  const requests = attributes.get(OID.extensionRequest)
  if (requests === undefined) return new Map()
  const [extensions, ...others] = requests
  if (others.length > 0) throw malformed('has several lists of extensions')
  return readExtensions(expectTag(extensions, TAG.sequence))
}

const ATTRIBUTES_TAG = 0xa0
const MICROSOFT_EXTENSION_REQUEST = '1.3.6.1.4.1.311.2.1.14'

function readExtensions(list: DerValue): ReadonlyMap<string, DerValue> {
  const extensions = new Map<string, DerValue>()
  for (const extension of list.children) {
    const [id, ...rest] = expectTag(extension, TAG.sequence).children
    const oid = oidOf(expectTag(id, TAG.oid))
    const [critical, value] = rest.length === 2 ? rest : [undefined, rest[0]]
    // FALSE is the default, which DER leaves out.
    if (rest.length > 2 || (critical !== undefined && !isTrue(critical)))
      throw malformed(`has an extension ${oid} in an unusual form`)
    if (extensions.has(oid)) throw malformed(`has the extension ${oid} twice`)
    extensions.set(oid, expectTag(value, TAG.octetString))
  }
  return extensions
}

function isTrue(value: DerValue): boolean {
  return expectTag(value, TAG.boolean).content[0] === 0xff
}

function readNames(extension: DerValue | undefined): CertificateNames {
  if (extension === undefined) throw wrongNames('has no alternative names')
  const dns: string[] = []
  const ip: string[] = []
  for (const { tag, content } of expectTag(readDer(extension.content), TAG.sequence).children)
    if (tag === DNS_NAME) dns.push(dnsNameOf(content))
    else if (tag === IP_ADDRESS) ip.push(addressOf(content))
    else throw wrongNames('asks for a name that is neither of DNS nor an IP address')
  if (dns.length + ip.length === 0) throw wrongNames('has no alternative names')
  return normalizeNames({ dns, ip }, { wildcard: true })
}

const DNS_NAME = 0x82
const IP_ADDRESS = 0x87

// The bytes are IA5: an international name is in punycode there.
function dnsNameOf(content: Buffer): string {
  if (content.some(byte => byte <= 0x20 || byte >= 0x7f))
    throw wrongNames('asks for a name with characters that no name may have')
  return content.toString('latin1')
}

function addressOf(content: Buffer): string {
  const address = ipText(content)
  // An IPv4 address in the clothes of IPv6: clients that connect to it would not find it.
  const isMapped = content.length === 16 && !address.includes(':')
  if ((content.length !== 4 && content.length !== 16) || isMapped)
    throw wrongNames('asks for an IP address in an unusual form')
  return address
}

// Some CAs make an alternative name of the common name, so it must not be one that nobody sees.
function checkCommonName(name: string, names: CertificateNames): void {
  const isAddress = /^[0-9.]+$|:/.test(name)
  const isOffered = isAddress
    ? names.ip.includes(normalizeIpAddress(name))
    : names.dns.includes(normalizeDnsName(name, { wildcard: true }))
  if (!isOffered) throw wrongNames('has a common name that is not one of its alternative names')
}

// A CA that copies extensions would make a CA of the node.
function checkBasicConstraints(extension: DerValue | undefined): void {
  if (extension === undefined) return
  const [isCa] = expectTag(readDer(extension.content), TAG.sequence).children
  if (isCa?.tag === TAG.boolean) throw unparsable('asks for a CA certificate')
}

function members(value: DerValue, count: number): readonly DerValue[] {
  const { children } = expectTag(value, TAG.sequence)
  if (children.length !== count)
    throw malformed(`has ${children.length} values where ${count} belong`)
  return children
}

function unparsable(what: string, cause?: unknown): OperationalError {
  return new OperationalError('csr-unparsable', `certificate request ${what}`, { cause })
}

function wrongSignature(what: string): OperationalError {
  return new OperationalError('csr-signature', `certificate request ${what}`)
}

function wrongNames(what: string, cause?: unknown): OperationalError {
  return new OperationalError('csr-names', `certificate request ${what}`, { cause })
}
