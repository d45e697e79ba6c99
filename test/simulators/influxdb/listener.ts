// The TLS side of a listener of influxd or influxd-meta: loading its pair, at the start and again, and
// what its [tls] table and its client settings make of a connection.

import { X509Certificate } from 'node:crypto'
import { statSync } from 'node:fs'
import { systemRoots } from '../go/roots.ts'
import type { ClientAuth, GoTlsConfig } from '../go/server.ts'
import { type CaPool, type Config, poolOf, textOf, valueOf } from '../go/toml-config.ts'
import { GoError, type KeyPair, loadX509KeyPair, readGoFile } from '../go/x509-key-pair.ts'
import { isAtLeast } from '../version.ts'

/** From here on a certificate is read again on SIGHUP, and its files must not be too open. */
export const RELOADS_SINCE = '1.12.3'
/** From here on a certificate must also be one for its purpose. */
const CHECKED_SINCE = '1.13.0'

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'

/** The pair of `[table] https-certificate`, or of other keys. Throws a GoError. */
export function loadPair(config: Config, table: string, version: string): KeyPair {
  const certFile = textOf(config, table, 'https-certificate')
  // An empty key setting: the key is in the file of the certificate.
  const keyFile = textOf(config, table, 'https-private-key') || certFile
  const insecure = valueOf(config, table, 'https-insecure-certificate') === true
  const pair = loadFiles({ certFile, keyFile, insecure, version })
  const unchecked = valueOf(config, table, 'https-ignore-sanity-checks') === true
  if (isAtLeast(version, CHECKED_SINCE) && !unchecked) checkPurpose(pair, certFile)
  return pair
}

export interface PairFiles {
  readonly certFile: string
  readonly keyFile: string
  /** Whether the files may be as open as they like. */
  readonly insecure: boolean
  readonly version: string
}

export function loadFiles({ certFile, keyFile, insecure, version }: PairFiles): KeyPair {
  if (!isAtLeast(version, RELOADS_SINCE)) return loadX509KeyPair(certFile, keyFile)
  if (!insecure) {
    checkMode(certFile, 0o644)
    checkMode(keyFile, 0o600)
  }
  try {
    return loadX509KeyPair(certFile, keyFile)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new GoError(
      `error loading x509 key pair (${JSON.stringify(certFile)} / ${JSON.stringify(keyFile)}): ${why}`,
    )
  }
}

/** Mode bits only; the owner is not looked at. */
function checkMode(file: string, most: number): void {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) {
    const why = `open ${file}: no such file or directory`
    throw new GoError(`LoadCertificate: error opening ${JSON.stringify(file)} for reading: ${why}`)
  }
  const mode = stat.mode & 0o777
  if ((mode & ~most) === 0) return
  const [maximum, found] = [most, mode].map(bits => `0${bits.toString(8)}`)
  throw new GoError(
    `LoadCertificate: file permissions are too open: for ${JSON.stringify(file)}, maximum is ${maximum} but found ${found}`,
  )
}

/** The vendor's manual names this one check of several; its words are not known. */
function checkPurpose({ certPem }: KeyPair, file: string): void {
  const usage = new X509Certificate(certPem).keyUsage
  // Without the extension a certificate is good for everything.
  if (usage === undefined || usage.length === 0 || usage.includes(SERVER_AUTH)) return
  throw new GoError(
    `certificate ${JSON.stringify(file)} does not permit server authentication; see https-ignore-sanity-checks`,
  )
}

const CLIENT_AUTH: readonly ClientAuth[] = [
  'NoClientCert',
  'RequestClientCert',
  'RequireAnyClientCert',
  'VerifyClientCertIfGiven',
  'RequireAndVerifyClientCert',
]

/** What `[table] https-client-*` ask of clients. Throws a GoError. */
export function clientSettings(
  config: Config,
  table: string,
): Pick<GoTlsConfig, 'clientAuth' | 'clientCa'> {
  const type = textOf(config, table, 'https-client-auth-type')
  const clientAuth = type === '' ? 'NoClientCert' : CLIENT_AUTH.find(known => known === type)
  if (clientAuth === undefined) {
    throw new GoError(`unknown https-client-auth-type: ${JSON.stringify(type)}`)
  }
  return {
    clientAuth,
    clientCa:
      clientAuth === 'NoClientCert'
        ? undefined
        : rootsOf(poolOf(config, table, 'https-client-ca')).join('\n'),
  }
}

/** The certificates of a pool, or the system's where it is unset. Throws a GoError. */
export function rootsOf(pool: CaPool | undefined): readonly string[] {
  if (pool === undefined) return systemRoots()
  const own = pool.paths.flatMap(path => {
    const found = readGoFile(path).match(
      /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g,
    )
    if (found === null) throw new GoError(`no certificates found in ${JSON.stringify(path)}`)
    return found
  })
  return pool.includeSystem ? [...own, ...systemRoots()] : own
}

/** Without [tls], also TLS 1.0 is accepted. */
export function versionLimits(config: Config): Pick<GoTlsConfig, 'minVersion' | 'maxVersion'> {
  const of = (key: string) => VERSIONS[textOf(config, 'tls', key).toUpperCase()]
  return { minVersion: of('min-version') ?? 'TLSv1', maxVersion: of('max-version') ?? 'TLSv1.3' }
}

const VERSIONS: Readonly<Record<string, NonNullable<GoTlsConfig['minVersion']>>> = {
  'TLS1.0': 'TLSv1',
  'TLS1.1': 'TLSv1.1',
  'TLS1.2': 'TLSv1.2',
  'TLS1.3': 'TLSv1.3',
}
