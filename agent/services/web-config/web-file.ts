// Which keys of a web configuration are ours. It is read again for every connection, so the rename of
// this file is the moment at which another pair is served.

import { unreachable } from '../../../shared/assert.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import type { ServerTls, TlsVersion } from '../../../shared/contract/service.ts'
import type { ConfigEdit, ConfigValue } from '../../formats/edit.ts'
import { editYaml, readYaml } from '../../formats/yaml.ts'
import { isUnderHome } from '../paths.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import { RELEASE_TOKEN, type DriverContext, type FileIntent, type Seen } from '../service.ts'
import { hasClientTrust } from '../trust.ts'
import { documentIn, isNoTable, tableAt, textAt, valueAt, type Table } from '../values.ts'
import type { Version } from '../version.ts'
import { trustFileOf, type WebProduct } from './product.ts'
import { unknownKey } from './toolkit.ts'

/** What is to stand in the web configuration. */
export interface WebFile {
  readonly kind: 'web-file'
  /** Undefined: nothing of ours is to stand there. */
  readonly intent: FileIntent | undefined
  /** The options that a handshake cannot prove, as text. */
  readonly options: string
  readonly hasPasswords: boolean
  readonly notices: readonly Reason[]
}

const SERVER = 'tls_server_config'
const INLINE = ['cert', 'key', 'client_ca']
const CLIENT = ['client_auth_type', 'client_ca_file']
const NAME_OF = { '1.2': 'TLS12', '1.3': 'TLS13' } as const satisfies Record<TlsVersion, string>
const RANK = new Map<ConfigValue | undefined, number>([
  ['TLS10', 0],
  ['TLS11', 1],
  ['TLS12', 2],
  ['TLS13', 3],
])

export function webFileOn(
  product: WebProduct,
  version: Version,
  path: string,
  tls: ServerTls,
  seen: Seen,
  context: DriverContext,
): WebFile | Refusal {
  const file = seen.file(path)
  const document =
    file?.kind === 'missing'
      ? ({ kind: 'document', value: {} } as const)
      : documentIn(path, file, readYaml)
  if (document.kind === 'refusal') return document
  if (isNoTable(valueAt(document.value, SERVER)))
    return refusal('config-unexpected', `${path}: ${SERVER} is not a mapping`)
  const server = tableAt(document.value, SERVER)
  const keys = serverKeys(path, tls, server, pathsFor(product, context))
  if ('kind' in keys) return keys
  const removed = keys.edits.filter(edit => edit.value === undefined)
  const except = removed.map(edit => edit.path.join('.'))
  const unknown = unknownKey(product, version, path, document.value, except)
  if (unknown !== undefined) return unknown
  return {
    kind: 'web-file',
    intent: {
      kind: 'config',
      path,
      format: 'yaml',
      edits: keys.edits,
      reason: reasonFor(path, server),
      createMode: 0o640,
    },
    options: keys.options,
    hasPasswords: hasPasswords(document.value),
    notices: leftovers(server),
  }
}

// Certificate and key are opened for every connection. Behind one symlink a connection could see one
// of each release; named by release they change together, with the file that names them.
function pathsFor(product: WebProduct, context: DriverContext) {
  const release = `${product.directory}/releases/${RELEASE_TOKEN}`
  return {
    certificate: context.servicePath(`${release}/chain.pem`),
    key: context.servicePath(`${release}/key.pem`),
    trust: context.servicePath(trustFileOf(product)),
  }
}

