// Writes PKCS#12 key stores and trust stores: one kind of file that Java (Elasticsearch), OpenSSL 3,
// Node and, with an RSA key, node-forge (Kibana) all open. Ciphers by PBES2 with AES-256, a MAC with
// SHA-256; node-forge's own writer knows RSA only and leaves certificates in the clear.

import { createCipheriv, createHash, pbkdf2Sync, randomBytes } from 'node:crypto'
import { assert } from '../assert.ts'
import { OperationalError } from '../errors.ts'
import type { Secret } from '../secret.ts'
import * as der from './der.ts'
import { publicKeyOf } from './facts.ts'
import { parsePrivateKey, publicKeyDigest } from './keys.ts'
import { parseCertificate, splitPemCertificates } from './pem.ts'
import { type PasswordBytes, macOf, passwordForms } from './pkcs12-kdf.ts'
import { P12 } from './pkcs12-oids.ts'
import type { RandomBytes } from './random.ts'

/** How elasticsearch-certutil names the key entry of http. */
export const HTTP_ALIAS = 'http'

export interface Pkcs12Key {
  /** `http` unless said otherwise. Java folds its case. */
  readonly alias?: string
  readonly keyPem: Secret
  /**
   * Leaf first. The caller includes the root as well: Java serves what the file holds, and
   * fingerprint pinning of Beats works only if the CA is in the served chain.
   */
  readonly chainPem: string
}

export interface Pkcs12Contents {
  /** None in a trust store; several where a file holds other keys, such as `http_ca`. */
  readonly keys: readonly Pkcs12Key[]
  /** Certificates that Java takes for trust anchors; each text may hold several. */
  readonly trusted?: readonly string[]
  /** Of store and keys alike: Elasticsearch, Kibana and Node know one password only. */
  readonly password: Secret
}

/**
 * As Java writes since version 17. The password is random and stands in a file beside this one, so
 * more rounds would protect nothing, and every reader pays for them: 2 ms for a key, 15 ms for a MAC.
 */
const ITERATIONS = 10_000
const SALT_BYTES = 16

/**
 * Throws `pkcs12-password-unusable`, `key-mismatch` where a leaf belongs to another key, and what
 * the parsers of keys and certificates throw.
 */
export function writePkcs12(contents: Pkcs12Contents, random: RandomBytes = randomBytes): Buffer {
  const password = passwordOf(contents.password)
  const entries = contents.keys.map(parseEntry)
  checkDistinct(entries)
  const certificates = der.encode(der.seq(...certificateBags(entries, contents.trusted ?? [])))
  const parts = [encryptedPart(certificates, password, random)]
  if (entries.length > 0)
    parts.push(plainPart(der.encode(der.seq(...entries.map(one => keyBag(one, password, random))))))
  const safe = der.encode(der.seq(...parts))
  return der.encode(der.seq(der.int(3), plainPart(safe), macData(safe, password, random)))
}

interface Entry {
  readonly alias: string
  readonly pkcs8: Buffer
  readonly chain: readonly Buffer[]
  readonly leaf: Buffer
}

// Java accepts printable ASCII only, and programs disagree on how an empty password is hashed.
function passwordOf(password: Secret): PasswordBytes {
  const [form, other] = passwordForms(password)
  if (form === undefined || other !== undefined || !/^[\x20-\x7e]+$/.test(password.reveal()))
    throw new OperationalError(
      'pkcs12-password-unusable',
      'could not write PKCS#12 file with a password that is empty or not printable ASCII',
    )
  return form
}

function parseEntry({ alias = HTTP_ALIAS, keyPem, chainPem }: Pkcs12Key): Entry {
  const key = parsePrivateKey(keyPem)
  const chain = splitPemCertificates(chainPem).map(parseCertificate)
  const [leaf] = chain
  if (leaf === undefined || publicKeyDigest(publicKeyOf(leaf)) !== publicKeyDigest(key))
    throw new OperationalError(
      'key-mismatch',
      `could not write PKCS#12 file: the first certificate of ${alias} does not belong to its key`,
    )
  return {
    alias,
    pkcs8: key.export({ type: 'pkcs8', format: 'der' }),
    chain: chain.map(certificate => certificate.raw),
    leaf: leaf.raw,
  }
}

function checkDistinct(entries: readonly Entry[]): void {
  const aliases = new Set(entries.map(({ alias }) => alias.toLowerCase()))
  assert(aliases.size === entries.length, 'key entries of a PKCS#12 file share an alias')
  const leaves = distinct(entries.map(({ leaf }) => leaf))
  assert(leaves.length === entries.length, 'key entries of a PKCS#12 file share a certificate')
}

/**
 * Every certificate once, because Node serves all of them: chains in the order of the keys, then
 * what is only trusted. Java resolves issuers by name and takes the first, so the chain of the first
 * key wins. It gives no chain to a key whose own certificate is marked as trusted, so that one
 * stands a second time.
 */
