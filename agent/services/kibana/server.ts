// Kibana's own listener: a PEM pair, because its PKCS#12 reader takes RSA and one key only
// (elastic 1.3), with absolute paths.

import { sha256 } from '../../../shared/digest.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
import type { ConfigEdit, ConfigValue } from '../../formats/edit.ts'
import { isOpenable } from '../elastic/authorities.ts'
import { isTrue, textsIn, type FlatSettings } from '../elastic/settings.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import { RELEASE_TOKEN, type DriverContext, type LoadIntent } from '../service.ts'
import { hasClientTrust } from '../trust.ts'
import { isAtLeast, type Version } from '../version.ts'

export interface ServerPart {
  readonly kind: 'server'
  readonly edits: readonly ConfigEdit[]
  readonly loads: readonly LoadIntent[]
  readonly notices: readonly Reason[]
  /** Undefined: nothing is edited for the server. */
  readonly reason: Reason | undefined
}

export interface ServerInput {
  readonly tls: ServiceTlsOf<'kibana'>
  readonly settings: FlatSettings
  readonly version: Version
  /** The process is of this version, and nothing is known to stand in the way of a reload. */
  readonly canHangUp: boolean
  readonly directory: string
  readonly context: DriverContext
}

const NOTHING: ServerPart = { kind: 'server', edits: [], loads: [], notices: [], reason: undefined }

// The first with KB #171823.
const RELOADS_SINCE = '8.11.2'
const WEAK_PROTOCOLS: readonly string[] = ['TLSv1', 'TLSv1.1']

export function serverPart(input: ServerInput): ServerPart | Refusal {
  const { tls } = input
  if (tls.options.server === 'leave') return NOTHING
  return tls.tls === 'on' ? switchedOn(input) : switchedOff(input)
}

function switchedOn(input: ServerInput): ServerPart | Refusal {
  const { tls, settings, version, directory, context } = input
  if (tls.clientAuth !== 'none' && !hasClientTrust(tls))
    return refusal('client-trust-missing', 'client certificates are wanted, but no CA is given')
  const certificate = context.servicePath(`${directory}/current/chain.pem`)
  const key = context.servicePath(`${directory}/current/key.pem`)
  const edits: ConfigEdit[] = [
    edit('server.ssl.enabled', true),
    edit('server.ssl.certificate', certificate),
    edit('server.ssl.key', key),
    // Kibana refuses both kinds at once.
    edit('server.ssl.keystore.path', undefined),
    edit('server.ssl.keystore.password', undefined),
    edit('server.ssl.keyPassphrase', undefined),
    ...protocolEdits(input),
    ...clientAuthEdits(input),
    ...baseUrlEdits(input, 'https'),
  ]
  const options = edits.filter(({ path }) => !PAIR_KEYS.includes(path.join('.')))
  // The CA file of clients is read once, at the start.
  const clientTrust = tls.clientAuth === 'none' ? [] : tls.trust
  return {
    kind: 'server',
    edits,
    loads: [
      {
        name: 'listener',
        value: 'https',
        activation: 'restart',
        provenBy: 'handshake',
        reason: because('listener-on', 'switching TLS on or off needs a new process'),
      },
      {
        name: 'certificate',
        value: RELEASE_TOKEN,
        activation: isAtLeast(version, RELOADS_SINCE) && input.canHangUp ? 'hangup' : 'restart',
        provenBy: 'handshake',
        reason: because('certificate-loaded', 'kibana must serve the active certificate'),
      },
      optionsLoad(options, clientTrust),
    ],
    notices: [],
    reason: reasonFor(settings, certificate, key),
  }
}

const PAIR_KEYS: readonly string[] = ['server.ssl.certificate', 'server.ssl.key']

