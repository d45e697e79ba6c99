// The settings of a validated configuration, with the defaults of the version.

import { isAtLeast } from '../version.ts'
import { type RawConfig, valueAt } from './raw-config.ts'
import { durationMs, isOn } from './schema.ts'

export interface StoreSettings {
  readonly path: string | undefined
  readonly password: string | undefined
}

export interface SslSettings {
  readonly certificate: string | undefined
  readonly key: string | undefined
  readonly keyPassphrase: string | undefined
  readonly keystore: StoreSettings
  readonly truststore: StoreSettings
  readonly certificateAuthorities: readonly string[]
}

export interface ServerSslSettings extends SslSettings {
  readonly enabled: boolean
  readonly clientAuthentication: string
  readonly supportedProtocols: readonly string[]
  readonly cipherSuites: readonly string[]
  readonly redirectHttpFromPort: number | undefined
}

export interface ElasticsearchSettings {
  readonly hosts: readonly string[]
  readonly username: string | undefined
  readonly password: string | undefined
  readonly serviceAccountToken: string | undefined
  readonly verificationMode: string
  readonly ssl: SslSettings
  readonly requestTimeoutMs: number
  readonly healthCheckMs: number
}

export interface Settings {
  readonly host: string
  readonly port: number
  readonly name: string
  readonly publicBaseUrl: string | undefined
  readonly http2: boolean
  readonly ssl: ServerSslSettings
  readonly elasticsearch: ElasticsearchSettings
  /** Of the monitoring cluster; undefined where none is set. */
  readonly monitoringSsl: SslSettings | undefined
  readonly allowAnonymousStatus: boolean
}

export function settingsOf(raw: RawConfig, version: string): Settings {
  const text = (path: string) => textAt(raw, path)
  const ssl = serverSslOf(raw, version)
  const monitoring = valueAt(raw, 'monitoring.ui.elasticsearch.ssl')
  const protocol = text('server.protocol') ?? (isAtLeast(version, '9.0.0') ? 'http2' : 'http1')
  return {
    host: text('server.host') ?? 'localhost',
    port: Number(valueAt(raw, 'server.port') ?? 5601),
    name: text('server.name') ?? 'kibana',
    publicBaseUrl: text('server.publicBaseUrl'),
    http2: ssl.enabled && protocol === 'http2',
    ssl,
    elasticsearch: elasticsearchOf(raw),
    monitoringSsl:
      monitoring === undefined ? undefined : sslOf(raw, 'monitoring.ui.elasticsearch.ssl'),
    allowAnonymousStatus: isOn(valueAt(raw, 'status.allowAnonymous')),
  }
}

function serverSslOf(raw: RawConfig, version: string): ServerSslSettings {
  const at = (leaf: string) => valueAt(raw, `server.ssl.${leaf}`)
  const port = at('redirectHttpFromPort')
  const protocols = listAt(raw, 'server.ssl.supportedProtocols')
  const [oldest] = isAtLeast(version, '9.0.0') ? [] : ['TLSv1.1']
  const defaults = [...(oldest === undefined ? [] : [oldest]), 'TLSv1.2', 'TLSv1.3']
  return {
    ...sslOf(raw, 'server.ssl'),
    enabled: isOn(at('enabled')),
    clientAuthentication: textAt(raw, 'server.ssl.clientAuthentication') ?? 'none',
    supportedProtocols: protocols.length === 0 ? defaults : protocols,
    cipherSuites: listAt(raw, 'server.ssl.cipherSuites'),
    redirectHttpFromPort: port === undefined ? undefined : Number(port),
  }
}

function elasticsearchOf(raw: RawConfig): ElasticsearchSettings {
  const text = (leaf: string) => textAt(raw, `elasticsearch.${leaf}`)
  const ms = (leaf: string) => durationMs(valueAt(raw, `elasticsearch.${leaf}`))
  const hosts = listAt(raw, 'elasticsearch.hosts')
  return {
    hosts: hosts.length === 0 ? ['http://localhost:9200'] : hosts,
    username: text('username'),
    password: text('password'),
    serviceAccountToken: text('serviceAccountToken'),
    verificationMode: text('ssl.verificationMode') ?? 'full',
    ssl: sslOf(raw, 'elasticsearch.ssl'),
    requestTimeoutMs: ms('requestTimeout') ?? 30_000,
    healthCheckMs: ms('healthCheck.delay') ?? 2500,
  }
}

function sslOf(raw: RawConfig, prefix: string): SslSettings {
  const text = (leaf: string) => textAt(raw, `${prefix}.${leaf}`)
  return {
    certificate: text('certificate'),
    key: text('key'),
    keyPassphrase: text('keyPassphrase'),
    keystore: { path: text('keystore.path'), password: text('keystore.password') },
    truststore: { path: text('truststore.path'), password: text('truststore.password') },
    certificateAuthorities: listAt(raw, `${prefix}.certificateAuthorities`),
  }
}

function textAt(raw: RawConfig, path: string): string | undefined {
  const value = valueAt(raw, path)
  return typeof value === 'string' ? value : undefined
}

function listAt(raw: RawConfig, path: string): readonly string[] {
  const value = valueAt(raw, path)
  if (value === undefined) return []
  return (Array.isArray(value) ? value : [value]).map(String)
}
