// The corpus of hostile certificate requests, each with what must become of it.

import { generateKeyPairSync } from 'node:crypto'
import { NAME_CASES } from './hostile-csr-names.ts'
import {
  BASIC_CONSTRAINTS,
  FALSE,
  KEYS,
  MICROSOFT_REQUEST,
  SAN,
  TRUE,
  type Wish,
  compressed,
  csrOf,
  csrPem,
  derOf,
  dns,
  extension,
  infoOf,
  nested,
  octets,
  oid,
  requestOf,
  rsaSpki,
  rsaWith,
  sanOf,
  seq,
  set,
  spkiOf,
  tlv,
  utf8,
  type Case,
  type Outcome,
  bytes,
  wished,
} from './hostile-csr.ts'

const pem = csrOf()
const der = derOf()
const raw = (name: string, value: Uint8Array, outcome: Outcome): Case => [
  name,
  csrPem(value),
  outcome,
]

/** A length of one more byte than it needs, in the outermost value. */
function padded(value: Buffer): Buffer {
  const count = (value[1] ?? 0) & 0x7f
  return Buffer.concat([bytes(0x30, 0x81 + count, 0), value.subarray(2)])
}

const KEY_CASES: readonly Case[] = [
  wished('P-384', { key: ecKey('P-384') }, 'good'),
  wished('P-521', { key: ecKey('P-521') }, 'good'),
  wished('RSA of 2048 bits', { key: KEYS.rsa }, 'good'),
  wished(
    'RSA signed with SHA-512',
    { key: KEYS.rsa, hash: 'sha512', algorithm: rsaWith(13) },
    'good',
  ),
  wished('P-224', { key: ecKey('P-224') }, 'weak-key'),
  wished('secp256k1', { key: ecKey('secp256k1') }, 'weak-key'),
  wished('Ed25519', { key: generateKeyPairSync('ed25519').privateKey }, 'weak-key'),
  wished('Ed448', { key: generateKeyPairSync('ed448').privateKey }, 'weak-key'),
  wished('X25519, which cannot sign', keyOf(generateKeyPairSync('x25519').publicKey), 'weak-key'),
  wished('RSA of 1024 bits', { key: rsaKey(1024) }, 'weak-key'),
  wished('RSA with exponent 3', { key: rsaKey(2048, 3) }, 'weak-key'),
  wished('RSA with exponent 1', { spki: rsaSpki(Buffer.alloc(256, 0xc5), [1]) }, 'weak-key'),
  wished('RSA of 16384 bits', { spki: rsaSpki(Buffer.alloc(2048, 0xc5)) }, 'weak-key'),
  wished('RSA with an even modulus', { spki: rsaSpki(Buffer.alloc(256, 0xc4)) }, 'weak-key'),
  wished('RSA of the ROCA fault', { spki: rsaSpki(rocaModulus()) }, 'weak-key'),
  wished('RSA with a negative modulus', { spki: negativeModulus() }, 'csr-unparsable'),
  wished('compressed point', { spki: compressed(KEYS.ec) }, 'csr-unparsable'),
  wished('point that is not on its curve', { spki: offCurve() }, 'csr-unparsable'),
  wished('point at infinity', { spki: pointOf(bytes(0)) }, 'csr-unparsable'),
  wished(
    'unknown kind of key',
    { spki: seq(seq(oid('1.2.3.4')), tlv(3, bytes(0, 1))) },
    'csr-unparsable',
  ),
  wished('empty key', { spki: seq() }, 'csr-unparsable'),
  wished('key of one more value', { spki: seq(spkiOf(KEYS.ec), bytes(5, 0)) }, 'csr-unparsable'),
]

const SIGNATURE_CASES: readonly Case[] = [
  wished('signature of another key', { signer: KEYS.other }, 'csr-signature'),
  wished('key of another, swapped in', { spki: spkiOf(KEYS.other) }, 'csr-signature'),
  raw(
    'signature over other names',
    seq(infoOf({ names: [dns('kibana.example')] }), ...tail(der)),
    'csr-signature',
  ),
  raw(
    'empty signature',
    seq(infoOf({}), seq(oid('1.2.840.10045.4.3.2')), tlv(3, bytes(0))),
    'csr-signature',
  ),
  raw(
    'signature of zeros',
    seq(infoOf({}), seq(oid('1.2.840.10045.4.3.2')), tlv(3, bytes(0, 0x30, 6, 2, 1, 0, 2, 1, 0))),
    'csr-signature',
  ),
  wished('signature with spare bits', { unusedBits: 1 }, 'csr-unparsable'),
  wished('RSA with MD5', { key: KEYS.rsa, hash: 'md5', algorithm: rsaWith(4) }, 'csr-signature'),
  wished('RSA with SHA-1', { key: KEYS.rsa, hash: 'sha1', algorithm: rsaWith(5) }, 'csr-signature'),
  wished(
    'ECDSA with SHA-1',
    { hash: 'sha1', algorithm: seq(oid('1.2.840.10045.4.1')) },
    'csr-signature',
  ),
  wished('RSA algorithm on an EC key', { algorithm: rsaWith(11) }, 'csr-signature'),
  wished(
    'wrong hash in the algorithm',
    { algorithm: seq(oid('1.2.840.10045.4.3.4')) },
    'csr-signature',
  ),
  wished('unknown algorithm', { algorithm: seq(oid('1.2.3.4')) }, 'csr-signature'),
  wished(
    'ECDSA with parameters',
    { algorithm: seq(oid('1.2.840.10045.4.3.2'), bytes(5, 0)) },
    'csr-unparsable',
  ),
  wished(
    'RSA without parameters',
    { key: KEYS.rsa, algorithm: seq(oid('1.2.840.113549.1.1.11')) },
    'csr-unparsable',
  ),
]

