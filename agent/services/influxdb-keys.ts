// Which keys of influxdb.conf a desired state owns, by version and edition.

import type { Reason } from '../../shared/contract/schema.ts'
import type { ServiceTlsOf, TlsVersion } from '../../shared/contract/service.ts'
import { sha256 } from '../../shared/digest.ts'
import { unreachable } from '../../shared/assert.ts'
import type { ConfigValue } from '../formats/edit.ts'
import type { OwnedKey, Settings, TableName } from './influxdb-settings.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import { hasClientTrust, hasTrustFile } from './trust.ts'
import { isAtLeast, type Version, type VersionText } from './version.ts'

export interface Keys {
  readonly kind: 'keys'
  readonly owned: readonly OwnedKey[]
  /** The TLS options of the listener that a handshake cannot prove, as text. */
  readonly options: string
  /** Connections to other nodes, as text; undefined where they are left as they are. */
  readonly meta: string | undefined
  readonly cluster: string | undefined
  readonly notices: readonly Reason[]
}

export interface Paths {
  readonly certificate: string
  readonly key: string
  readonly trust: string
}

type Intent = ServiceTlsOf<'influxdb'>

interface Question {
  readonly tls: Intent
  readonly version: Version
  readonly settings: Settings
  /** As influxd sees them. */
  readonly paths: Paths
}

export function ownedKeys(question: Question): Keys | Refusal {
  const minimum = minimumKeys(question)
  if (minimum.kind === 'refusal') return minimum
  const client = clientKeys(question)
  if (client.kind === 'refusal') return client
  const meta = metaKeys(question)
  if (meta.kind === 'refusal') return meta
  const cluster = clusterKeys(question)
  if (cluster.kind === 'refusal') return cluster
  const { paths } = question
  return {
    kind: 'keys',
    owned: [
      { table: 'http', key: 'https-enabled', value: true },
      { table: 'http', key: 'https-certificate', value: paths.certificate },
      { table: 'http', key: 'https-private-key', value: paths.key },
      ...client.owned,
      ...minimum.owned,
      ...meta.owned,
      ...cluster.owned,
    ],
    options: `${minimum.text} ${client.text}`,
    meta: meta.text,
    cluster: cluster.text,
    notices: [...minimum.notices],
  }
}

interface Part {
  readonly kind: 'part'
  readonly owned: readonly OwnedKey[]
  readonly text: string
  readonly notices: readonly Reason[]
}

type OptionalPart = Omit<Part, 'text'> & { readonly text: string | undefined }

const UNTOUCHED: OptionalPart = { kind: 'part', owned: [], text: undefined, notices: [] }

function part(owned: readonly OwnedKey[], text: string, notices: readonly Reason[] = []): Part {
  return { kind: 'part', owned, text, notices }
}

// Lowest TLS version

const TLS_TABLE_SINCE = '1.6.2'
// Below, `tls1.3` is an unknown name and stops influxd.
const TLS13_SINCE = '1.8.0'
const NAME_OF = { '1.2': 'tls1.2', '1.3': 'tls1.3' } as const satisfies Record<TlsVersion, string>
const RANK = new Map([
  ['ssl3.0', 0],
  ['tls1.0', 1],
  ['tls1.1', 2],
  ['tls1.2', 3],
  ['tls1.3', 4],
])

function minimumKeys({ tls, version, settings }: Question): Part | Refusal {
  const wanted = NAME_OF[tls.minVersion]
  const hasTable = isAtLeast(version, TLS_TABLE_SINCE)
  const knowsTls13 = isAtLeast(version, TLS13_SINCE)
  if (tls.minVersion === '1.3' && !knowsTls13)
    return lacks('a lowest TLS version of 1.3', TLS13_SINCE, version)
  if (!hasTable) {
    const message = `influxd ${version.text} takes any TLS version; it can be told a lowest one from ${TLS_TABLE_SINCE} on`
    return part([], 'min-version=default', [because('tls-minimum-unsupported', message)])
  }
  const rank = (name: string) => (name === 'tls1.3' && !knowsTls13 ? undefined : RANK.get(name))
  const wantedRank = RANK.get(wanted) ?? 0
  const maximum = lowerText(settings.effective('tls', 'max-version'))
  if (maximum !== '' && (rank(maximum) ?? -1) < wantedRank)
    return refusal(
      'max-version-too-low',
      `max-version = "${maximum}" in [tls] of ${settings.path} excludes ${wanted}`,
    )
  const minimum = lowerText(settings.effective('tls', 'min-version'))
  if ((rank(minimum) ?? -1) > wantedRank) {
    const message = `min-version = "${minimum}" of ${settings.path} is higher than ${wanted}`
    return part([], `min-version=${minimum}`, [because('stricter-minimum-kept', message)])
  }
  // The same name in other letters is left as the operator wrote it.
  const inFile = settings.inFile('tls', 'min-version')
  const value = lowerText(inFile) === wanted && typeof inFile === 'string' ? inFile : wanted
  return part([{ table: 'tls', key: 'min-version', value }], `min-version=${wanted}`)
}