function serverKeys(
  path: string,
  tls: ServerTls,
  server: Table | undefined,
  paths: ReturnType<typeof pathsFor>,
): { readonly edits: readonly ConfigEdit[]; readonly options: string } | Refusal {
  const minimum = NAME_OF[tls.minVersion]
  const maximum = valueAt(server, 'max_version')
  if (maximum !== undefined && (RANK.get(maximum) ?? -1) < (RANK.get(minimum) ?? 0))
    return refusal(
      'max-version-too-low',
      `max_version ${JSON.stringify(maximum)} of ${path} excludes ${minimum}`,
    )
  const type = authType(tls.clientAuth)
  // A server that demands certificates of no CA locks every client out.
  if (type !== undefined && !hasClientTrust(tls))
    return refusal(
      'client-trust-missing',
      'client certificates are wanted, but no CA to verify them',
    )
  const set = (key: string, value: ConfigValue | undefined): ConfigEdit => ({
    path: [SERVER, key],
    value,
  })
  // Removed before the files are named: one or the other is taken.
  const inline = INLINE.filter(key => valueAt(server, key) !== undefined)
  const client = type === undefined ? CLIENT.filter(key => valueAt(server, key) !== undefined) : []
  // The default is TLS12 in every version, so it is written only over something else.
  const writesMinimum = tls.minVersion !== '1.2' || valueAt(server, 'min_version') !== undefined
  return {
    edits: [
      ...inline.map(key => set(key, undefined)),
      set('cert_file', paths.certificate),
      set('key_file', paths.key),
      ...client.map(key => set(key, undefined)),
      ...(type === undefined
        ? []
        : [set('client_auth_type', type), set('client_ca_file', paths.trust)]),
      ...(writesMinimum ? [set('min_version', minimum)] : []),
    ],
    options: `min_version=${minimum} client_auth=${type ?? 'none'}`,
  }
}

function authType(clientAuth: ServerTls['clientAuth']): string | undefined {
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

/** What is to stand there without TLS, and whether the flag that names the file can go with it. */
export interface PlainFile extends WebFile {
  readonly isObsolete: boolean
}

// Any one of these keys switches TLS on; the others are kept for the next time.
const SWITCHES = ['cert_file', 'key_file', ...INLINE, ...CLIENT]

export function webFileOff(
  path: string,
  seen: Seen,
  options: { readonly mayGo: boolean },
): PlainFile | Refusal {
  const file = seen.file(path)
  const untouched = { kind: 'web-file', intent: undefined, options: '', notices: [] } as const
  if (file === undefined || file.kind === 'missing')
    return { ...untouched, hasPasswords: false, isObsolete: false }
  const document = documentIn(path, file, readYaml)
  if (document.kind === 'refusal') return document
  const passwords = hasPasswords(document.value)
  const server = tableAt(document.value, SERVER) ?? {}
  const switches = SWITCHES.filter(key => valueAt(server, key) !== undefined)
  if (switches.length === 0) return { ...untouched, hasPasswords: passwords, isObsolete: false }
  const kept = Object.keys(server).filter(key => !switches.includes(key))
  // min_version is ours too; alone it says nothing.
  const isWhole = kept.every(key => key === 'min_version')
  const edits = isWhole
    ? [{ path: [SERVER], value: undefined }]
    : switches.map(key => ({ path: [SERVER, key], value: undefined }))
  const isLast = isWhole && Object.keys(document.value).length === 1
  const isObsolete = isLast && options.mayGo
  const reason = because('plaintext-required', `${path} switches TLS on`)
  const edited = file.kind === 'text' && isObsolete ? editYaml(file.text, edits) : undefined
  // Comments of an operator stay; a file that only ever held our keys does not.
  const isBlank = edited?.kind === 'edited' && edited.text.trim() === ''
  return {
    ...untouched,
    intent: isBlank
      ? { kind: 'content', path, text: undefined, reason, createMode: 0o640 }
      : { kind: 'config', path, format: 'yaml', edits, reason, createMode: undefined },
    hasPasswords: passwords,
    isObsolete,
  }
}

function hasPasswords(document: Table): boolean {
  return Object.keys(tableAt(document, 'basic_auth_users') ?? {}).length > 0
}

function reasonFor(path: string, server: Table | undefined): Reason {
  if (INLINE.some(key => valueAt(server, key) !== undefined))
    return because('inline-pem-replaced', `certificate and key stood in ${path} itself`)
  const certificate = textAt(server, 'cert_file')
  if (certificate === undefined)
    return because('tls-required', `${path} does not name a certificate`)
  const home = homePaths(server)[0]
  if (home !== undefined)
    return because(
      'guide-home-path',
      `${home} is under a home directory, which the sandbox of the unit hides`,
    )
  return because('tls-settings', `the TLS settings of ${path} follow the desired state`)
}

function leftovers(server: Table | undefined): readonly Reason[] {
  return homePaths(server).map(file =>
    because('guide-leftover', `${file} is no longer used and can be removed`),
  )
}

function homePaths(server: Table | undefined): readonly string[] {
  return ['cert_file', 'key_file']
    .map(key => textAt(server, key))
    .filter(file => file !== undefined)
    .filter(isUnderHome)
}
