// Which keys of influxdb.conf a desired state owns, by version and edition.

import type { Reason } from '../../../shared/contract/schema.ts'
import { type ServiceTlsOf, wantsClientUse } from '../../../shared/contract/service.ts'
import { isOn, type OwnedKey, type Settings, type TableName } from './settings.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import { hasTrustFile } from '../trust.ts'
import { isAtLeast, type Version } from '../version.ts'
import { caList, clientAuthKeys, MTLS_SINCE, rootsText } from './client-auth.ts'
import { lacks, minimumKeys, part, type Part } from './minimum.ts'

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
  readonly bundle: string
  readonly trust: string
  /** CA certificates of the nodes that it connects to. */
  readonly upstreamTrust: string
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
  const { tls, version, settings, paths } = question
  if (tls.tls === 'off') return keysWithoutTls(question)
  const minimum = minimumKeys(tls.minVersion, version, settings)
  if (minimum.kind === 'refusal') return minimum
  const client = clientAuthKeys(tls, version, settings, 'http', paths.trust)
  if (client.kind === 'refusal') return client
  const meta = metaKeys(question)
  if (meta.kind === 'refusal') return meta
  const cluster = clusterKeys(question)
  if (cluster.kind === 'refusal') return cluster
  return {
    kind: 'keys',
    owned: [
      { table: 'http', key: 'https-enabled', value: true },
      ...pairKeys('http', question),
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

// Off is the default, so a file that never said otherwise is not touched. What stays behind, such as
// the paths of the pair, has no effect.
function keysWithoutTls(question: Question): Keys | Refusal {
  const meta = metaKeys(question)
  if (meta.kind === 'refusal') return meta
  const cluster = clusterKeys(question)
  if (cluster.kind === 'refusal') return cluster
  return {
    kind: 'keys',
    owned: [
      ...switchKey(question.settings, 'http', 'https-enabled', false),
      ...meta.owned,
      ...cluster.owned,
    ],
    options: 'plaintext',
    meta: meta.text,
    cluster: cluster.text,
    notices: leftOverCluster(question),
  }
}

// Its pair was ours and is not renewed any more.
function leftOverCluster({ tls, settings, paths }: Question): readonly Reason[] {
  if (tls.options.cluster !== 'leave') return []
  const served = settings.effective('cluster', 'https-certificate')
  const isOurs = served === paths.certificate || served === paths.bundle
  if (!isOurs || !isOn(settings.effective('cluster', 'https-enabled'))) return []
  const message = `[cluster] of ${settings.path} still serves a certificate that is not renewed with tls: off: set option cluster to off`
  return [because('cluster-left-on', message)]
}

/** One file for both leaves the key's own setting out: it is read from the certificate's file then. */
function pairKeys(
  table: 'http' | 'cluster',
  { tls, settings, paths }: Question,
): readonly OwnedKey[] {
  if (tls.options.layout === 'pair')
    return [
      { table, key: 'https-certificate', value: paths.certificate },
      { table, key: 'https-private-key', value: paths.key },
    ]
  const hasKey = settings.effective(table, 'https-private-key') !== undefined
  return [
    { table, key: 'https-certificate', value: paths.bundle },
    ...(hasKey ? [{ table, key: 'https-private-key', value: undefined }] : []),
  ]
}

type OptionalPart = Omit<Part, 'text'> & { readonly text: string | undefined }

const UNTOUCHED: OptionalPart = { kind: 'part', owned: [], text: undefined, notices: [] }

// Connections to other nodes of an Enterprise cluster

const CLUSTER_TLS_SINCE = '1.7.3'

function metaKeys({ tls, version, settings, paths }: Question): OptionalPart | Refusal {
  const option = tls.options.meta
  if (option === 'leave') return UNTOUCHED
  if (!settings.isEnterprise) return enterpriseOnly('meta')
  if (option === 'off')
    return part(switchKey(settings, 'meta', 'meta-tls-enabled', false), 'meta-tls off')
  const isInsecure = option === 'tls-insecure'
  const roots = isInsecure
    ? NO_ROOTS
    : rootKeys('meta', 'meta-root-ca', { tls, version, settings, paths })
  return part(
    [
      { table: 'meta', key: 'meta-tls-enabled', value: true },
      ...switchKey(settings, 'meta', 'meta-insecure-tls', isInsecure),
      ...roots.owned,
      ...clientPairKeys('meta', 'meta-client', { tls, version, settings, paths }),
    ],
    `meta-tls insecure=${isInsecure} ${roots.text} client=${showsClientPair(tls, version)}`,
  )
}

function clusterKeys({ tls, version, settings, paths }: Question): OptionalPart | Refusal {
  const option = tls.options.cluster
  if (option === 'leave') return UNTOUCHED
  // On OSS a [cluster] table makes influxd exit: it becomes a second [coordinator].
  if (!settings.isEnterprise) return enterpriseOnly('cluster')
  if (!isAtLeast(version, CLUSTER_TLS_SINCE))
    return option === 'off'
      ? UNTOUCHED
      : lacks('influxd', 'TLS between data nodes', CLUSTER_TLS_SINCE, version)
  if (option === 'off')
    return part(switchKey(settings, 'cluster', 'https-enabled', false), 'cluster-tls off')
  if (tls.tls === 'off')
    return refusal(
      'option-unsupported',
      'TLS between data nodes needs a certificate: it is not possible with tls: off',
    )
  const isInsecure = option === 'tls-insecure'
  const roots = isInsecure
    ? NO_ROOTS
    : rootKeys('cluster', 'https-root-ca', { tls, version, settings, paths })
  return part(
    [
      { table: 'cluster', key: 'https-enabled', value: true },
      ...pairKeys('cluster', { tls, version, settings, paths }),
      ...switchKey(settings, 'cluster', 'https-insecure-tls', isInsecure),
      ...roots.owned,
      ...clientPairKeys('cluster', 'https-client', { tls, version, settings, paths }),
    ],
    `cluster-tls insecure=${isInsecure} ${roots.text} client=${showsClientPair(tls, version)}`,
  )
}

const NO_ROOTS: Pick<Part, 'owned' | 'text'> = { owned: [], text: 'roots=none' }

/** Members that demand client certificates of each other show their own leaf. */
function showsClientPair(tls: Intent, version: Version): boolean {
  return tls.tls === 'on' && isAtLeast(version, MTLS_SINCE) && wantsClientUse(tls)
}

function clientPairKeys(
  table: 'meta' | 'cluster',
  prefix: 'meta-client' | 'https-client',
  { tls, version, paths }: Question,
): readonly OwnedKey[] {
  if (!showsClientPair(tls, version)) return []
  return [
    { table, key: `${prefix}-certificate`, value: paths.certificate },
    { table, key: `${prefix}-private-key`, value: paths.key },
  ]
}

// The roots of the operating system stay: the other nodes may have certificates of another CA that
// was installed there, as all versions before this key needed it.
function rootKeys(
  table: TableName,
  key: string,
  { tls, version, paths }: Question,
): Pick<Part, 'owned' | 'text'> {
  // Read once, also where they are those of the node.
  const pems = tls.upstreamTrust.length > 0 ? tls.upstreamTrust : tls.trust
  if (!isAtLeast(version, MTLS_SINCE))
    return {
      owned: [],
      text: tls.options.trustStore === 'leave' ? 'roots=system' : rootsText(pems),
    }
  const path = tls.upstreamTrust.length > 0 ? paths.upstreamTrust : paths.trust
  if (tls.upstreamTrust.length === 0 && !hasTrustFile(tls))
    return { owned: [], text: 'roots=system' }
  return { owned: [{ table, key, value: caList(path, true) }], text: rootsText(pems) }
}

// A switch that is off by default is written only where it would be on.
export function switchKey(
  settings: Settings,
  table: TableName,
  key: string,
  value: boolean,
): readonly OwnedKey[] {
  return value || settings.effective(table, key) !== undefined ? [{ table, key, value }] : []
}

function enterpriseOnly(option: string): Refusal {
  return refusal(
    'option-unsupported',
    `option ${option} is for InfluxDB Enterprise data nodes only`,
  )
}
