// PKCS#12 files as the Java that runs Elasticsearch reads them: entries by alias, chains rebuilt from
// the certificates of the file, certificates trusted only where an attribute says so.

import {
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  type KeyObject,
  pbkdf2Sync,
  X509Certificate,
} from 'node:crypto'
import forge from 'node-forge'
import { at, DerError, type Element, integerOf, oidOf, readDer, TAG } from './der.ts'

export type P12Entry =
  | {
      readonly kind: 'key'
      readonly alias: string
      readonly key: KeyObject
      /** Leaf first; empty where no certificate belongs to the key. */
      readonly chain: readonly X509Certificate[]
    }
  | { readonly kind: 'trusted'; readonly alias: string; readonly certificate: X509Certificate }

export type P12Problem = 'not-a-store' | 'wrong-password' | 'unrecoverable-key'

export class P12Error extends Error {
  override readonly name = 'P12Error'
  readonly problem: P12Problem

  constructor(problem: P12Problem, message: string) {
    super(message)
    this.problem = problem
  }
}

export interface P12Passwords {
  readonly store: string
  /** Of the private keys. */
  readonly key: string
}

const OID = {
  data: '1.2.840.113549.1.7.1',
  encryptedData: '1.2.840.113549.1.7.6',
  keyBag: '1.2.840.113549.1.12.10.1.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  friendlyName: '1.2.840.113549.1.9.20',
  localKeyId: '1.2.840.113549.1.9.21',
  /** Of Oracle: which uses the certificate is trusted for. */
  trustedKeyUsage: '2.16.840.1.113894.746875.1.1',
  pbes2: '1.2.840.113549.1.5.13',
} as const

interface Bag {
  readonly type: string
  readonly value: Element
  readonly alias: string | undefined
  readonly localKeyId: string | undefined
  readonly trusted: boolean
}

export function readP12(bytes: Buffer, passwords: P12Passwords): readonly P12Entry[] {
  try {
    return entriesOf(readDer(bytes), passwords)
  } catch (error) {
    if (!(error instanceof DerError)) throw error
    throw new P12Error('not-a-store', 'toDerInputStream rejects tag type or length')
  }
}

function entriesOf(pfx: Element, passwords: P12Passwords): readonly P12Entry[] {
  const [, content, mac] = pfx.items
  if (content === undefined) throw new DerError('no content')
  // Java loads nothing from a file without a checksum, and does not say so.
  if (mac === undefined) return []
  const safe = at(content, 1, 0).content
  checkMac(mac, safe, passwords.store)

  const bags = readDer(safe).items.flatMap(info => bagsOf(info, passwords.store))
  const certificates = bags
    .filter(({ type }) => type === OID.certBag)
    .map(bag => ({ ...bag, certificate: certificateOf(bag.value) }))
  const keys = bags.filter(({ type }) => type === OID.shroudedKeyBag || type === OID.keyBag)
  const bySubject = new Map(
    certificates.map(({ certificate }) => [certificate.subject, certificate]),
  )

  const entries: P12Entry[] = keys.map((bag, i) => {
    // Where the only key has no identifier, the first certificate is taken for its own.
    const alone = keys.length === 1 && bag.localKeyId === undefined
    const own = alone
      ? certificates[0]
      : certificates.find(
          ({ localKeyId }) => localKeyId !== undefined && localKeyId === bag.localKeyId,
        )
    return {
      kind: 'key',
      alias: bag.alias ?? String(i + 1),
      key: keyOf(bag, passwords.key),
      chain: own === undefined ? [] : chainOf(own.certificate, bySubject),
    }
  })
  for (const { certificate, alias, trusted } of certificates) {
    if (trusted) {
      entries.push({ kind: 'trusted', alias: alias ?? String(entries.length + 1), certificate })
    }
  }
  return entries
}

/** Follows the issuers through the file, whatever the order in it. */
function chainOf(
  leaf: X509Certificate,
  bySubject: ReadonlyMap<string, X509Certificate>,
): readonly X509Certificate[] {
  const chain = [leaf]
  for (let last = leaf; last.subject !== last.issuer; ) {
    const issuer = bySubject.get(last.issuer)
    if (issuer === undefined || chain.includes(issuer)) break
    chain.push(issuer)
    last = issuer
  }
  return chain
}

