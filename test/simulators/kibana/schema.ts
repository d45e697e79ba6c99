// The part of Kibana's schema that TLS needs: types, keys that there are, combinations that are refused.
// Nothing is read from files here.

import { KibanaFailure } from './failure.ts'
import { isContainer, type RawConfig, valueAt } from './raw-config.ts'

type Kind = 'string' | 'boolean' | 'number' | 'uri' | 'uris' | 'strings' | 'duration' | 'anything'
type Fields = Readonly<Record<string, Kind | readonly string[] | Fields_>>
interface Fields_ {
  readonly fields: Fields
}

const STORE: Fields_ = { fields: { path: 'string', password: 'string' } }
const PROTOCOLS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3']

const SERVER_SSL: Fields = {
  enabled: 'boolean',
  certificate: 'string',
  key: 'string',
  keyPassphrase: 'string',
  certificateAuthorities: 'strings',
  keystore: STORE,
  truststore: STORE,
  cipherSuites: 'strings',
  supportedProtocols: 'strings',
  redirectHttpFromPort: 'number',
  clientAuthentication: ['none', 'optional', 'required'],
}

const SERVER: Fields = {
  host: 'string',
  port: 'number',
  name: 'string',
  basePath: 'string',
  publicBaseUrl: 'uri',
  protocol: ['http1', 'http2'],
  ssl: { fields: SERVER_SSL },
  ...names(
    'autoListen cdn compression cors customResponseHeaders defaultRoute eluMonitor http2 keepaliveTimeout',
  ),
  ...names('maxPayload oas payloadTimeout prototypeHardening rateLimiter requestId uuid versioned'),
  ...names('restrictInternalApis rewriteBasePath securityResponseHeaders shutdownTimeout xsrf'),
  ...names('socketTimeout'),
}

const ELASTICSEARCH_SSL: Fields = {
  verificationMode: ['none', 'certificate', 'full'],
  certificateAuthorities: 'strings',
  certificate: 'string',
  key: 'string',
  keyPassphrase: 'string',
  keystore: STORE,
  truststore: STORE,
  alwaysPresentCertificate: 'boolean',
}

const ELASTICSEARCH: Fields = {
  hosts: 'uris',
  username: 'string',
  password: 'string',
  serviceAccountToken: 'string',
  ssl: { fields: ELASTICSEARCH_SSL },
  requestTimeout: 'duration',
  pingTimeout: 'duration',
  healthCheck: { fields: { delay: 'duration', retry: 'anything', startupDelay: 'duration' } },
  ...names(
    'apiVersion compression customHeaders dnsCacheTtl idleSocketTimeout logQueries maxRetries',
  ),
  ...names(
    'ignoreVersionMismatch internalClientMaxSockets maxIdleSockets maxResponseSize maxSockets',
  ),
  ...names(
    'requestHeadersWhitelist requestHeadersAllowlist shardTimeout skipStartupConnectionCheck',
  ),
  ...names('sniffInterval sniffOnConnectionFault sniffOnStart publicBaseUrl'),
}

// Of core and of the plugins that are always there.
const ROOTS =
  `console coreApp csp data deprecation dev_tools discover elastic elasticsearch enterpriseSearch env execution_context
  externalUrl featureFlags feature_flags files guidedOnboarding home i18n input_control_vis interactiveSetup kibana
  logging map maps migrations monitoring newsfeed node ops path pid plugins pricing region_map regionmap
  savedObjects security server serverless share status telemetry tilemap timelion uiSettings unifiedSearch
  url_drilldown usageCollection vega vis_type_heatmap vis_type_metric vis_type_pie vis_type_table
  vis_type_tagcloud vis_type_timelion vis_type_timeseries vis_type_vega vis_type_vislib vis_type_xy
  visTypeVega visualizations xpack`.split(/\s+/)

/** Throws with the words and the exit code of Kibana. */
export function validateConfig(raw: RawConfig): void {
  checkFields(raw, 'server', '', SERVER)
  checkFields(raw, 'elasticsearch', '', ELASTICSEARCH)
  checkFields(raw, 'monitoring', 'ui.elasticsearch', ELASTICSEARCH)
  checkServer(raw)
  checkServerSsl(raw)
  checkElasticsearch(raw, 'elasticsearch', '')
  checkElasticsearch(raw, 'monitoring', 'ui.elasticsearch.')
  const unknown = Object.keys(raw).filter(root => !ROOTS.includes(root))
  if (unknown.length === 0) return
  const keys = unknown.map(root => JSON.stringify(root)).join(', ')
  throw new KibanaFailure(
    `Unknown configuration key(s): ${keys}. Check for spelling errors and ensure that expected plugins are installed.`,
    UNKNOWN_KEY,
  )
}

const UNKNOWN_KEY = 64
const INVALID = 78

function invalid(root: string, path: string, why: string): KibanaFailure {
  const where = path === '' ? `[${root}]` : `[${root}].${path}`
  return new KibanaFailure(`[config validation of ${where}]: ${why}`, INVALID)
}

function checkFields(raw: RawConfig, root: string, path: string, fields: Fields): void {
  const value = valueAt(raw, path === '' ? root : `${root}.${path}`)
  if (value === undefined) return
  if (!isContainer(value) || Array.isArray(value)) {
    throw invalid(
      root,
      path,
      `expected a plain object value, but found [${typeName(value)}] instead.`,
    )
  }
  for (const [key, child] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined
    if (field === undefined) throw invalid(root, at, 'definition for this key is missing')
    if (typeof field === 'object' && 'fields' in field) checkFields(raw, root, at, field.fields)
    else checkValue(child, field, { root, path: at })
  }
}

