// Which options a plugin takes, by version, and what Telegraf says to others. Of inputs only the names
// of TLS options are judged, where an input has a TLS client: their other options are their own.

import { isAtLeast } from '../version.ts'

export class ConfigError extends Error {}

export type Block = Readonly<Record<string, unknown>>

/** Of an option that is a text; anything else counts as none. */
export function textOption(options: Block, key: string): string {
  const value = options[key]
  return typeof value === 'string' ? value : ''
}

/** Taken and seen under the name of the tag. */
export function knownOptions(
  kind: 'inputs' | 'outputs',
  plugin: string,
  block: Block,
  version: string,
): { readonly options: Block; readonly unused: readonly string[] } {
  const options: Record<string, unknown> = {}
  const unused: string[] = []
  const fields = kind === 'outputs' ? outputFields(plugin, version) : undefined
  const tls = TLS_CLIENTS.has(`${kind}.${plugin}`) ? tlsFields(version) : []
  for (const [key, value] of Object.entries(block)) {
    const field = [...(fields ?? []), ...tls].find(candidate => isNamed(key, candidate))
    if (field !== undefined) options[field[0]] = value
    else if (COMMON.has(key)) options[key] = value
    else if (fields !== undefined || (tls.length > 0 && isTlsOption(key))) unused.push(key)
    else options[key] = value
  }
  return { options, unused }
}

/** Before 1.17 the parser itself complained, about one option at a time. */
export function refuseUnused(
  kind: 'inputs' | 'outputs',
  plugin: string,
  unused: readonly string[],
  line: number,
  version: string,
): void {
  const [first] = unused
  if (first === undefined) return
  if (!isAtLeast(version, '1.17.0')) {
    const type = plugin === 'influxdb' ? 'influxdb.InfluxDB' : plugin
    throw new ConfigError(
      `line ${line}: field corresponding to \`${first}' is not defined in \`*${type}'`,
    )
  }
  const fields = `[${unused.map(name => JSON.stringify(name)).join(' ')}]`
  throw new ConfigError(
    `plugin ${kind}.${plugin}: line ${line}: configuration specified the fields ${fields}, but they were not used; ` +
      'this is either a typo or this config option does not exist in this version',
  )
}

export function isOutput(plugin: string, version: string): boolean {
  if (plugin === 'influxdb_v2') return isAtLeast(version, '1.8.0')
  return OUTPUTS.has(plugin)
}

/** The tag, and the name of the field in Go: the parser takes several forms of that too. */
type Field = readonly [string, string]

const FIELDS: Readonly<Record<string, readonly (readonly [...Field, string, string?])[]>> = {
  influxdb: [
    ['url', 'URL', '1.0', '1.30.0'],
    ['urls', 'URLs', '1.0'],
    ['local_address', 'LocalAddr', '1.31.0'],
    ['username', 'Username', '1.0'],
    ['password', 'Password', '1.0'],
    ['database', 'Database', '1.0'],
    ['database_tag', 'DatabaseTag', '1.13.0'],
    ['exclude_database_tag', 'ExcludeDatabaseTag', '1.13.0'],
    ['retention_policy', 'RetentionPolicy', '1.0'],
    ['retention_policy_tag', 'RetentionPolicyTag', '1.14.0'],
    ['exclude_retention_policy_tag', 'ExcludeRetentionPolicyTag', '1.14.0'],
    ['user_agent', 'UserAgent', '1.0'],
    ['write_consistency', 'WriteConsistency', '1.0'],
    ['timeout', 'Timeout', '1.0'],
    ['udp_payload', 'UDPPayload', '1.0'],
    ['http_proxy', 'HTTPProxy', '1.4.0'],
    ['http_headers', 'HTTPHeaders', '1.4.0'],
    ['content_encoding', 'ContentEncoding', '1.4.0'],
    ['skip_database_creation', 'SkipDatabaseCreation', '1.6.0'],
    ['influx_uint_support', 'InfluxUintSupport', '1.6.0'],
    ['influx_omit_timestamp', 'OmitTimestamp', '1.31.0'],
    ['precision', 'Precision', '1.0', '1.37.0'],
  ],
  influxdb_v2: [
    ['urls', 'URLs', '1.8.0'],
    ['local_address', 'LocalAddr', '1.31.0'],
    ['token', 'Token', '1.8.0'],
    ['organization', 'Organization', '1.8.0'],
    ['bucket', 'Bucket', '1.8.0'],
    ['bucket_tag', 'BucketTag', '1.13.0'],
    ['exclude_bucket_tag', 'ExcludeBucketTag', '1.16.0'],
    ['timeout', 'Timeout', '1.8.0'],
    ['http_headers', 'HTTPHeaders', '1.8.0'],
    ['http_proxy', 'HTTPProxy', '1.8.0'],
    ['user_agent', 'UserAgent', '1.8.0'],
    ['content_encoding', 'ContentEncoding', '1.8.0'],
    ['influx_uint_support', 'UintSupport', '1.8.0'],
    ['influx_omit_timestamp', 'OmitTimestamp', '1.31.0'],
    ['ping_timeout', 'PingTimeout', '1.28.0'],
    ['read_idle_timeout', 'ReadIdleTimeout', '1.28.0'],
    ['rate_limit', 'Limit', '1.33.0'],
    ['rate_limit_period', 'Period', '1.33.0'],
    ['concurrent_writes', 'ConcurrentWrites', '1.34.0'],
  ],
}