function checkMac(mac: Element, safe: Buffer, password: string): void {
  const digest = digestOf(oidOf(at(mac, 0, 0, 0)))
  const salt = at(mac, 1).content
  const iterations = mac.items[2] === undefined ? 1 : integerOf(mac.items[2])
  const { bytes } = digest
  const key = deriveKey({ password, salt, iterations, purpose: 3, bytes, digest })
  const found = createHmac(digest.name, key).update(safe).digest()
  if (!found.equals(at(mac, 0, 1).content)) {
    throw new P12Error('wrong-password', 'keystore password was incorrect')
  }
}

function bagsOf(info: Element, password: string): readonly Bag[] {
  const type = oidOf(at(info, 0))
  let plain: Buffer
  if (type === OID.data) {
    plain = at(info, 1, 0).content
  } else if (type === OID.encryptedData) {
    const encrypted = at(info, 1, 0, 1)
    plain = decrypt(at(encrypted, 1), at(encrypted, 2).content, password)
  } else {
    throw new P12Error('not-a-store', 'public key protected PKCS12 not supported')
  }
  return readDer(plain).items.map(bag => {
    const attributes = new Map(
      (bag.items[2]?.items ?? []).map(attribute => [oidOf(at(attribute, 0)), at(attribute, 1)]),
    )
    const alias = attributes.get(OID.friendlyName)?.items[0]
    return {
      type: oidOf(at(bag, 0)),
      value: at(bag, 1, 0),
      // Java's aliases have no case.
      alias: alias === undefined ? undefined : bmpText(alias.content).toLowerCase(),
      localKeyId: attributes.get(OID.localKeyId)?.items[0]?.content.toString('hex'),
      trusted: attributes.has(OID.trustedKeyUsage),
    }
  })
}

function certificateOf(bag: Element): X509Certificate {
  return new X509Certificate(at(bag, 1, 0).content)
}

function keyOf({ type, value }: Bag, password: string): KeyObject {
  const parse = (bytes: Buffer) => createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' })
  if (type === OID.keyBag) return parse(value.bytes)
  try {
    return parse(decrypt(at(value, 0), at(value, 1).content, password))
  } catch (error) {
    if (error instanceof DerError) throw error
    throw new P12Error(
      'unrecoverable-key',
      'Get Key failed: Given final block not properly padded. Such issues can arise if a bad key is used during decryption.',
    )
  }
}

function decrypt(algorithm: Element, sealed: Buffer, password: string): Buffer {
  const type = oidOf(at(algorithm, 0))
  const parameters = at(algorithm, 1)
  if (type === OID.pbes2) return decryptPbes2(parameters, sealed, password)
  const digest = digestOf(SHA1)
  const options = {
    password,
    salt: at(parameters, 0).content,
    iterations: integerOf(at(parameters, 1)),
    digest,
  }
  const derive = (purpose: 1 | 2, bytes: number) => deriveKey({ ...options, purpose, bytes })
  const iv = derive(2, 8)
  switch (type) {
    case '1.2.840.113549.1.12.1.3':
      return open(createDecipheriv('des-ede3-cbc', derive(1, 24), iv), sealed)
    case '1.2.840.113549.1.12.1.5':
      return openRc2(derive(1, 16), iv, sealed)
    case '1.2.840.113549.1.12.1.6':
      return openRc2(derive(1, 5), iv, sealed)
    default:
      throw new P12Error('not-a-store', `Cannot find any provider supporting ${type}`)
  }
}

const CIPHERS: Readonly<Record<string, readonly [string, number]>> = {
  '2.16.840.1.101.3.4.1.2': ['aes-128-cbc', 16],
  '2.16.840.1.101.3.4.1.22': ['aes-192-cbc', 24],
  '2.16.840.1.101.3.4.1.42': ['aes-256-cbc', 32],
  '1.2.840.113549.3.7': ['des-ede3-cbc', 24],
}
const PRFS: Readonly<Record<string, string>> = {
  '1.2.840.113549.2.7': 'sha1',
  '1.2.840.113549.2.9': 'sha256',
  '1.2.840.113549.2.10': 'sha384',
  '1.2.840.113549.2.11': 'sha512',
}

