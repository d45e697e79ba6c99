// What a release holds beside key and chain, for products that take nothing else: key and chain in
// one PEM file, or a PKCS#12 file, whose password is kept in the material directory.

import { X509Certificate } from 'node:crypto'
import type { Reason } from '../../shared/contract/schema.ts'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import { isSelfSigned, isSignedBy } from '../../shared/pki/facts.ts'
import { pemOf, splitPemCertificates } from '../../shared/pki/pem.ts'
import type { Pkcs12Key } from '../../shared/pki/pkcs12.ts'
import type { Pkcs12KeyEntry } from '../../shared/pki/pkcs12-reader.ts'
import { Secret } from '../../shared/secret.ts'
import type { FileStat, Files } from '../host.ts'
import { createMemory } from '../../shared/remember.ts'
import type { StoreIntent } from '../services/service.ts'
import type { KeystoreFile } from './keystore-file.ts'

export const BUNDLE_FILE = 'bundle.pem'
export const STORE_FILE = 'http.p12'
const PASSWORD_FILE = 'store-password'

/** Root's own: the product has it from its keystore. */
export const PASSWORD_MODE = 0o600

export interface StorePassword {
  readonly password: Secret
  /** The file that keeps it; undefined: it is only in the product's keystore so far. */
  readonly stat: FileStat | undefined
}

export function storePasswordPath(directory: string): string {
  return `${directory}/${PASSWORD_FILE}`
}

/** The password that is kept, or the one that the product has already. */
export async function observeStorePassword(
  files: Files,
  directory: string,
  store: StoreIntent,
  keystore: KeystoreFile | undefined,
): Promise<StorePassword | undefined> {
  const path = storePasswordPath(directory)
  const stat = await files.stat(path)
  const bytes = stat?.kind === 'file' ? await files.read(path) : undefined
  const kept = Buffer.from(bytes ?? [])
    .toString('utf8')
    .replace(/\n$/, '')
  if (isUsable(kept)) return { password: new Secret(kept), stat }
  if (keystore?.seen.kind !== 'opened') return undefined
  const entry = keystore.seen.entries.get(store.adopt.entry)
  return entry !== undefined && isUsable(entry.reveal())
    ? { password: entry, stat: undefined }
    : undefined
}

// What every reader of PKCS#12 takes, and what can be told to the product's tool in one line.
function isUsable(password: string): boolean {
  return /^[\x20-\x7e]+$/.test(password)
}

/** 256 bits, in letters that no tool misunderstands. */
export function randomPassword(random: (bytes: number) => Uint8Array): Secret {
  return new Secret(Buffer.from(random(PASSWORD_BYTES)).toString('base64url'))
}

const PASSWORD_BYTES = 32

export function bundleOf(key: Secret, chainPem: string): Secret {
  const keyPem = key.reveal()
  return new Secret(`${keyPem}${keyPem.endsWith('\n') ? '' : '\n'}${chainPem}`)
}

/**
 * The chain with the root at its end: Java serves what the store holds, and clients that are given
 * the fingerprint of a CA find it only in what is served.
 */
export function chainWithRoot(chainPem: string, trust: readonly string[]): string {
  const chain = splitPemCertificates(chainPem).map(pem => new X509Certificate(pem))
  const last = chain.at(-1)
  if (last === undefined || isSelfSigned(last)) return chainPem
  const root = trust
    .flatMap(splitPemCertificates)
    .map(pem => new X509Certificate(pem))
    .find(one => isSelfSigned(one) && isSignedBy(last, one))
  return root === undefined ? chainPem : `${chainPem}${pemOf(root.raw)}`
}

export async function makeStore(parts: {
  readonly keyPem: Secret
  readonly chainPem: string
  readonly password: Secret
  readonly trust: readonly string[]
  /** See StoreIntent.carry. */
  readonly carried?: Pkcs12Key | undefined
  readonly random: (bytes: number) => Uint8Array
}): Promise<Uint8Array> {
  const { keyPem, password, trust, carried, random } = parts
  const { writePkcs12 } = await import('../../shared/pki/pkcs12.ts')
  const chainPem = chainWithRoot(parts.chainPem, trust)
  const more = carried === undefined || isSameLeaf(carried.chainPem, chainPem) ? [] : [carried]
  return writePkcs12({ keys: [{ keyPem, chainPem }, ...more], password }, random)
}

