// Which settings there are: the node refuses to start with any other one.

import { type Settings, StartError } from './yaml-settings.ts'

export const SSL_PREFIXES = ['xpack.security.http.ssl', 'xpack.security.transport.ssl'] as const
export type SslPrefix = (typeof SSL_PREFIXES)[number]

const SSL_LEAVES = [
  'enabled',
  'keystore.path',
  'keystore.type',
  'keystore.password',
  'keystore.key_password',
  'keystore.algorithm',
  'truststore.path',
  'truststore.type',
  'truststore.password',
  'truststore.algorithm',
  'key',
  'key_passphrase',
  'certificate',
  'certificate_authorities',
  'client_authentication',
  'verification_mode',
  'supported_protocols',
  'cipher_suites',
]
const TRANSPORT_LEAVES = [
  'trust_restrictions.path',
  'trust_restrictions.x509_fields',
  'handshake_timeout',
]
export const SECURE_SSL_LEAVES = [
  'keystore.secure_password',
  'keystore.secure_key_password',
  'truststore.secure_password',
  'secure_key_passphrase',
] as const

/** Outside of the TLS prefixes only the first words of a name are looked at. */
const NAMESPACES =
  /^(action|bootstrap|cluster|discovery|gateway|http|indices|ingest|logger|monitor|network|node|path|pidfile|processors|reindex|remote_cluster|repositories|resource|rest|script|search|snapshot|stack|thread_pool|transport)\.|^xpack\.(apm_data|autoscaling|ccr|eql|enrich|graph|http|idp|ilm|license|ml|monitoring|notification|profiling|rollup|searchable|security|slm|transform|watcher)\./
/** Settings of an index are no settings of a node. */
const INDEX = /^index\./

const SECURE = new Set([
  'keystore.seed',
  'bootstrap.password',
  'autoconfiguration.password_hash',
  'xpack.notification.slack.account.monitoring.secure_url',
  'xpack.watcher.encryption_key',
  'xpack.security.authc.token.passphrase',
])
const SECURE_PATTERNS = [
  /^(s3|gcs|azure)\.client\.[^.]+\.\w+$/,
  /^discovery\.(ec2|azure)\.\w+$/,
  /^cluster\.remote\.[^.]+\.credentials$/,
  /^xpack\.monitoring\.exporters\.[^.]+\.auth\.secure_password$/,
  /^xpack\.notification\.\w+\.account\.[^.]+\.(smtp\.)?secure_\w+$/,
  /^xpack\.security\.authc\.realms\.[^.]+\.[^.]+\.(ssl\.)?((key|trust)store\.)?(rp\.|client_authentication\.)?\w*(secure|client_secret|shared_secret)\w*$/,
  /^xpack\.(http|security\.(remote_cluster_(client|server)|audit\.\w+))\.ssl\.((key|trust)store\.)?secure_\w+$/,
]

export function checkKnown(settings: Settings, secureNames: Iterable<string>): void {
  for (const name of settings.keys()) {
    if (INDEX.test(name)) {
      throw new StartError(
        `node settings must not contain any index level settings, found [${name}]`,
      )
    }
    if (!isKnown(name)) throw unknown('unknown setting', name)
  }
  for (const name of secureNames) {
    if (!isKnownSecure(name)) throw unknown('unknown secure setting', name)
  }
}

function isKnown(name: string): boolean {
  for (const prefix of SSL_PREFIXES) {
    if (name === prefix || name.startsWith(`${prefix}.`)) {
      const leaf = name.slice(prefix.length + 1)
      const transport = prefix === 'xpack.security.transport.ssl'
      return SSL_LEAVES.includes(leaf) || (transport && TRANSPORT_LEAVES.includes(leaf))
    }
  }
  return NAMESPACES.test(name)
}

function isKnownSecure(name: string): boolean {
  const ofSsl = SSL_PREFIXES.some(prefix =>
    SECURE_SSL_LEAVES.some(leaf => name === `${prefix}.${leaf}`),
  )
  return ofSsl || SECURE.has(name) || SECURE_PATTERNS.some(pattern => pattern.test(name))
}

function unknown(what: string, name: string): StartError {
  return new StartError(
    `${what} [${name}] please check that any required plugins are installed, or check the breaking changes documentation for removed settings`,
  )
}