// Client certificates

const MTLS_SINCE = '1.13.0'

function clientKeys({ tls, version, settings, paths }: Question): Part | Refusal {
  const type = authType(tls.clientAuth)
  if (type === undefined) {
    // Older versions ignore the keys, so they are no concern there.
    if (!isAtLeast(version, MTLS_SINCE)) return part([], 'client-auth=none')
    const stray = ['https-client-auth-type', 'https-client-ca']
      .filter(key => settings.effective('http', key) !== undefined)
      .map(key => ({ table: 'http', key, value: undefined }) as const)
    return part(stray, 'client-auth=none')
  }
  if (!isAtLeast(version, MTLS_SINCE)) return lacks('client certificates', MTLS_SINCE, version)
  if (!hasClientTrust(tls))
    return refusal(
      'client-trust-missing',
      'client certificates are wanted, but no CA to verify them',
    )
  return part(
    [
      { table: 'http', key: 'https-client-auth-type', value: type },
      { table: 'http', key: 'https-client-ca', value: caList(paths.trust, false) },
    ],
    `client-auth=${type} ${rootsText(tls)}`,
  )
}

function authType(clientAuth: Intent['clientAuth']): string | undefined {
  switch (clientAuth) {
    case 'none':
      return undefined
    case 'optional':
      return 'VerifyClientCertIfGiven'
    case 'required':
      return 'RequireAndVerifyClientCert'
    default:
      return unreachable(clientAuth)
  }
}

// Connections to other nodes of an Enterprise cluster

const CLUSTER_TLS_SINCE = '1.7.3'

function metaKeys({ tls, version, settings, paths }: Question): OptionalPart | Refusal {
  const option = tls.options.meta
  if (option === 'leave') return UNTOUCHED
  if (!settings.isEnterprise) return enterpriseOnly('meta')
  const isInsecure = option === 'tls-insecure'
  const roots = rootKeys('meta', 'meta-root-ca', { tls, version, settings, paths })
  return part(
    [
      { table: 'meta', key: 'meta-tls-enabled', value: true },
      ...switchKey(settings, 'meta', 'meta-insecure-tls', isInsecure),
      ...roots.owned,
    ],
    `meta-tls insecure=${isInsecure} ${roots.text}`,
  )
}

function clusterKeys({ tls, version, settings, paths }: Question): OptionalPart | Refusal {
  const option = tls.options.cluster
  if (option === 'leave') return UNTOUCHED
  // On OSS a [cluster] table makes influxd exit: it becomes a second [coordinator].
  if (!settings.isEnterprise) return enterpriseOnly('cluster')
  if (!isAtLeast(version, CLUSTER_TLS_SINCE))
    return lacks('TLS between data nodes', CLUSTER_TLS_SINCE, version)
  const isInsecure = option === 'tls-insecure'
  const roots = rootKeys('cluster', 'https-root-ca', { tls, version, settings, paths })
  return part(
    [
      { table: 'cluster', key: 'https-enabled', value: true },
      { table: 'cluster', key: 'https-certificate', value: paths.certificate },
      { table: 'cluster', key: 'https-private-key', value: paths.key },
      ...switchKey(settings, 'cluster', 'https-insecure-tls', isInsecure),
      ...roots.owned,
    ],
    `cluster-tls insecure=${isInsecure} ${roots.text}`,
  )
}

// The roots of the operating system stay: the other nodes may have certificates of another CA that
// was installed there, as all versions before this key needed it.
function rootKeys(
  table: TableName,
  key: string,
  { tls, version, paths }: Question,
): Pick<Part, 'owned' | 'text'> {
  if (!isAtLeast(version, MTLS_SINCE) || !hasTrustFile(tls))
    return { owned: [], text: 'roots=system' }
  return { owned: [{ table, key, value: caList(paths.trust, true) }], text: rootsText(tls) }
}

// A switch that is off by default is written only where it would be on.
function switchKey(
  settings: Settings,
  table: TableName,
  key: string,
  value: boolean,
): readonly OwnedKey[] {
  return value || settings.effective(table, key) !== undefined ? [{ table, key, value }] : []
}

function caList(path: string, includeSystem: boolean): ConfigValue {
  return { paths: [path], 'include-system': includeSystem }
}

// CA files are read when the process starts, so their contents count and not only their path.
function rootsText(tls: Intent): string {
  return `roots=${sha256(tls.trust.join('\n'))}`
}

function lacks(what: string, since: VersionText, version: Version): Refusal {
  return refusal(
    'option-unsupported',
    `influxd ${version.text} lacks ${what}; it came with ${since}`,
  )
}

function enterpriseOnly(option: string): Refusal {
  return refusal(
    'option-unsupported',
    `option ${option} is for InfluxDB Enterprise data nodes only`,
  )
}

function lowerText(value: ConfigValue | undefined): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value.toLowerCase() : 'unknown'
}
