// One TLS context of the node: what its settings say, and what its files give when they are read. The
// settings and the passwords are those of the start; only the files are read again.

import type { KeyObject, X509Certificate } from 'node:crypto'
import { resolve } from 'node:path'
import { rootCertificates } from 'node:tls'
import type { SslPrefix } from './known-settings.ts'
import type { P12Entry } from './p12.ts'
import {
  AUTHORITIES_TYPE,
  CERTIFICATE_TYPE,
  type FilesOptions,
  inferStoreType,
  readPemCertificates,
  readPemKey,
  readStore,
  type StoreFile,
} from './ssl-files.ts'
import { listOf, settingOf, type Settings, StartError } from './yaml-settings.ts'

export type ClientAuthentication = 'none' | 'optional' | 'required'
export type VerificationMode = 'none' | 'certificate' | 'full'

export interface Identity {
  readonly key: KeyObject
  /** Leaf first, as it is served. */
  readonly chain: readonly X509Certificate[]
}

/** What the files held when they were read. */
export interface SslMaterial {
  /** Undefined: there is nothing to serve. */
  readonly identity: Identity | undefined
  /** Undefined: everybody is trusted. */
  readonly trusted: readonly string[] | undefined
}

export interface ListedCertificate {
  readonly path: string
  readonly format: string
  readonly alias: string | null
  readonly certificate: X509Certificate
  readonly hasPrivateKey: boolean
}

export interface SslConfiguration {
  readonly prefix: SslPrefix
  readonly enabled: boolean
  /** Whether any of its settings is set. */
  readonly configured: boolean
  readonly clientAuthentication: ClientAuthentication
  readonly verificationMode: VerificationMode
  readonly protocols: readonly string[]
  readonly hasKeyMaterial: boolean
  /** Whole paths of the files to watch. */
  readonly files: readonly string[]
  /** Throws a StartError where a file cannot be used. */
  readonly load: () => SslMaterial
  /** What is on disk now, whatever is served. */
  readonly list: () => readonly ListedCertificate[]
}

export interface SslSources {
  readonly settings: Settings
  readonly secure: ReadonlyMap<string, Buffer>
  readonly files: FilesOptions
  /** From 8.0 on CA keys beside another key of an http keystore are not served. */
  readonly dropsCaKeys: boolean
}

/** The combinations of settings that are refused, before any file is read. */
export function sslConfiguration(prefix: SslPrefix, sources: SslSources): SslConfiguration {
  const { settings, secure, files } = sources
  const setting = (leaf: string) => emptyIsUnset(settingOf(settings, `${prefix}.${leaf}`))
  const password = (secureLeaf: string, leaf: string) => {
    const hidden = emptyIsUnset(secure.get(`${prefix}.${secureLeaf}`)?.toString('utf8'))
    const legacy = setting(leaf)
    if (hidden !== undefined && legacy !== undefined) throw both(prefix, secureLeaf, leaf)
    return hidden ?? legacy ?? ''
  }

  const transport = prefix === 'xpack.security.transport.ssl'
  const key = keyConfiguration(prefix, setting, password)
  const verificationMode = choice(prefix, 'verification_mode', setting('verification_mode'), {
    among: ['none', 'certificate', 'full'],
    byDefault: 'full',
  })
  const clientAuthentication = choice(
    prefix,
    'client_authentication',
    setting('client_authentication'),
    { among: ['none', 'optional', 'required'], byDefault: transport ? 'required' : 'none' },
  )
  const authorities = listOf(settings, `${prefix}.certificate_authorities`)
  const truststore = setting('truststore.path')
  if (authorities !== undefined && truststore !== undefined) {
    throw both(prefix, 'certificate_authorities', 'truststore.path')
  }
  const trust = trustConfiguration()
  const load = (): SslMaterial => ({
    identity: key.kind === 'none' ? undefined : identityOf(key, { ...sources, transport }),
    trusted: verificationMode === 'none' ? undefined : trustedBy(trust, key, files),
  })
  const dependent = [
    ...(key.kind === 'pem' ? [key.certificate, key.key] : []),
    ...(key.kind === 'store' ? [key.store.path] : []),
    ...(verificationMode === 'none' ? [] : trustPaths(trust)),
  ]
  return {
    prefix,
    enabled: settingOf(settings, `${prefix}.enabled`) === 'true',
    configured: [...settings.keys(), ...secure.keys()].some(name => name.startsWith(`${prefix}.`)),
    clientAuthentication,
    verificationMode,
    protocols: listOf(settings, `${prefix}.supported_protocols`) ?? ['TLSv1.3', 'TLSv1.2'],
    hasKeyMaterial: key.kind !== 'none',
    files: [...new Set(dependent.map(path => resolve(files.directory, path)))],
    load,
    list: () => listCertificates(key, verificationMode === 'none' ? NO_TRUST : trust, files),
  }

  function trustConfiguration(): TrustConfiguration {
    if (authorities !== undefined) return { kind: 'pem', paths: authorities }
    if (truststore === undefined) return NO_TRUST
    const store = password('truststore.secure_password', 'truststore.password')
    const type = setting('truststore.type') ?? inferStoreType(truststore)
    const passwords = { store, key: store }
    return { kind: 'store', store: { path: truststore, type, passwords, trust: true } }
  }
}

