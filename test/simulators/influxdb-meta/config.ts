// influxdb-meta.conf as influxd-meta reads it, see ../go/toml-config.ts for how. There is no [http]
// table: one in the file is ignored without a word.

import {
  type Config,
  type KeySince,
  readTomlConfig,
  textOf,
  type Table,
  UNSET_POOL,
  valueOf,
} from '../go/toml-config.ts'
import { GoError } from '../go/x509-key-pair.ts'
import { tlsVersions } from '../influxdb/config.ts'
import { isAtLeast } from '../version.ts'

const KEYS: readonly KeySince[] = [
  ['', 'reporting-disabled', false, '1.0'],
  ['', 'bind-address', '', '1.0'],
  ['', 'hostname', '', '1.0'],
  ['enterprise', 'license-key', '', '1.0'],
  ['enterprise', 'license-path', '', '1.0'],
  ['meta', 'dir', '/var/lib/influxdb/meta', '1.0'],
  ['meta', 'bind-address', ':8089', '1.0'],
  ['meta', 'http-bind-address', ':8091', '1.0'],
  ['meta', 'https-enabled', false, '1.0'],
  ['meta', 'https-certificate', '', '1.0'],
  ['meta', 'https-private-key', '', '1.2'],
  ['meta', 'https-insecure-tls', false, '1.2'],
  ['meta', 'data-use-tls', false, '1.7'],
  ['meta', 'data-insecure-tls', false, '1.7'],
  ['meta', 'https-insecure-certificate', false, '1.12.3'],
  ['meta', 'https-ignore-sanity-checks', false, '1.13.0'],
  ['meta', 'https-client-certificate', '', '1.13.0'],
  ['meta', 'https-client-private-key', '', '1.13.0'],
  ['meta', 'https-client-auth-type', '', '1.13.0'],
  ['meta', 'https-client-ca', UNSET_POOL, '1.13.0'],
  ['meta', 'https-root-ca', UNSET_POOL, '1.13.0'],
  ['meta', 'gossip-frequency', '5s', '1.0'],
  ['meta', 'announcement-expiration', '30s', '1.0'],
  ['meta', 'retention-autocreate', true, '1.0'],
  ['meta', 'election-timeout', '1s', '1.0'],
  ['meta', 'heartbeat-timeout', '1s', '1.0'],
  ['meta', 'leader-lease-timeout', '500ms', '1.0'],
  ['meta', 'commit-timeout', '50ms', '1.0'],
  ['meta', 'consensus-timeout', '30s', '1.0'],
  ['meta', 'cluster-tracing', false, '1.0'],
  ['meta', 'logging-enabled', true, '1.0'],
  ['meta', 'pprof-enabled', true, '1.0'],
  ['meta', 'lease-duration', '1m0s', '1.0'],
  ['meta', 'auth-enabled', false, '1.0'],
  ['meta', 'shared-secret', '', '1.0'],
  ['meta', 'internal-shared-secret', '', '1.6.4'],
  ['tls', 'ciphers', [], '1.6.2'],
  ['tls', 'min-version', '', '1.6.2'],
  ['tls', 'max-version', '', '1.6.2'],
  ['tls', 'advanced-expiration', '5d', '1.12.3'],
]

/** Throws a GoError with what follows `run: ` or `config: `. */
export function readMetaConfig(
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
  version: string,
): Config {
  const defaults = new Map<string, Table>()
  for (const [table, key, value, since] of KEYS) {
    if (!isAtLeast(version, since)) continue
    defaults.set(table, { ...defaults.get(table), [key]: value })
  }
  const tables = readTomlConfig({
    file,
    environment,
    defaults,
    rewrite: text => text,
    tlsVersions: tlsVersions(version),
  })
  return { tables, warnings: [] }
}

/** What a start refuses and `config` does not. */
export function checkSecrets(config: Config): void {
  const secret = valueOf(config, 'meta', 'internal-shared-secret')
  // A version that does not know the key does not ask for it.
  if (secret === undefined || secret !== '') return
  if (valueOf(config, 'meta', 'auth-enabled') !== true) return
  throw new GoError('internal-shared-secret must be set when auth-enabled is true')
}

export function hostnameOf(config: Config, fallback: string): string {
  return textOf(config, '', 'hostname') || fallback
}