const CA = extension(BASIC_CONSTRAINTS, seq(TRUE), TRUE)
const NO_CA = extension(BASIC_CONSTRAINTS, seq(), TRUE)
const names = sanOf(dns('es-1.example'))
const challenge = seq(oid('1.2.840.113549.1.9.7'), set(utf8('password')))

const EXTENSION_CASES: readonly Case[] = [
  wished('CA certificate asked for', { extensions: [names, CA] }, 'csr-unparsable'),
  wished('leaf certificate asked for', { extensions: [NO_CA, names] }, 'good'),
  wished(
    'CA in broken constraints',
    { extensions: [names, extension(BASIC_CONSTRAINTS, bytes(1))] },
    'csr-unparsable',
  ),
  wished(
    'unknown extension',
    { extensions: [names, extension('1.2.3.4.5', bytes(0xff), TRUE)] },
    'good',
  ),
  wished(
    'every purpose',
    { extensions: [names, extension('2.5.29.37', seq(oid('2.5.29.37.0')))] },
    'good',
  ),
  wished(
    'alternative names twice',
    { extensions: [names, sanOf(dns('x.example'))] },
    'csr-unparsable',
  ),
  wished(
    'unknown extension twice',
    { extensions: [names, extension('1.2.3', bytes()), extension('1.2.3', bytes())] },
    'csr-unparsable',
  ),
  wished(
    'critical in so many words false',
    { extensions: [extension(SAN, seq(dns('a.example')), FALSE)] },
    'csr-unparsable',
  ),
  wished(
    'critical as one',
    { extensions: [extension(SAN, seq(dns('a.example')), bytes(1, 1, 1))] },
    'csr-unparsable',
  ),
  wished(
    'extension of four values',
    { extensions: [seq(oid(SAN), TRUE, TRUE, octets(seq(dns('a.example'))))] },
    'csr-unparsable',
  ),
  wished('extension without value', { extensions: [seq(oid(SAN))] }, 'csr-unparsable'),
  wished(
    'extension with a wrong tag',
    { extensions: [seq(oid(SAN), utf8('x'))] },
    'csr-unparsable',
  ),
  wished(
    'names followed by other bytes',
    { extensions: [extension(SAN, Buffer.concat([seq(dns('a.example')), bytes(0)]))] },
    'csr-unparsable',
  ),
  wished(
    'names of an endless length',
    { extensions: [extension(SAN, bytes(0x30, 0x80, 0, 0))] },
    'csr-unparsable',
  ),
  wished(
    'names as a set',
    { extensions: [extension(SAN, set(dns('a.example')))] },
    'csr-unparsable',
  ),
  wished(
    'names nested 5,000 deep',
    { extensions: [extension(SAN, nested(5000))] },
    'csr-unparsable',
  ),
  wished(
    'attribute twice',
    { attributes: [requestOf(seq(names)), requestOf(seq(names))] },
    'csr-unparsable',
  ),
  wished(
    'two lists of extensions',
    { attributes: [seq(oid('1.2.840.113549.1.9.14'), set(seq(names), seq(CA)))] },
    'csr-unparsable',
  ),
  wished(
    'list of extensions without members',
    { attributes: [seq(oid('1.2.840.113549.1.9.14'), set())] },
    'csr-unparsable',
  ),
  wished(
    'extensions in the attribute of Microsoft',
    {
      attributes: [
        requestOf(seq(names)),
        requestOf(seq(sanOf(dns('x.example'))), MICROSOFT_REQUEST),
      ],
    },
    'csr-unparsable',
  ),
  wished('challenge password', { attributes: [challenge, requestOf(seq(names))] }, 'good'),
  wished('attribute that is no set', { attributes: [seq(oid('1.2.3'), seq())] }, 'csr-unparsable'),
]