function certificateBags(entries: readonly Entry[], trusted: readonly string[]) {
  const chains = distinct(entries.flatMap(({ chain }) => chain))
  const anchors = distinct(
    trusted.flatMap(splitPemCertificates).map(pem => parseCertificate(pem).raw),
  )
  const ownerOf = (raw: Buffer) => entries.find(({ leaf }) => leaf.equals(raw))
  const inChains = chains.map(raw => {
    const owner = ownerOf(raw)
    if (owner !== undefined) return certificateBag(raw, nameAttributes(owner))
    return holds(anchors, raw) ? trustedBag(raw) : certificateBag(raw, [])
  })
  const others = anchors.filter(raw => !holds(chains, raw) || ownerOf(raw) !== undefined)
  return [...inChains, ...others.map(trustedBag)]
}

function certificateBag(raw: Buffer, attributes: readonly der.Der[]): der.Der {
  const value = der.seq(der.oid(P12.x509Certificate), der.contextSeq(0, der.octet(raw)))
  return bag(P12.certificateBag, value, attributes)
}

function trustedBag(raw: Buffer): der.Der {
  // Java keeps one entry a name, so it must differ from certificate to certificate.
  const name = `ca-${createHash('sha256').update(raw).digest('hex').slice(0, 16)}`
  return certificateBag(raw, [
    attribute(P12.friendlyName, der.bmp(name)),
    attribute(P12.trustedKeyUsage, der.oid(P12.anyExtendedKeyUsage)),
  ])
}

function keyBag(entry: Entry, password: PasswordBytes, random: RandomBytes): der.Der {
  const { algorithm, text } = encrypt(entry.pkcs8, password, random)
  const value = der.seq(algorithm, der.octet(text))
  return bag(P12.shroudedKeyBag, value, nameAttributes(entry))
}

function bag(kind: string, value: der.Der, attributes: readonly der.Der[]): der.Der {
  const set = attributes.length === 0 ? [] : [der.set(...attributes)]
  return der.seq(der.oid(kind), der.contextSeq(0, value), ...set)
}

/** They tie a key to its certificate. */
function nameAttributes({ alias, leaf }: Entry): readonly der.Der[] {
  const id = createHash('sha1').update(leaf).digest()
  return [attribute(P12.friendlyName, der.bmp(alias)), attribute(P12.localKeyId, der.octet(id))]
}

function attribute(oid: string, value: der.Der): der.Der {
  return der.seq(der.oid(oid), der.set(value))
}

/** ContentInfo with its bytes as they are. */
function plainPart(contents: Uint8Array): der.Der {
  return der.seq(der.oid(P12.data), der.contextSeq(0, der.octet(contents)))
}

function encryptedPart(contents: Buffer, password: PasswordBytes, random: RandomBytes): der.Der {
  const { algorithm, text } = encrypt(contents, password, random)
  const info = der.seq(der.oid(P12.data), algorithm, der.context(0, text))
  return der.seq(der.oid(P12.encryptedData), der.contextSeq(0, der.seq(der.int(0), info)))
}

function encrypt(plain: Buffer, password: PasswordBytes, random: RandomBytes) {
  const [salt, iv] = [random(SALT_BYTES), random(AES_BLOCK_BYTES)]
  const key = pbkdf2Sync(password.utf8, salt, ITERATIONS, AES_KEY_BYTES, 'sha256')
  const cipher = createCipheriv('aes-256-cbc', key, iv)
  const derivation = der.seq(
    der.octet(salt),
    der.int(ITERATIONS),
    der.int(AES_KEY_BYTES),
    algorithmOf(P12.hmacSha256, der.nul()),
  )
  const algorithm = algorithmOf(
    P12.pbes2,
    der.seq(algorithmOf(P12.pbkdf2, derivation), algorithmOf(P12.aes256Cbc, der.octet(iv))),
  )
  return { algorithm, text: Buffer.concat([cipher.update(plain), cipher.final()]) }
}

const AES_KEY_BYTES = 32
const AES_BLOCK_BYTES = 16

function macData(safe: Buffer, password: PasswordBytes, random: RandomBytes): der.Der {
  const parameters = {
    hashName: 'sha256',
    salt: random(SALT_BYTES),
    iterations: ITERATIONS,
  } as const
  const digest = macOf(safe, password, parameters)
  return der.seq(
    der.seq(algorithmOf(P12.sha256, der.nul()), der.octet(digest)),
    der.octet(parameters.salt),
    der.int(ITERATIONS),
  )
}

function algorithmOf(oid: string, parameters: der.Der): der.Der {
  return der.seq(der.oid(oid), parameters)
}

function distinct(values: readonly Buffer[]): readonly Buffer[] {
  return values.filter((value, index) => values.findIndex(other => other.equals(value)) === index)
}

function holds(values: readonly Buffer[], wanted: Buffer): boolean {
  return values.some(value => value.equals(wanted))
}