function checkValue(
  value: unknown,
  kind: Kind | readonly string[],
  { root, path }: { readonly root: string; readonly path: string },
): void {
  const expect = (type: string) =>
    invalid(root, path, `expected value of type [${type}] but got [${typeName(value)}]`)
  if (typeof kind !== 'string') {
    if (typeof value === 'string' && kind.includes(value)) return
    const options = kind.map(
      (option, index) => `- [${path}.${index}]: expected value to equal [${option}]`,
    )
    throw invalid(root, path, `types that failed validation:\n${options.join('\n')}`)
  }
  switch (kind) {
    case 'anything':
      return
    case 'string':
      if (typeof value !== 'string') throw expect('string')
      return
    case 'boolean':
      if (typeof value !== 'boolean' && value !== 'true' && value !== 'false')
        throw expect('boolean')
      return
    case 'number':
      if (typeof value === 'number') return
      if (typeof value === 'string' && /^\d+$/.test(value)) return
      throw expect('number')
    case 'duration':
      if (durationMs(value) === undefined) throw expect('moment.Duration')
      return
    case 'uri':
      return checkUri(value, { root, path })
    case 'uris':
    case 'strings': {
      if (Array.isArray(value) && value.length === 0 && kind === 'uris') {
        throw invalid(root, path, 'array size is [0], but cannot be smaller than [1]')
      }
      for (const item of Array.isArray(value) ? value : [value]) {
        checkValue(item, kind === 'uris' ? 'uri' : 'string', { root, path })
      }
    }
  }
}

function checkUri(
  value: unknown,
  { root, path }: { readonly root: string; readonly path: string },
): void {
  if (typeof value !== 'string') {
    throw invalid(root, path, `expected value of type [string] but got [${typeName(value)}].`)
  }
  if (!/^https?:\/\/[^/]+/.test(value) || !URL.canParse(value)) {
    throw invalid(root, path, 'expected URI with scheme [http|https].')
  }
}

function checkServer(raw: RawConfig): void {
  const url = valueAt(raw, 'server.publicBaseUrl')
  if (typeof url !== 'string') return
  const given = valueAt(raw, 'server.basePath')
  const basePath = typeof given === 'string' ? given : ''
  const { pathname, search, hash, username } = new URL(url)
  if (search !== '' || hash !== '' || username !== '') {
    const why = '[publicBaseUrl] may only contain a protocol, host, port, and pathname'
    throw invalid('server', '', why)
  }
  // That a slash at the end is refused is documented; these words are not Kibana's.
  if (url.endsWith('/')) throw invalid('server', '', '[publicBaseUrl] cannot end in a slash')
  if (pathname !== (basePath === '' ? '/' : basePath)) {
    const why = `[publicBaseUrl] must contain the [basePath]: ${pathname} !== ${basePath}`
    throw invalid('server', '', why)
  }
}

function checkServerSsl(raw: RawConfig): void {
  const at = (leaf: string) => valueAt(raw, `server.ssl.${leaf}`)
  checkStore(raw, 'server', 'ssl')
  const enabled = isOn(at('enabled'))
  if (enabled && (!at('key') || !at('certificate')) && !at('keystore.path')) {
    const why = 'must specify [certificate] and [key] -- or [keystore.path] -- when ssl is enabled'
    throw invalid('server', 'ssl', why)
  }
  if (!enabled && (at('clientAuthentication') ?? 'none') !== 'none') {
    throw invalid('server', 'ssl', 'must enable ssl to use [clientAuthentication]')
  }
  const protocols = [at('supportedProtocols') ?? []].flat()
  const strange = protocols.find(
    protocol => typeof protocol !== 'string' || !PROTOCOLS.includes(protocol),
  )
  if (strange !== undefined) {
    throw invalid('server', 'ssl.supportedProtocols.0', `expected value to equal [${PROTOCOLS[0]}]`)
  }
}

function checkElasticsearch(raw: RawConfig, root: string, prefix: string): void {
  const at = (leaf: string) => valueAt(raw, `${root}.${prefix}${leaf}`)
  checkStore(raw, root, `${prefix}ssl`)
  if (at('username') === 'elastic') {
    const why =
      'value of "elastic" is forbidden. This is a superuser account that cannot write to system indices that Kibana needs to function. Use a service account token instead.'
    throw invalid(root, `${prefix}username`, why)
  }
  if (at('username') !== undefined && at('serviceAccountToken') !== undefined) {
    const why = 'serviceAccountToken cannot be specified when "username" is also set.'
    throw invalid(root, `${prefix}serviceAccountToken`, why)
  }
}

function checkStore(raw: RawConfig, root: string, path: string): void {
  if (!valueAt(raw, `${root}.${path}.keystore.path`)) return
  for (const leaf of ['key', 'certificate']) {
    if (valueAt(raw, `${root}.${path}.${leaf}`)) {
      throw invalid(root, path, `cannot use [${leaf}] when [keystore.path] is specified`)
    }
  }
}

export function isOn(value: unknown): boolean {
  return value === true || value === 'true'
}

/** `2500`, `2500ms`, `3s`, `1m`; undefined where it is none. */
export function durationMs(value: unknown): number | undefined {
  const match = /^(\d+)(ms|s|m|h)?$/.exec(String(value))
  const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const
  if (match === null || typeof value === 'boolean') return undefined
  const [, amount, unit = 'ms'] = match
  if (unit !== 'ms' && unit !== 's' && unit !== 'm' && unit !== 'h') return undefined
  return Number(amount) * units[unit]
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'Array'
  return isContainer(value) ? 'Object' : typeof value
}

function names(list: string): Fields {
  return Object.fromEntries(list.split(' ').map(name => [name, 'anything' as const]))
}