type KeyConfiguration =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'pem'
      readonly certificate: string
      readonly key: string
      readonly passphrase: string
    }
  | { readonly kind: 'store'; readonly store: StoreFile }

type TrustConfiguration =
  | { readonly kind: 'default' }
  | { readonly kind: 'pem'; readonly paths: readonly string[] }
  | { readonly kind: 'store'; readonly store: StoreFile }

const NO_TRUST: TrustConfiguration = { kind: 'default' }

function keyConfiguration(
  prefix: SslPrefix,
  setting: (leaf: string) => string | undefined,
  password: (secureLeaf: string, leaf: string) => string,
): KeyConfiguration {
  const certificate = setting('certificate')
  const key = setting('key')
  const keystore = setting('keystore.path')
  if (certificate !== undefined && keystore !== undefined) {
    throw both(prefix, 'certificate', 'keystore.path')
  }
  if (certificate !== undefined || key !== undefined) {
    if (key === undefined) throw without(prefix, 'certificate', 'key')
    // The product names the wrong setting.
    if (certificate === undefined) throw without(prefix, 'keystore.path', 'certificate')
    const passphrase = password('secure_key_passphrase', 'key_passphrase')
    return { kind: 'pem', certificate, key, passphrase }
  }
  if (keystore === undefined) return { kind: 'none' }
  const store = password('keystore.secure_password', 'keystore.password')
  const ofKey = password('keystore.secure_key_password', 'keystore.key_password')
  const passwords = { store, key: ofKey === '' ? store : ofKey }
  const type = setting('keystore.type') ?? inferStoreType(keystore)
  return { kind: 'store', store: { path: keystore, type, passwords, trust: false } }
}

function identityOf(
  key: Exclude<KeyConfiguration, { kind: 'none' }>,
  {
    files,
    dropsCaKeys,
    transport,
  }: Pick<SslSources, 'files' | 'dropsCaKeys'> & { readonly transport: boolean },
): Identity {
  if (key.kind === 'pem') {
    return {
      key: readPemKey(key.key, key.passphrase, files.directory),
      // Whether the two belong together is not looked at.
      chain: readPemCertificates(key.certificate, CERTIFICATE_TYPE, files.directory),
    }
  }
  const keys = readStore(key.store, files)
    .filter(entry => entry.kind === 'key')
    .filter(({ chain }) => chain.length > 0)
  const [first] = keys
  if (first === undefined) {
    const file = resolve(files.directory, key.store.path)
    throw new StartError(
      `the ${key.store.type} keystore [${file}] does not contain a private key entry`,
    )
  }
  const authority = keys.find(({ chain }) => chain[0]?.ca === true)
  const leaf = keys.find(({ chain }) => chain[0]?.ca === false)
  // Of several keys a Java server picks by itself; of an autoconfigured file it picked the CA's.
  const filtered = dropsCaKeys && !transport
  return keys.length === 1 ? first : filtered ? (leaf ?? first) : (authority ?? first)
}

