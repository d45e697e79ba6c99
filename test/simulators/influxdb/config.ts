// influxdb.conf as influxd reads it, see ../go/toml-config.ts for how.
//
// What keys there are and of which type is read off the defaults that `influxd config` of 1.6.7 prints;
// what came later, or only with Enterprise, is in MORE_KEYS.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import {
  type Config,
  isScalar,
  readTomlConfig,
  type Table,
  UNSET_POOL,
  type Value,
} from '../go/toml-config.ts'
import { isAtLeast } from '../version.ts'

export { type Config, formatConfig, valueOf } from '../go/toml-config.ts'

export type Build = 'OSS' | 'Enterprise'

export interface Product {
  readonly version: string
  readonly build: Build
}

/** table, key, default, first version, and in which build. */
const MORE_KEYS: readonly (readonly [string, string, Value, string, Build | 'both'])[] = [
  ['', 'hostname', 'localhost', '1.0', 'Enterprise'],
  ['', 'gossip-frequency', '3s', '1.0', 'Enterprise'],
  ['http', 'ping-auth-enabled', false, '1.7.0', 'both'],
  ['tls', 'ciphers', [], '1.6.2', 'both'],
  ['tls', 'max-version', '', '1.6.2', 'both'],
  ['tls', 'advanced-expiration', '5d', '1.12.3', 'Enterprise'],
  ['http', 'https-insecure-certificate', false, '1.12.3', 'both'],
  ['http', 'https-client-auth-type', '', '1.13.0', 'both'],
  ['http', 'https-client-ca', UNSET_POOL, '1.13.0', 'both'],
  ['http', 'https-ignore-sanity-checks', false, '1.13.0', 'both'],
  ['meta', 'meta-tls-enabled', false, '1.0', 'Enterprise'],
  ['meta', 'meta-insecure-tls', false, '1.0', 'Enterprise'],
  ['meta', 'meta-auth-enabled', false, '1.0', 'Enterprise'],
  ['meta', 'meta-internal-shared-secret', '', '1.6.4', 'Enterprise'],
  ['meta', 'meta-client-certificate', '', '1.13.0', 'Enterprise'],
  ['meta', 'meta-client-private-key', '', '1.13.0', 'Enterprise'],
  ['meta', 'meta-root-ca', UNSET_POOL, '1.13.0', 'Enterprise'],
  ['meta', 'meta-insecure-certificate', false, '1.13.0', 'Enterprise'],
  ['meta', 'meta-ignore-cert-sanity-checks', false, '1.13.0', 'Enterprise'],
  ['cluster', 'https-enabled', false, '1.7.3', 'Enterprise'],
  ['cluster', 'https-certificate', '', '1.7.3', 'Enterprise'],
  ['cluster', 'https-private-key', '', '1.7.3', 'Enterprise'],
  ['cluster', 'https-insecure-tls', false, '1.7.3', 'Enterprise'],
  ['cluster', 'https-insecure-certificate', false, '1.12.3', 'Enterprise'],
  ['cluster', 'https-client-auth-type', '', '1.13.0', 'Enterprise'],
  ['cluster', 'https-client-ca', UNSET_POOL, '1.13.0', 'Enterprise'],
  ['cluster', 'https-client-certificate', '', '1.13.0', 'Enterprise'],
  ['cluster', 'https-client-private-key', '', '1.13.0', 'Enterprise'],
  ['cluster', 'https-root-ca', UNSET_POOL, '1.13.0', 'Enterprise'],
  ['cluster', 'https-ignore-sanity-checks', false, '1.13.0', 'Enterprise'],
  ['hinted-handoff', 'enabled', true, '1.0', 'Enterprise'],
  ['hinted-handoff', 'dir', '/var/lib/influxdb/hh', '1.0', 'Enterprise'],
  ['hinted-handoff', 'max-size', 10_737_418_240, '1.0', 'Enterprise'],
  ['hinted-handoff', 'retry-interval', '1s', '1.0', 'Enterprise'],
  ['hinted-handoff', 'retry-max-interval', '200s', '1.0', 'Enterprise'],
]

/** Throws a GoError with what follows `run: ` or `config: `. */
export function readConfig(
  file: string | undefined,
  environment: NodeJS.ProcessEnv,
  product: Product,
): Config {
  const warnings: string[] = []
  const tables = readTomlConfig({
    file,
    environment,
    defaults: defaults(product),
    rewrite: text => rewriteCluster(text, product, warnings),
    tlsVersions: tlsVersions(product.version),
  })
  return { tables, warnings }
}

/** What [tls] min-version and max-version may be. */
export function tlsVersions(version: string): readonly string[] {
  const known = ['SSL3.0', 'TLS1.0', 'TLS1.1', 'TLS1.2']
  return isAtLeast(version, '1.8.0') ? [...known, 'TLS1.3'] : known
}

function defaults({ version, build }: Product): Map<string, Table> {
  const tables = new Map<string, Table>([['', {}]])
  const text = readFileSync(join(import.meta.dirname, 'defaults-1.6.toml'), 'utf8')
  for (const [name, value] of Object.entries(parseToml(text))) {
    const table = Array.isArray(value) ? value[0] : value
    if (isScalar(table)) tables.set('', { ...tables.get(''), [name]: table })
    else tables.set(name, scalarsOf(table))
  }
  // A data node is spoken to by the others.
  if (build === 'Enterprise') tables.set('', { ...tables.get(''), 'bind-address': ':8088' })
  for (const [table, key, value, since, where] of MORE_KEYS) {
    if (!isAtLeast(version, since) || (where !== 'both' && where !== build)) continue
    tables.set(table, { ...tables.get(table), [key]: value })
  }
  return tables
}

/** OSS still takes the name that [coordinator] had before 0.12, also where both then collide. */
function rewriteCluster(text: string, { build }: Product, warnings: string[]): string {
  const cluster = /^\s*\[cluster\]/m
  if (build === 'Enterprise' || !cluster.test(text)) return text
  warnings.push(
    'deprecated config option [cluster] replaced with [coordinator]; [cluster] will not be supported in a future release',
  )
  return text.replace(cluster, found => found.replace('cluster', 'coordinator'))
}

function scalarsOf(table: unknown): Table {
  const entries = typeof table === 'object' && table !== null ? Object.entries(table) : []
  const scalars: Table = {}
  for (const [key, value] of entries) if (isScalar(value)) scalars[key] = value
  return scalars
}