function decryptPbes2(parameters: Element, sealed: Buffer, password: string): Buffer {
  const kdf = at(parameters, 0, 1)
  const prf = kdf.items.find(({ tag }) => tag === TAG.sequence)
  const hash = prf === undefined ? 'sha1' : PRFS[oidOf(at(prf, 0))]
  const [cipher, length] = CIPHERS[oidOf(at(parameters, 1, 0))] ?? []
  if (hash === undefined || cipher === undefined || length === undefined) {
    throw new P12Error('not-a-store', 'PBES2 with unknown algorithms')
  }
  const key = pbkdf2Sync(password, at(kdf, 0).content, integerOf(at(kdf, 1)), length, hash)
  return open(createDecipheriv(cipher, key, at(parameters, 1, 1).content), sealed)
}

function open(cipher: ReturnType<typeof createDecipheriv>, sealed: Buffer): Buffer {
  try {
    return Buffer.concat([cipher.update(sealed), cipher.final()])
  } catch {
    throw new P12Error('wrong-password', 'failed to decrypt safe contents entry')
  }
}

/** OpenSSL 3 has RC2 only where its legacy provider is installed. */
function openRc2(key: Buffer, iv: Buffer, sealed: Buffer): Buffer {
  const bits = key.length * 8
  const cipher = forge.rc2.createDecryptionCipher(key.toString('latin1'), bits)
  cipher.start(iv.toString('latin1'))
  cipher.update(forge.util.createBuffer(sealed.toString('latin1')))
  if (!cipher.finish())
    throw new P12Error('wrong-password', 'failed to decrypt safe contents entry')
  return Buffer.from(cipher.output.getBytes(), 'latin1')
}

interface Digest {
  readonly name: string
  readonly bytes: number
  /** What it takes in at once. */
  readonly blockBytes: number
}

const SHA1 = '1.3.14.3.2.26'
const DIGESTS: Readonly<Record<string, Digest>> = {
  [SHA1]: { name: 'sha1', bytes: 20, blockBytes: 64 },
  '2.16.840.1.101.3.4.2.1': { name: 'sha256', bytes: 32, blockBytes: 64 },
  '2.16.840.1.101.3.4.2.2': { name: 'sha384', bytes: 48, blockBytes: 128 },
  '2.16.840.1.101.3.4.2.3': { name: 'sha512', bytes: 64, blockBytes: 128 },
}

function digestOf(type: string): Digest {
  const found = DIGESTS[type]
  if (found === undefined) throw new P12Error('not-a-store', `Failed to load MAC algorithm ${type}`)
  return found
}

export const SHA256_DIGEST: Digest = digestOf('2.16.840.1.101.3.4.2.1')

/** RFC 7292, appendix B.2; `purpose` 1 is a key, 2 a vector, 3 a checksum's key. */
export function deriveKey({
  password,
  salt,
  iterations,
  purpose,
  bytes,
  digest,
}: {
  readonly password: string
  readonly salt: Buffer
  readonly iterations: number
  readonly purpose: 1 | 2 | 3
  readonly bytes: number
  readonly digest: Digest
}): Buffer {
  const { blockBytes } = digest
  const fill = (from: Buffer) =>
    Buffer.alloc(Math.ceil(from.length / blockBytes) * blockBytes, from.length === 0 ? 0 : from)
  const diversifier = Buffer.alloc(blockBytes, purpose)
  const material = Buffer.concat([fill(salt), fill(bmpBytes(`${password}\0`))])
  const out: Buffer[] = []
  for (let made = 0; made < bytes; made += digest.bytes) {
    let hash = createHash(digest.name).update(diversifier).update(material).digest()
    for (let i = 1; i < iterations; i++) hash = createHash(digest.name).update(hash).digest()
    out.push(hash)
    const addend = Buffer.alloc(blockBytes, hash)
    for (let block = 0; block < material.length; block += blockBytes) {
      let carry = 1
      for (let i = blockBytes - 1; i >= 0; i--) {
        carry += (material[block + i] ?? 0) + (addend[i] ?? 0)
        material[block + i] = carry & 0xff
        carry >>= 8
      }
    }
  }
  return Buffer.concat(out).subarray(0, bytes)
}

export function bmpBytes(text: string): Buffer {
  return Buffer.from(text, 'utf16le').swap16()
}

function bmpText(bytes: Buffer): string {
  return Buffer.from(bytes).swap16().toString('utf16le')
}