function outputFields(plugin: string, version: string): readonly Field[] | undefined {
  return FIELDS[plugin]
    ?.filter(
      ([, , since, until]) =>
        isAtLeast(version, since) && (until === undefined || !isAtLeast(version, until)),
    )
    .map(([tag, name]) => [tag, name])
}

const SSL: readonly Field[] = [
  ['ssl_ca', 'SSLCA'],
  ['ssl_cert', 'SSLCert'],
  ['ssl_key', 'SSLKey'],
]
const TLS: readonly Field[] = [
  ['tls_ca', 'TLSCA'],
  ['tls_cert', 'TLSCert'],
  ['tls_key', 'TLSKey'],
]
const MORE_TLS: readonly Field[] = [
  ['tls_enable', 'Enable'],
  ['tls_key_pwd', 'TLSKeyPwd'],
  ['tls_min_version', 'TLSMinVersion'],
  ['tls_cipher_suites', 'TLSCipherSuites'],
  ['tls_server_name', 'ServerName'],
  ['tls_renegotiation_method', 'RenegotiationMethod'],
]

function tlsFields(version: string): readonly Field[] {
  return [
    ['insecure_skip_verify', 'InsecureSkipVerify'],
    ...(isAtLeast(version, '1.35.0') ? [] : SSL),
    ...(isAtLeast(version, '1.7.0') ? TLS : []),
    // They came one by one; none of them is older than this.
    ...(isAtLeast(version, '1.15.0') ? MORE_TLS : []),
  ]
}

function isTlsOption(key: string): boolean {
  return [...SSL, ...TLS, ...MORE_TLS].some(field => isNamed(key, field))
}

const TLS_CLIENTS = new Set([
  'outputs.influxdb',
  'outputs.influxdb_v2',
  'inputs.prometheus',
  'inputs.elasticsearch',
  'inputs.influxdb',
  'inputs.http',
])

/** findField of influxdata/toml: the tag, or the name of the field as Title, CamelCase or UPPER. */
function isNamed(key: string, [tag, name]: Field): boolean {
  if (key === tag) return true
  const title = key.charAt(0).toUpperCase() + key.slice(1)
  const camel = key
    .split('_')
    .map(word => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
  return [title, camel, key.toUpperCase()].includes(name)
}

/** Any plugin may have them. */
const COMMON = new Set(
  (
    'alias always_include_local_tags buffer_strategy buffer_directory buffer_disk_sync ' +
    'collection_jitter collection_offset data_format delay drop drop_original fielddrop fieldexclude ' +
    'fieldinclude fieldpass flush_interval flush_jitter grace interval log_level metric_batch_size ' +
    'metric_buffer_limit metricpass name_override name_prefix name_suffix namedrop namedrop_separator ' +
    'namepass namepass_separator order pass period tagdrop tagexclude taginclude tagpass tags ' +
    'startup_error_behavior labels id data_type'
  ).split(' '),
)

const OUTPUTS = new Set(
  (
    'amqp cloudwatch datadog discard elasticsearch exec execd file graphite graylog health http ' +
    'influxdb kafka librato loki mqtt nats nsq opentelemetry opentsdb postgresql prometheus_client ' +
    'riemann socket_writer sql stackdriver syslog timestream warp10 wavefront websocket zabbix'
  ).split(' '),
)
