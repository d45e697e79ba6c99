// Reads PKCS#12 files (`.p12`, `.pfx`), our own and those of OpenSSL, Java and others, and says
// whether one holds what is wanted. Salts differ from file to file, so equal files have different
// bytes: only what is inside can be compared.

import { type KeyObject, createPrivateKey } from 'node:crypto'
import type { Reason } from '../contract/schema.ts'
import { sha256 } from '../digest.ts'
import { OperationalError } from '../errors.ts'
import { Secret } from '../secret.ts'
import { publicKeyOf } from './facts.ts'
import { parsePrivateKey, publicKeyDigest } from './keys.ts'
import { parseCertificate, pemOf, splitPemCertificates } from './pem.ts'
import { type Pkcs12Contents, HTTP_ALIAS } from './pkcs12.ts'
import { type Bag, openBags } from './pkcs12-bags.ts'

/** Why a file is not opened, or is not what is wanted. */
export const PKCS12_REASON_CODES = [
  'pkcs12-damaged',
  'pkcs12-wrong-password',
  'pkcs12-several-passwords',
  'pkcs12-unprotected',
  'pkcs12-unsupported',
  'pkcs12-differs',
] as const
export type Pkcs12ReasonCode = (typeof PKCS12_REASON_CODES)[number]

export interface Pkcs12KeyEntry {
  readonly alias: string
  /** PKCS#8. */
  readonly keyPem: Secret
  readonly publicKeyDigest: string
  /** What Java would serve: the certificate of the key, then issuers as far as the file has them. Empty without a certificate. */
  readonly chainPem: string
}

export interface Pkcs12CertificateEntry {
  readonly alias: string | undefined
  readonly pem: string
  /** Java takes it for a trust anchor. */
  readonly trusted: boolean
}

export interface OpenedPkcs12 {
  readonly kind: 'opened'
  readonly keys: readonly Pkcs12KeyEntry[]
  /** All of them in the order of the file, those of the keys included. */
  readonly certificates: readonly Pkcs12CertificateEntry[]
}

export type Pkcs12Reading =
  | OpenedPkcs12
  | {
      readonly kind: 'refused'
      readonly reason: Reason & { readonly code: Pkcs12ReasonCode }
    }

/** Never throws for a bad file. Hashes for some 20 ms: callers remember the answer by the file's version. */
export function readPkcs12(bytes: Uint8Array, password: Secret): Pkcs12Reading {
  try {
    return { kind: 'opened', ...entriesOf(openBags(bytes, password)) }
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    const code = PKCS12_REASON_CODES.find(known => known === error.code)
    if (code !== undefined) return refused(code, error.message)
    return refused('pkcs12-damaged', `PKCS#12 file cannot be read: ${error.message}`)
  }
}

/**
 * Why a file is not what is wanted, or undefined: it opens with the password and holds these keys
 * with these chains, trusts these certificates, and nothing else, whatever its salts and ciphers.
 * Throws for wanted material that is no key or certificate.
 */
export function pkcs12Problem(bytes: Uint8Array, wanted: Pkcs12Contents): Reason | undefined {
  const reading = readPkcs12(bytes, wanted.password)
  return reading.kind === 'opened' ? difference(reading, wanted) : reading.reason
}

function difference(
  opened: OpenedPkcs12,
  { keys, trusted = [] }: Pkcs12Contents,
): Reason | undefined {
  for (const { alias = HTTP_ALIAS, keyPem, chainPem } of keys) {
    // Java folds the case of aliases.
    const found = opened.keys.find(key => key.alias.toLowerCase() === alias.toLowerCase())
    if (found === undefined) return differs(`there is no key entry ${alias}`)
    if (found.publicKeyDigest !== publicKeyDigest(parsePrivateKey(keyPem)))
      return differs(`key entry ${alias} holds another key`)
    if (found.chainPem !== splitPemCertificates(chainPem).join(''))
      return differs(`key entry ${alias} has another chain`)
  }
  if (opened.keys.length > keys.length) return differs('there are more key entries than wanted')
  const have = opened.certificates
  if (!sameSet(pemsOf(have.filter(one => one.trusted)), trusted))
    return differs('other certificates are trusted than wanted')
  const chains = keys.map(key => key.chainPem)
  // With neither CA nor truststore configured, Elasticsearch trusts what is in its key store.
  if (!sameSet(pemsOf(have), [...chains, ...trusted]))
    return differs('there are more certificates than wanted')
  return undefined
}

function entriesOf(bags: readonly Bag[]): Omit<OpenedPkcs12, 'kind'> {
  const certificates = bags.filter(bag => bag.kind === 'certificate')
  let unnamed = 0
  const keys = bags
    .filter(bag => bag.kind === 'key')
    .map(({ alias, localKeyId, pkcs8 }) => {
      const key = parseKey(pkcs8)
      const digest = publicKeyDigest(key)
      return {
        // Java numbers entries without a name.
        alias: alias ?? String(++unnamed),
        keyPem: new Secret(key.export({ type: 'pkcs8', format: 'pem' }).toString()),
        publicKeyDigest: digest,
        chainPem: chainOf(leafOf({ localKeyId, digest }, certificates), certificates),
      }
    })
  return {
    keys,
    certificates: certificates.map(({ alias, certificate, isTrusted }) => ({
      alias,
      pem: pemOf(certificate.raw),
      trusted: isTrusted,
    })),
  }
}

type CertificateBag = Extract<Bag, { kind: 'certificate' }>

function parseKey(pkcs8: Buffer): KeyObject {
  try {
    return createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  } catch {
    // The cause is left out: a parser's message may quote what it could not parse.
    throw new OperationalError('pkcs12-unsupported', 'PKCS#12 file holds a key of an unknown kind')
  }
}

// As Java does: a trusted certificate belongs to no key, and the local key id decides. Some files
// have none; then the key itself does.
function leafOf(
  { localKeyId, digest }: { localKeyId: string | undefined; digest: string },
  certificates: readonly CertificateBag[],
): CertificateBag | undefined {
  const own = certificates.filter(({ isTrusted }) => !isTrusted)
  return (
    own.find(bag => bag.localKeyId !== undefined && bag.localKeyId === localKeyId) ??
    own.find(bag => publicKeyDigest(publicKeyOf(bag.certificate)) === digest)
  )
}

// Java goes from name to name without looking at signatures and takes the first certificate of a name.
function chainOf(
  leaf: CertificateBag | undefined,
  certificates: readonly CertificateBag[],
): string {
  const chain: string[] = []
  let current = leaf?.certificate
  while (current !== undefined) {
    const pem = pemOf(current.raw)
    if (chain.includes(pem)) break
    chain.push(pem)
    const { issuer, subject } = current
    if (issuer === subject) break
    current = certificates.find(({ certificate }) => certificate.subject === issuer)?.certificate
  }
  return chain.join('')
}

function pemsOf(certificates: readonly Pkcs12CertificateEntry[]): readonly string[] {
  return certificates.map(({ pem }) => pem)
}

function sameSet(a: readonly string[], b: readonly string[]): boolean {
  const [left, right] = [fingerprints(a), fingerprints(b)]
  return left.size === right.size && left.isSubsetOf(right)
}

function fingerprints(pems: readonly string[]): ReadonlySet<string> {
  return new Set(pems.flatMap(splitPemCertificates).map(pem => sha256(parseCertificate(pem).raw)))
}

function refused(code: Pkcs12ReasonCode, message: string): Pkcs12Reading {
  return { kind: 'refused', reason: { code, message } }
}

function differs(message: string): Reason {
  return { code: 'pkcs12-differs', message }
}