function trustedBy(
  trust: TrustConfiguration,
  key: KeyConfiguration,
  files: FilesOptions,
): readonly string[] {
  switch (trust.kind) {
    case 'pem':
      return trust.paths.flatMap(path =>
        readPemCertificates(path, AUTHORITIES_TYPE, files.directory).map(String),
      )
    case 'store': {
      const entries = readStore(trust.store, files)
      if (!entries.some(({ kind }) => kind === 'trusted')) {
        const file = resolve(files.directory, trust.store.path)
        throw new StartError(
          `the truststore [${file}] does not contain any trusted certificate entries`,
        )
      }
      return anchorsOf(entries)
    }
    case 'default':
      return [...rootCertificates, ...trustOfKeyMaterial(key, files)]
  }
}

/** Without another trust, what stands beside the own key is trusted as well. */
function trustOfKeyMaterial(key: KeyConfiguration, files: FilesOptions): readonly string[] {
  if (key.kind === 'none') return []
  if (key.kind === 'store') return anchorsOf(readStore(key.store, files))
  return readPemCertificates(key.certificate, CERTIFICATE_TYPE, files.directory).map(String)
}

/** Trusted entries, and of every key its own certificate, but not its chain. */
function anchorsOf(entries: readonly P12Entry[]): readonly string[] {
  return entries.flatMap(entry =>
    (entry.kind === 'trusted' ? [entry.certificate] : entry.chain.slice(0, 1)).map(String),
  )
}

function trustPaths(trust: TrustConfiguration): readonly string[] {
  switch (trust.kind) {
    case 'pem':
      return trust.paths
    case 'store':
      return [trust.store.path]
    case 'default':
      return []
  }
}

function listCertificates(
  key: KeyConfiguration,
  trust: TrustConfiguration,
  files: FilesOptions,
): readonly ListedCertificate[] {
  const listed: ListedCertificate[] = []
  const addStore = (store: StoreFile) => {
    const { path, type: format } = store
    for (const entry of readStore(store, files)) {
      const { alias } = entry
      const chain = entry.kind === 'key' ? entry.chain : [entry.certificate]
      for (const [i, certificate] of chain.entries()) {
        const hasPrivateKey = entry.kind === 'key' && i === 0
        listed.push({ path, format, alias, certificate, hasPrivateKey })
      }
    }
  }
  const addPem = (path: string, what: string, ofKey: boolean) => {
    for (const [i, certificate] of readPemCertificates(path, what, files.directory).entries()) {
      const hasPrivateKey = ofKey && i === 0
      listed.push({ path, format: 'PEM', alias: null, certificate, hasPrivateKey })
    }
  }
  if (key.kind === 'store') addStore(key.store)
  if (key.kind === 'pem') addPem(key.certificate, CERTIFICATE_TYPE, true)
  if (trust.kind === 'store') addStore(trust.store)
  if (trust.kind === 'pem') for (const path of trust.paths) addPem(path, AUTHORITIES_TYPE, false)
  return listed
}

function choice<T extends string>(
  prefix: string,
  leaf: string,
  value: string | undefined,
  { among, byDefault }: { readonly among: readonly T[]; readonly byDefault: NoInfer<T> },
): T {
  if (value === undefined) return byDefault
  const found = among.find(one => one === value.toLowerCase())
  if (found !== undefined) return found
  throw new StartError(
    `could not resolve ${leaf.replace('_', ' ')} [${prefix}.${leaf}], unrecognised value [${value}], valid values are [${among.join(', ')}]`,
  )
}

function both(prefix: string, one: string, other: string): StartError {
  return new StartError(`cannot specify both [${prefix}.${one}] and [${prefix}.${other}]`)
}

function without(prefix: string, one: string, other: string): StartError {
  return new StartError(
    `cannot specify [${prefix}.${one}] without also setting [${prefix}.${other}]`,
  )
}

function emptyIsUnset(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