const FORM_CASES: readonly Case[] = [
  ['no text', '', 'csr-unparsable'],
  ['text', 'hello', 'csr-unparsable'],
  ['a megabyte of text', 'A'.repeat(1024 * 1024), 'csr-unparsable'],
  ['two requests', pem + pem, 'csr-unparsable'],
  ['text before it', `Certificate Request:\n${pem}`, 'csr-unparsable'],
  ['text after it', `${pem}x`, 'csr-unparsable'],
  [
    'private key after it',
    `${pem}-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n`,
    'csr-unparsable',
  ],
  ['certificate in its place', pem.replaceAll(' REQUEST', ''), 'csr-unparsable'],
  ['no end line', pem.slice(0, pem.indexOf('-----END')), 'csr-unparsable'],
  ['headers of PEM', pem.replace('-----\n', '-----\nProc-Type: 4,ENCRYPTED\n\n'), 'csr-unparsable'],
  ['text that is not base64', pem.replace('-----\nMI', '-----\n!!'), 'csr-unparsable'],
  ['base64 with a cut-off end', pem.replace(/.\n-----END/, '\n-----END'), 'csr-unparsable'],
  ['padding in the middle', pem.replace('\n-----END', '==\nAAAA\n-----END'), 'csr-unparsable'],
  ['line breaks of Windows', pem.replaceAll('\n', '\r\n'), 'good'],
  raw('no bytes', bytes(), 'csr-unparsable'),
  raw('bytes after it', Buffer.concat([der, bytes(0)]), 'csr-unparsable'),
  raw('length with padding', padded(der), 'csr-unparsable'),
  raw(
    'endless length',
    Buffer.concat([bytes(0x30, 0x80), der.subarray(3), bytes(0, 0)]),
    'csr-unparsable',
  ),
  raw('length of four gigabytes', bytes(0x30, 0x84, 0xff, 0xff, 0xff, 0xff), 'csr-unparsable'),
  raw(
    'length of 127 bytes',
    Buffer.concat([bytes(0x30, 0xff), Buffer.alloc(127, 0xff)]),
    'csr-unparsable',
  ),
  raw('nested 8,000 deep', nested(4000), 'csr-unparsable'),
  raw('16,000 empty values', tlv(0x30, Buffer.alloc(16_000, bytes(0x30, 0))), 'csr-unparsable'),
  raw('a set', Buffer.concat([bytes(0x31), der.subarray(1)]), 'csr-unparsable'),
  raw('one more value', seq(infoOf({}), ...tail(der), bytes(5, 0)), 'csr-unparsable'),
  raw('no signature', seq(infoOf({}), seq(oid('1.2.840.10045.4.3.2'))), 'csr-unparsable'),
  raw(
    'a certificate’s tag number',
    Buffer.concat([bytes(0x3f, 0x10), der.subarray(1)]),
    'csr-unparsable',
  ),
  raw(
    'larger than 16 KiB',
    derOf({ extensions: [names, extension('1.2.3', Buffer.alloc(16_384))] }),
    'csr-unparsable',
  ),
  wished('version 2', { version: bytes(2, 1, 1) }, 'csr-unparsable'),
  wished('version with padding', { version: bytes(2, 2, 0, 0) }, 'csr-unparsable'),
  wished('version as text', { version: utf8('0') }, 'csr-unparsable'),
  wished('attributes with another tag', { rest: [tlv(0xa1)] }, 'csr-unparsable'),
  wished('attributes twice', { rest: [tlv(0xa0), tlv(0xa0)] }, 'csr-unparsable'),
  wished('attributes that are primitive', { rest: [tlv(0x80)] }, 'csr-unparsable'),
]

export const CASES: readonly Case[] = [
  ['the honest one', pem, 'good'],
  ...KEY_CASES,
  ...SIGNATURE_CASES,
  ...NAME_CASES,
  ...EXTENSION_CASES,
  ...FORM_CASES,
]

function ecKey(namedCurve: string) {
  return generateKeyPairSync('ec', { namedCurve }).privateKey
}

function rsaKey(modulusLength: number, publicExponent = 65537) {
  return generateKeyPairSync('rsa', { modulusLength, publicExponent }).privateKey
}

// Such a key cannot sign, so another one does.
function keyOf(key: ReturnType<typeof ecKey>): Wish {
  return { spki: key.export({ type: 'spki', format: 'der' }) }
}

function pointOf(point: Buffer): Buffer {
  const algorithm = seq(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'))
  return seq(algorithm, tlv(3, bytes(0), point))
}

function offCurve(): Buffer {
  return pointOf(Buffer.concat([bytes(4), Buffer.alloc(64, 7)]))
}

function negativeModulus(): Buffer {
  const key = seq(tlv(2, Buffer.alloc(256, 0xc5)), tlv(2, bytes(1, 0, 1)))
  return seq(rsaWith(1), tlv(3, bytes(0), key))
}

// A power of 65537 modulo the primes that the detector looks at: any such number passes for the
// product of the faulty library's primes.
function rocaModulus(): Buffer {
  const product = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157]
    .map(BigInt)
    .reduce((all, prime) => all * prime)
  const big = 2n ** 2047n - (2n ** 2047n % (2n * product)) + 2n * product
  const modulus = big + (65537n ** 2n % product)
  const odd = modulus % 2n === 1n ? modulus : modulus + product
  return Buffer.from(odd.toString(16), 'hex')
}

/** Algorithm and signature of a request. */
function tail(request: Buffer): readonly Buffer[] {
  const info = infoOf({})
  return [request.subarray(request.indexOf(info) + info.length)]
}