// Of two entries for one certificate no reader could say which is which.
function isSameLeaf(a: string, b: string): boolean {
  return splitPemCertificates(a)[0] === splitPemCertificates(b)[0]
}

/** A key entry of a store that there was before, from the first of these files that has it. */
export async function carriedEntry(
  files: Files,
  paths: readonly string[],
  alias: string,
  password: Secret,
): Promise<Pkcs12Key | undefined> {
  const { readPkcs12 } = await import('../../shared/pki/pkcs12-reader.ts')
  for (const path of paths) {
    const bytes = await files.read(path).catch(ignoreUnreadable)
    const opened = bytes === undefined ? undefined : readPkcs12(bytes, password)
    if (opened?.kind !== 'opened') continue
    const found = entryOf(opened.keys, alias)
    if (found !== undefined) return found
  }
  return undefined
}

// One without a certificate is of no use to anybody.
function entryOf(keys: readonly Pkcs12KeyEntry[], alias: string): Pkcs12Key | undefined {
  const found = keys.find(key => key.alias.toLowerCase() === alias.toLowerCase())
  return found === undefined || found.chainPem === '' ? undefined : found
}

function ignoreUnreadable(error: unknown): undefined {
  if (!(error instanceof OperationalError)) throw error
}

/** Undefined: it holds key and chain, as they are. */
export function bundleProblem(
  bundle: Uint8Array | undefined,
  key: Uint8Array,
  chain: Uint8Array,
): Reason | undefined {
  const wanted = bundleOf(
    new Secret(Buffer.from(key).toString('utf8')),
    Buffer.from(chain).toString('utf8'),
  )
  if (bundle !== undefined && Buffer.from(bundle).toString('utf8') === wanted.reveal())
    return undefined
  return bundle === undefined
    ? { code: 'bundle-missing', message: `the release has no ${BUNDLE_FILE} yet` }
    : { code: 'bundle-stale', message: `${BUNDLE_FILE} does not hold key and chain` }
}

export interface StoreQuestion {
  readonly store: Uint8Array | undefined
  readonly key: Uint8Array
  readonly chain: Uint8Array
  readonly password: Secret | undefined
  readonly trust: readonly string[]
  /** Name of an entry that may be in it as well. */
  readonly carried: string | undefined
}

// Opening one costs some 20 ms: what was judged once is remembered by everything that it depends on.
const verdicts = createMemory<Promise<Reason | undefined>>()

/** Undefined: it opens with the password and holds this key and chain, and nothing else but what is carried along. */
export async function storeProblem(question: StoreQuestion): Promise<Reason | undefined> {
  const { store, key, chain, password, trust, carried = '' } = question
  if (store === undefined)
    return { code: 'store-missing', message: `the release has no ${STORE_FILE} yet` }
  if (password === undefined)
    return { code: 'store-stale', message: `the password of ${STORE_FILE} is not known any more` }
  const parts = [store, key, chain, password.reveal(), trust.join('\n'), carried]
  return verdicts(parts.map(sha256).join(' '), () => judge({ ...question, store, password }))
}

async function judge(
  question: StoreQuestion & { readonly store: Uint8Array; readonly password: Secret },
): Promise<Reason | undefined> {
  const { store, key, chain, password, trust, carried } = question
  const { pkcs12Problem, readPkcs12 } = await import('../../shared/pki/pkcs12-reader.ts')
  const opened = readPkcs12(store, password)
  if (opened.kind === 'refused') return stale(opened.reason)
  // The root that is in it is as good as another of the same key in the bundle, which changes while a
  // CA is rotated.
  const roots = [...opened.certificates.map(({ pem }) => pem), ...trust]
  const wanted = chainWithRoot(Buffer.from(chain).toString('utf8'), roots)
  const keyPem = new Secret(Buffer.from(key).toString('utf8'))
  const more = carried === undefined ? undefined : entryOf(opened.keys, carried)
  const keys = [{ keyPem, chainPem: wanted }, ...(more === undefined ? [] : [more])]
  const problem = pkcs12Problem(store, { keys, password })
  return problem === undefined ? undefined : stale(problem)
}

function stale({ message }: Reason): Reason {
  return { code: 'store-stale', message: `${STORE_FILE} is not what is wanted: ${message}` }
}
