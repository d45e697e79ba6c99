// The web configuration of prometheus: where it is, and which of its keys are ours. It is read again
// for every connection, so the rename of this file is the moment at which another pair is served.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { ServiceTlsOf, TlsVersion } from '../../shared/contract/service.ts'
import type { ConfigEdit, ConfigValue } from '../formats/edit.ts'
import { readYaml } from '../formats/yaml.ts'
import type { Flag } from './command-line.ts'
import { isTemporary, isUnderHome, logicalPath } from './paths.ts'
import type { Flags } from './prometheus-flags.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import type { DriverContext, FileIntent, Seen } from './service.ts'
import { hasClientTrust } from './trust.ts'
import { documentIn, isNoTable, tableAt, textAt, valueAt, type Table } from './values.ts'

type Intent = ServiceTlsOf<'prometheus'>

export const DEFAULT_WEB_CONFIG = '/etc/prometheus/web-config.yml'

/** Where the web configuration is to be. */
export interface WebConfigPlace {
  readonly kind: 'place'
  /** Logical. */
  readonly path: string
  /** Undefined: the flag is right as it is. */
  readonly flagReason: Reason | undefined
  readonly notices: readonly Reason[]
}

export function placeOf(
  flags: Flags,
  seen: Seen,
  context: DriverContext,
): WebConfigPlace | Refusal {
  const flag = flags.webConfig
  if (flag === undefined || flag.value === '') {
    if (flag === undefined ? flags.room === undefined : flag.variable === undefined)
      return notEditable(seen, context)
    const reason = because('flags-required', 'prometheus serves TLS only with a web configuration')
    return { kind: 'place', path: DEFAULT_WEB_CONFIG, flagReason: reason, notices: [] }
  }
  const path = logicalPath(flag.value, context)
  return isAllowed(path)
    ? { kind: 'place', path, flagReason: undefined, notices: [] }
    : movedFrom(path, flag, seen)
}

/** Paths that must be looked at before a place can be decided. */
export function placeInputs(flags: Flags, context: DriverContext): readonly string[] {
  const path = logicalPath(flags.webConfig?.value ?? '', context)
  return path.startsWith('/') ? [path, DEFAULT_WEB_CONFIG] : [DEFAULT_WEB_CONFIG]
}

// A file that says nothing but where the pair is can be replaced by one in a better place. Anything
// else in it, such as passwords, would be lost on the way.
function movedFrom(path: string, flag: Flag, seen: Seen): WebConfigPlace | Refusal {
  const why = isUnderHome(path)
    ? `${path} is under a home directory, which the sandbox of the unit hides`
    : `${path} is not a place that lasts`
  const refuse = (what: string) =>
    refusal('path-not-allowed', `${why}; ${what}, so move it to ${DEFAULT_WEB_CONFIG} by hand`)
  if (flag.variable === undefined) return refuse('--web.config.file cannot be edited there')
  const document = documentIn(path, seen.file(path), readYaml)
  if (document.kind === 'refusal') {
    if (seen.file(path)?.kind === 'text') return refuse('it cannot be parsed')
    // A process that started with it sees something in it that the agent does not.
    if (seen.unit.activeState !== 'inactive' && seen.unit.activeState !== 'failed')
      return refuse('it cannot be seen')
  } else if (Object.keys(document.value).some(key => key !== 'tls_server_config')) {
    return refuse('it has other settings than TLS')
  }
  const code = isUnderHome(path) ? 'guide-home-path' : 'flags-required'
  const notices = [because('guide-leftover', `${path} is no longer used; remove it with its key`)]
  return { kind: 'place', path: DEFAULT_WEB_CONFIG, flagReason: because(code, why), notices }
}

function isAllowed(path: string): boolean {
  return path.startsWith('/') && !isUnderHome(path) && !isTemporary(path)
}

function notEditable(seen: Seen, context: DriverContext): Refusal {
  const { unit } = seen.unit
  const path = context.servicePath(DEFAULT_WEB_CONFIG)
  return refusal(
    'flags-not-editable',
    `ExecStart of ${unit} takes no arguments from an environment file; add --web.config.file=${path} to it`,
  )
}

/** What is to stand in the web configuration. */
export interface WebConfig {
  readonly kind: 'web-config'
  readonly file: FileIntent
  /** The options that a handshake cannot prove, as text. */
  readonly options: string
  readonly hasPasswords: boolean
  readonly notices: readonly Reason[]
}

export interface WebPaths {
  readonly certificate: string
  readonly key: string
  readonly trust: string
}

export function webConfigAt(
  path: string,
  tls: Intent,
  seen: Seen,
  paths: WebPaths,
): WebConfig | Refusal {
  const file = seen.file(path)
  const document =
    file?.kind === 'missing'
      ? ({ kind: 'document', value: {} } as const)
      : documentIn(path, file, readYaml)
  if (document.kind === 'refusal') return document
  if (isNoTable(valueAt(document.value, SERVER)))
    return refusal('config-unexpected', `${path}: ${SERVER} is not a mapping`)
  const server = tableAt(document.value, SERVER)
  const keys = serverKeys(path, tls, server, paths)
  if ('kind' in keys) return keys
  return {
    kind: 'web-config',
    file: {
      kind: 'config',
      path,
      format: 'yaml',
      edits: keys.edits,
      reason: reasonFor(path, server),
      createMode: 0o640,
    },
    options: keys.options,
    hasPasswords: Object.keys(tableAt(document.value, 'basic_auth_users') ?? {}).length > 0,
    notices: leftovers(server),
  }
}

const SERVER = 'tls_server_config'
const INLINE = ['cert', 'key', 'client_ca']
const NAME_OF = { '1.2': 'TLS12', '1.3': 'TLS13' } as const satisfies Record<TlsVersion, string>
const RANK = new Map<ConfigValue | undefined, number>([
  ['TLS10', 0],
  ['TLS11', 1],
  ['TLS12', 2],
  ['TLS13', 3],
])

function serverKeys(
  path: string,
  tls: Intent,
  server: Table | undefined,
  paths: WebPaths,
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
  // Removed before the files are named: prometheus takes one or the other.
  const inline = INLINE.filter(key => valueAt(server, key) !== undefined)
  const client =
    type === undefined
      ? ['client_auth_type', 'client_ca_file'].filter(key => valueAt(server, key) !== undefined)
      : []
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
