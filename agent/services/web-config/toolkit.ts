// The keys of a web configuration by version of the exporter-toolkit. The file is read strictly: one
// key that the version does not know, and the server does not start, or answers nobody any more.

import { isTable, type ConfigValue } from '../../formats/edit.ts'
import { refusal, type Refusal } from '../reasons.ts'
import type { Table } from '../values.ts'
import { isAtLeast, parseVersion, type Version, type VersionText } from '../version.ts'
import type { WebProduct } from './product.ts'

// From web/tls_config.go at every tag of the toolkit. node_exporter 1.0 has the same keys as 0.1.0.
const KEYS: Readonly<Record<string, VersionText>> = {
  basic_auth_users: '0.1.0',
  http_server_config: '0.1.0',
  'http_server_config.headers': '0.7.0',
  'http_server_config.http2': '0.1.0',
  rate_limit: '0.15.0',
  'rate_limit.burst': '0.15.0',
  'rate_limit.interval': '0.15.0',
  tls_server_config: '0.1.0',
  'tls_server_config.cert': '0.11.0',
  'tls_server_config.cert_file': '0.1.0',
  'tls_server_config.cipher_suites': '0.1.0',
  'tls_server_config.client_allowed_sans': '0.10.0',
  'tls_server_config.client_auth_type': '0.1.0',
  'tls_server_config.client_ca': '0.11.0',
  'tls_server_config.client_ca_file': '0.1.0',
  'tls_server_config.curve_preferences': '0.1.0',
  'tls_server_config.key': '0.11.0',
  'tls_server_config.key_file': '0.1.0',
  'tls_server_config.max_version': '0.1.0',
  'tls_server_config.min_version': '0.1.0',
  'tls_server_config.prefer_server_cipher_suites': '0.1.0',
}
const SECTIONS = ['http_server_config', 'rate_limit', 'tls_server_config']

/** A key of the file that this version of the product refuses. `except`: keys that are taken out. */
export function unknownKey(
  product: WebProduct,
  version: Version,
  path: string,
  document: Table,
  except: readonly string[],
): Refusal | undefined {
  const toolkit = toolkitOf(product, version)
  const unknown = keysIn(document).find(key => !except.includes(key) && !isKnown(key, toolkit))
  if (unknown === undefined) return undefined
  return refusal(
    'web-config-key-unknown',
    `${product.label} ${version.text} knows no ${unknown}, which stands in ${path}, and refuses the whole file`,
  )
}

function isKnown(key: string, toolkit: Version | undefined): boolean {
  // Later toolkits may know more than this table: that is left to the program.
  if (toolkit === undefined) return true
  const since = Object.hasOwn(KEYS, key) ? KEYS[key] : undefined
  return since !== undefined && isAtLeast(toolkit, since)
}

/** Undefined: a later one than those that were looked at. */
function toolkitOf({ toolkits }: WebProduct, version: Version): Version | undefined {
  const found = toolkits.findLast(([since]) => isAtLeast(version, since))?.[1] ?? '0.1.0'
  return found === 'later' ? undefined : parseVersion(found)
}

function keysIn(document: Table): readonly string[] {
  return Object.entries(document).flatMap(([key, value]) => [
    key,
    ...(SECTIONS.includes(key) ? innerKeys(value).map(inner => `${key}.${inner}`) : []),
  ])
}

function innerKeys(value: ConfigValue): readonly string[] {
  return isTable(value) ? Object.keys(value) : []
}
