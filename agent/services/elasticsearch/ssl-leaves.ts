// The settings that `xpack.security.http.ssl` and `xpack.security.transport.ssl` have in common, and
// which of them go together (facts 2(a), 2(g)).

import type { TlsVersion } from '../../../shared/contract/service.ts'
import type { ConfigEdit } from '../../formats/edit.ts'
import type { NodeSettings } from './node-settings.ts'

/** Of the material, inside of the configuration directory: nothing else is readable (facts 2(a)). */
export const MATERIAL = 'tlsfleet'

export type Layout = 'pkcs12' | 'pem'

// Relative to the configuration directory. The names never change, so that a renewal is noticed as a
// change of the file and needs no restart.
const STORE = `${MATERIAL}/current/http.p12`
const CERTIFICATE = `${MATERIAL}/current/chain.pem`
const KEY = `${MATERIAL}/current/key.pem`
const TRUST = `${MATERIAL}/ca.pem`

/** Of key material. */
export const OWN_PATHS: readonly string[] = [STORE, CERTIFICATE, KEY]

/** Below the prefix; undefined: it must not be there. */
export type Leaf = readonly [name: string, value: string | boolean | readonly string[] | undefined]

export interface SslLayer {
  readonly prefix: string
  readonly settings: NodeSettings
}

/** Those of the leaves that are not said already. */
export function editsFor(layer: SslLayer, leaves: readonly Leaf[]): readonly ConfigEdit[] {
  return leaves.filter(leaf => !isThere(leaf, layer)).map(leaf => editOf(layer.prefix, leaf))
}

export function editOf(prefix: string, [name, value]: Leaf): ConfigEdit {
  return { path: `${prefix}.${name}`.split('.'), value }
}

/** What a process reads of them when it starts. */
export function loadedFrom(leaves: readonly Leaf[]): string {
  return JSON.stringify(leaves.filter(([, value]) => value !== undefined))
}

/** Said already, perhaps in other words: `"true"`, a variable, a list as a text with commas. */
function isThere([name, value]: Leaf, { prefix, settings }: SslLayer): boolean {
  const key = `${prefix}.${name}`
  if (value === undefined || settings.isRepeated(key)) return false
  if (Array.isArray(value)) return settings.list(key)?.join() === value.join()
  return settings.text(key) === String(value)
}

// The keys that do not go with those wanted: the node would not start (facts 2(g)).

export function keyLeaves(layer: SslLayer, layout: Layout): readonly Leaf[] {
  return layout === 'pkcs12' ? storeLeaves(layer) : PAIR_LEAVES
}

function storeLeaves({ prefix, settings }: SslLayer): readonly Leaf[] {
  const type = settings.text(`${prefix}.keystore.type`)?.toLowerCase() ?? 'pkcs12'
  const otherType: Leaf = ['keystore.type', undefined]
  return [
    ['keystore.path', STORE],
    // Without it the name of the file tells the type.
    ...(type === 'pkcs12' ? [] : [otherType]),
    // Also in the store of secrets, and both at once are refused.
    ['keystore.password', undefined],
    ['keystore.key_password', undefined],
    ['certificate', undefined],
    ['key', undefined],
    ['key_passphrase', undefined],
  ]
}

const PAIR_LEAVES: readonly Leaf[] = [
  ['certificate', CERTIFICATE],
  ['key', KEY],
  ['key_passphrase', undefined],
  ['keystore.path', undefined],
  ['keystore.type', undefined],
  ['keystore.password', undefined],
  ['keystore.key_password', undefined],
]

/** Whose certificates are accepted: the CAs that the intent gives, and no truststore beside them. */
export const AUTHORITY_LEAVES: readonly Leaf[] = [
  ['certificate_authorities', [TRUST]],
  ['truststore.path', undefined],
  ['truststore.type', undefined],
  ['truststore.password', undefined],
]

const WEAK_PROTOCOLS: readonly string[] = ['SSLv2Hello', 'SSLv3', 'TLSv1', 'TLSv1.1']

// The defaults are right for 1.2: what they still name below it, Java itself does not speak.
export function protocolLeaves(
  { prefix, settings }: SslLayer,
  minVersion: TlsVersion,
): readonly Leaf[] {
  const name = 'supported_protocols'
  if (minVersion === '1.3') return [[name, ['TLSv1.3']]]
  const written = settings.list(`${prefix}.${name}`)
  if (written === undefined) return []
  const strong = written.filter(protocol => !WEAK_PROTOCOLS.includes(protocol))
  return [[name, strong.length === 0 ? ['TLSv1.3', 'TLSv1.2'] : strong]]
}

/** Does the layer use key material of ours, or trust what we have written? */
export function isOurs({ prefix, settings }: SslLayer): boolean {
  const key = ['keystore.path', 'certificate', 'key'].some(name =>
    OWN_PATHS.includes(settings.text(`${prefix}.${name}`) ?? ''),
  )
  return key || settings.list(`${prefix}.certificate_authorities`)?.join() === TRUST
}
