// `xpack.security.http.ssl.*`: which of its settings are ours, and what they should be. Spellings and
// places are the editor's business: of several, the last one counts and is the one that stays.

import type { Reason } from '../../../shared/contract/schema.ts'
import type { ServiceTlsOf } from '../../../shared/contract/service.ts'
import type { ConfigEdit } from '../../formats/edit.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import { hasClientTrust } from '../trust.ts'
import type { NodeSettings } from './node-settings.ts'
import {
  AUTHORITY_LEAVES,
  editOf,
  editsFor,
  keyLeaves,
  type Layout,
  type Leaf,
  loadedFrom,
  OWN_PATHS,
  protocolLeaves,
} from './ssl-leaves.ts'

export const HTTP_SSL = 'xpack.security.http.ssl'

export interface HttpSsl {
  readonly kind: 'http-ssl'
  readonly edits: readonly ConfigEdit[]
  /** What a process reads of it when it starts. */
  readonly loaded: string
  readonly reason: Reason
  readonly notices: readonly Reason[]
}

export interface HttpSslInput {
  readonly tls: ServiceTlsOf<'elasticsearch'>
  readonly settings: NodeSettings
  readonly layout: Layout
}

export function switchedOn(input: HttpSslInput): HttpSsl | Refusal {
  const { tls, settings, layout } = input
  if (tls.clientAuth !== 'none' && !hasClientTrust(tls))
    return refusal('client-trust-missing', 'client certificates are wanted, but no CA is given')
  const layer = { prefix: HTTP_SSL, settings }
  // What is added comes first, so that no table is without a key in between.
  const leaves: readonly Leaf[] = [
    ['enabled', true],
    ...keyLeaves(layer, layout),
    ...(tls.clientAuth === 'none' ? withoutClients(settings) : withClients(input)),
    ...protocolLeaves(layer, tls.minVersion),
  ]
  return {
    kind: 'http-ssl',
    edits: editsFor(layer, leaves),
    loaded: loadedFrom(leaves),
    reason: reasonOf(settings),
    notices: strictnessNotices(input),
  }
}

/**
 * Off is written, because other settings of the layer, secrets included, do not go without it
 * (facts 2(g)). Where nothing of the layer was ever set nothing is written.
 */
export function switchedOff(
  settings: NodeSettings,
  { hasSecrets }: { readonly hasSecrets: boolean },
): HttpSsl {
  const enabled = `${HTTP_SSL}.enabled`
  const isUnsaid = settings.text(enabled) === undefined
  const isNeeded = isUnsaid
    ? hasSecrets || settings.file.has(HTTP_SSL)
    : settings.said(enabled) !== false
  return {
    kind: 'http-ssl',
    edits: isNeeded ? [editOf(HTTP_SSL, ['enabled', false])] : [],
    loaded: '',
    reason: because('plaintext-required', `${settings.file.path} is to serve without TLS`),
    notices: [],
  }
}

function withClients({ tls, settings }: HttpSslInput): readonly Leaf[] {
  const everybody: Leaf = ['verification_mode', undefined]
  return [
    ['client_authentication', tls.clientAuth],
    ...AUTHORITY_LEAVES,
    // With `none` everybody's certificate is good.
    ...(settings.text(`${HTTP_SSL}.verification_mode`) === 'none' ? [everybody] : []),
  ]
}

function withoutClients(settings: NodeSettings): readonly Leaf[] {
  const has = (name: string) => settings.file.has(`${HTTP_SSL}.${name}`)
  const leaves: Leaf[] = []
  if (has('client_authentication')) leaves.push(['client_authentication', 'none'])
  if (has('certificate_authorities') && has('truststore.path'))
    leaves.push(['certificate_authorities', undefined])
  return leaves
}

function strictnessNotices({ tls, settings }: HttpSslInput): readonly Reason[] {
  const written = settings.list(`${HTTP_SSL}.supported_protocols`) ?? []
  if (tls.minVersion === '1.3' || written.join() !== 'TLSv1.3') return []
  const message = `${HTTP_SSL}.supported_protocols in ${settings.file.path} allows TLS 1.3 only`
  return [because('stricter-minimum-kept', message)]
}

// What was there tells why it is changed.

// Of the first start of a package from 8.0 on, and of the guide.
const AUTOCONFIGURED_STORE = 'certs/http.p12'
const GUIDE_STORE = 'http.p12'

function reasonOf(settings: NodeSettings): Reason {
  const { path } = settings.file
  const repeated = ['enabled', 'keystore.path', 'certificate', 'key'].find(name =>
    settings.isRepeated(`${HTTP_SSL}.${name}`),
  )
  if (repeated !== undefined)
    return because(
      'guide-flat-keys',
      `${path} has ${HTTP_SSL}.${repeated} in several spellings, of which only the last one counts`,
    )
  if (!settings.isOn(`${HTTP_SSL}.enabled`))
    return because('tls-required', `${path} does not switch https on`)
  const password = ['keystore.password', 'keystore.key_password', 'key_passphrase'].find(name =>
    settings.file.has(`${HTTP_SSL}.${name}`),
  )
  if (password !== undefined)
    return because('password-in-clear', `${path} holds ${HTTP_SSL}.${password} in clear`)
  const foreign = ['keystore.path', 'certificate', 'key']
    .map(name => settings.text(`${HTTP_SSL}.${name}`))
    .find(file => file !== undefined && !OWN_PATHS.includes(file))
  return foreign === undefined
    ? because('tls-settings', `the TLS settings of ${path} follow the desired state`)
    : because(codeFor(foreign), `${path} named ${foreign}, which is not kept up to date`)
}

function codeFor(foreign: string) {
  if (foreign.endsWith(AUTOCONFIGURED_STORE)) return 'autoconfigured-store'
  return foreign.split('/').at(-1) === GUIDE_STORE ? 'guide-store' : 'certificate-path-replaced'
}
