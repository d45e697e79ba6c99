// The files of `server.ssl` and `elasticsearch.ssl`: read whole and at once, relative to the working
// directory; server.ssl also while it is off.

import { readFileSync } from 'node:fs'
import type { ConnectionOptions, SecureContextOptions, SecureVersion } from 'node:tls'
import { KibanaFailure } from './failure.ts'
import { readPkcs12 } from './pkcs12.ts'
import type { ElasticsearchSettings, ServerSslSettings, SslSettings } from './settings.ts'

export interface SslFiles {
  readonly key: string | undefined
  readonly passphrase: string | undefined
  readonly cert: string | undefined
  readonly ca: readonly string[]
}

/** Throws as Node does where a file is missing, and in Kibana's words for what is in a store. */
export function readSslFiles(settings: SslSettings): SslFiles {
  const { key, certificate, keyPassphrase, keystore, truststore } = settings
  const trusted =
    truststore.path === undefined ? [] : readPkcs12(truststore.path, truststore.password).ca
  const authorities = settings.certificateAuthorities.map(readText)
  if (keystore.path === undefined) {
    const pair = key !== undefined && certificate !== undefined
    return {
      key: pair ? readText(key) : undefined,
      passphrase: pair ? keyPassphrase : undefined,
      cert: pair ? readText(certificate) : undefined,
      ca: [...trusted, ...authorities],
    }
  }
  const store = readPkcs12(keystore.path, keystore.password)
  const missing =
    store.key === undefined ? 'private key' : store.cert === undefined && 'certificate'
  if (missing) throw new KibanaFailure(`Did not find ${missing} in keystore at [keystore.path].`)
  return {
    key: store.key,
    passphrase: undefined,
    cert: store.cert,
    ca: [...store.ca, ...trusted, ...authorities],
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}

/** What createServer and setSecureContext take; both throw for a pair that does not match. */
export function serverContext(settings: ServerSslSettings, files: SslFiles): SecureContextOptions {
  const ordered = VERSIONS.filter(version => settings.supportedProtocols.includes(version))
  const [oldest, newest] = [ordered[0], ordered.at(-1)]
  return {
    ...(files.key === undefined ? {} : { key: files.key }),
    ...(files.cert === undefined ? {} : { cert: files.cert }),
    ...(files.passphrase === undefined ? {} : { passphrase: files.passphrase }),
    ...(files.ca.length === 0 ? {} : { ca: [...files.ca] }),
    ...(settings.cipherSuites.length === 0 ? {} : { ciphers: settings.cipherSuites.join(':') }),
    ...(oldest === undefined ? {} : { minVersion: oldest }),
    ...(newest === undefined ? {} : { maxVersion: newest }),
  }
}

const VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const satisfies SecureVersion[]

/** Without CA files, Node's own roots are trusted. */
export function clientOptions(settings: ElasticsearchSettings, files: SslFiles): ConnectionOptions {
  const { verificationMode } = settings
  return {
    ...(files.ca.length === 0 ? {} : { ca: [...files.ca] }),
    ...(files.key === undefined ? {} : { key: files.key }),
    ...(files.cert === undefined ? {} : { cert: files.cert }),
    ...(files.passphrase === undefined ? {} : { passphrase: files.passphrase }),
    rejectUnauthorized: verificationMode !== 'none',
    ...(verificationMode === 'certificate' ? { checkServerIdentity: () => undefined } : {}),
  }
}