function switchedOff({ settings, ...input }: ServerInput): ServerPart {
  const edits = [
    // Off is the default: a file that never said otherwise is not touched.
    ...(settings.has('server.ssl.enabled') ? [edit('server.ssl.enabled', false)] : []),
    // Without TLS either would stop the start.
    ...(isDemanding(settings) ? [edit('server.ssl.clientAuthentication', 'none')] : []),
    ...(settings.text('server.protocol') === 'http2' ? [edit('server.protocol', 'http1')] : []),
    ...baseUrlEdits({ settings, ...input }, 'http'),
  ]
  return {
    kind: 'server',
    edits,
    loads: [
      {
        name: 'listener',
        value: 'http',
        activation: 'restart',
        provenBy: 'handshake',
        reason: because('listener-on', 'switching TLS on or off needs a new process'),
      },
      optionsLoad(edits, []),
    ],
    notices: [],
    reason: because('plaintext-required', `${settings.path} is to serve without TLS`),
  }
}

function isDemanding(settings: FlatSettings): boolean {
  const mode = settings.text('server.ssl.clientAuthentication')
  return mode !== undefined && mode !== 'none'
}

function edit(key: string, value: ConfigValue | undefined): ConfigEdit {
  return { path: key.split('.'), value }
}

function optionsLoad(edits: readonly ConfigEdit[], clientTrust: readonly string[]): LoadIntent {
  return {
    name: 'options',
    value: sha256(JSON.stringify([edits, clientTrust])),
    activation: 'restart',
    provenBy: 'ledger',
    reason: because('options-loaded', 'kibana reads its other settings when it starts'),
  }
}

// Up to 8.x TLS 1.1 is allowed by default.
function protocolEdits({ tls, settings, version }: ServerInput): readonly ConfigEdit[] {
  const key = 'server.ssl.supportedProtocols'
  if (tls.minVersion === '1.3') return [edit(key, ['TLSv1.3'])]
  const written = textsIn(settings.value(key)) ?? []
  if (written.length === 0)
    return isAtLeast(version, '9.0.0') ? [] : [edit(key, ['TLSv1.2', 'TLSv1.3'])]
  const strong = written.filter(protocol => !WEAK_PROTOCOLS.includes(protocol))
  return [edit(key, strong.length === 0 ? ['TLSv1.2', 'TLSv1.3'] : [...strong])]
}

function clientAuthEdits({
  tls,
  settings,
  directory,
  context,
}: ServerInput): readonly ConfigEdit[] {
  const key = 'server.ssl.clientAuthentication'
  if (tls.clientAuth === 'none') return settings.has(key) ? [edit(key, 'none')] : []
  return [
    edit(key, tls.clientAuth),
    edit('server.ssl.certificateAuthorities', [context.servicePath(`${directory}/ca.pem`)]),
  ]
}

// Only the scheme: whatever is in front of Kibana has the address that is written there.
function baseUrlEdits({ tls, settings }: ServerInput, scheme: string): readonly ConfigEdit[] {
  const url = settings.text('server.publicBaseUrl')
  if (tls.options.publicBaseUrl === 'leave' || url === undefined) return []
  return [edit('server.publicBaseUrl', url.replace(/^https?:/i, `${scheme}:`))]
}

function reasonFor(settings: FlatSettings, certificate: string, key: string): Reason {
  const { path } = settings
  const pair = ['server.ssl.certificate', 'server.ssl.key']
    .map(name => settings.text(name))
    .filter(text => text !== undefined)
  const broken = pair.find(file => !isOpenable(file))
  if (broken?.startsWith('$') === true)
    return because(
      'guide-variable-path',
      `kibana does not put in the variable of ${broken} in ${path}`,
    )
  if (broken !== undefined)
    return because(
      'guide-relative-path',
      `${broken} in ${path} is looked for in the directory of the process`,
    )
  if (!isTrue(settings.value('server.ssl.enabled')))
    return because('tls-required', `${path} does not switch https on`)
  const foreign = pair.find(file => file !== certificate && file !== key)
  if (foreign !== undefined || settings.has('server.ssl.keystore.path'))
    return because(
      'certificate-path-replaced',
      `${path} named ${foreign ?? settings.text('server.ssl.keystore.path') ?? 'another store'}, which is not kept up to date`,
    )
  return because('tls-settings', `the TLS settings of ${path} follow the desired state`)
}
