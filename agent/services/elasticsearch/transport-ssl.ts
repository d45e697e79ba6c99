// `xpack.security.transport.ssl.*`: TLS between the nodes of a cluster, where it is ours (`transport:
// manage`). Its key material is that of the HTTP layer. Nodes with and without it do not find each
// other, so switching it is a change of the whole cluster at once (facts 2(h)).
//
// Who can join: each side accepts what the CAs in ca.pem have issued. Asked for a client certificate, a
// certificate for servers alone is refused, and tlsfleet puts clientAuth into those of services that
// show theirs as clients only. See TRANSPORT_ISSUERS.

import type { Reason } from '../../../shared/contract/schema.ts'
import {
  managesTransport,
  type ServiceTlsOf,
  TRANSPORT_ISSUERS,
} from '../../../shared/contract/service.ts'
import type { ConfigEdit } from '../../formats/edit.ts'
import { isLoopback } from '../addresses.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import { hasClientTrust } from '../trust.ts'
import { isAtLeast, type Version } from '../version.ts'
import { isSingleNode, type NodeSettings } from './node-settings.ts'
import {
  AUTHORITY_LEAVES,
  editsFor,
  isOurs,
  keyLeaves,
  type Layout,
  type Leaf,
  loadedFrom,
  protocolLeaves,
} from './ssl-leaves.ts'

export const TRANSPORT_SSL = 'xpack.security.transport.ssl'
export const TRANSPORT_ENABLED = `${TRANSPORT_SSL}.enabled`

export interface TransportSsl {
  readonly kind: 'transport-ssl'
  /**
   * `left`: not ours, and not asked for. `kept`: asked for, and set up by somebody else. `on`: ours.
   * `off`: ours so far, and taken back.
   */
  readonly state: 'left' | 'kept' | 'on' | 'off'
  readonly edits: readonly ConfigEdit[]
  /** What a process reads of it when it starts. */
  readonly loaded: string
  readonly reason: Reason
  /** Why the edits are for a whole cluster at once. */
  readonly coordinated?: Reason
  readonly notices: readonly Reason[]
}

export interface TransportInput {
  readonly tls: ServiceTlsOf<'elasticsearch'>
  readonly settings: NodeSettings
  readonly layout: Layout
  readonly version: Version
}

export function transportSsl(input: TransportInput): TransportSsl | Refusal {
  const { tls, settings } = input
  const layer = { prefix: TRANSPORT_SSL, settings }
  const isWanted = managesTransport(tls)
  const ours = isOurs(layer)
  if (!isWanted && !ours) return nothing('left', settings, [])
  const isUnclear =
    settings.text(TRANSPORT_ENABLED) !== undefined && settings.said(TRANSPORT_ENABLED) === undefined
  if (isUnclear)
    return refusal(
      'config-unexpected',
      `${settings.file.path}: ${TRANSPORT_ENABLED} is neither true nor false`,
    )
  if (isWanted && settings.isOn(TRANSPORT_ENABLED) && !ours) return kept(settings)
  const [argument] = settings.argumentsBelow(TRANSPORT_SSL)
  if (argument !== undefined)
    return refusal(
      'setting-on-command-line',
      `elasticsearch is started with -E ${argument}, which goes before ${settings.file.path}`,
    )
  return isWanted ? switchedOn(input) : switchedOff(input)
}

function nothing(
  state: 'left' | 'kept',
  settings: NodeSettings,
  notices: readonly Reason[],
): TransportSsl {
  return {
    kind: 'transport-ssl',
    state,
    edits: [],
    loaded: '',
    reason: transportReason(settings),
    notices,
  }
}

function kept(settings: NodeSettings): TransportSsl {
  const message = `${TRANSPORT_SSL} in ${settings.file.path} is set up with other certificates, and stays as it is`
  return nothing('kept', settings, [because('transport-kept', message)])
}

function switchedOn({ tls, settings, layout, version }: TransportInput): TransportSsl | Refusal {
  const { issuer } = tls.certificate
  if (!TRANSPORT_ISSUERS.includes(issuer))
    return refusal(
      'transport-issuer',
      `whoever has a certificate of issuer ${issuer} could join the cluster: transport: manage takes issuer internal only`,
    )
  if (!hasClientTrust(tls))
    return refusal('client-trust-missing', 'nodes are to verify each other, but no CA is given')
  const layer = { prefix: TRANSPORT_SSL, settings }
  const leaves: readonly Leaf[] = [
    ['enabled', true],
    ...keyLeaves(layer, layout),
    ['verification_mode', verificationMode(settings)],
    ['client_authentication', 'required'],
    ...AUTHORITY_LEAVES,
    ...protocolLeaves(layer, tls.minVersion),
  ]
  const isSwitch = !settings.isOn(TRANSPORT_ENABLED)
  const coordinated = isSwitch ? coordinatedReason(settings, 'on') : undefined
  return {
    kind: 'transport-ssl',
    state: 'on',
    edits: editsFor(layer, leaves),
    loaded: loadedFrom(leaves),
    reason: transportReason(settings),
    ...(coordinated === undefined ? {} : { coordinated }),
    notices: isSwitch && !startsInPlaintext(settings, version) ? [noWayBack(settings)] : [],
  }
}

/**
 * `full` compares the address that a node connects to with the names of the *other* node's certificate.
 * Which addresses the others publish is known to none of them, and a single one that is not in its
 * certificate would keep the cluster from forming: so `certificate`, as the product's own setup has it.
 * Who has written `full` knows, and keeps it. The side that is connected to compares no name in either.
 */
function verificationMode(settings: NodeSettings): 'full' | 'certificate' {
  const written = settings.text(`${TRANSPORT_SSL}.verification_mode`)?.toLowerCase()
  return written === 'full' ? 'full' : 'certificate'
}

/** `enabled` is written, because secrets of the layer do not go without it; what named our files goes. */
function switchedOff({ tls, settings, version }: TransportInput): TransportSsl | Refusal {
  const isOn = settings.isOn(TRANSPORT_ENABLED)
  if (tls.tls === 'on' && tls.options.transport === 'require')
    return refusal(
      'transport-managed',
      `${TRANSPORT_SSL} in ${settings.file.path} uses the certificate that tlsfleet renews: transport: manage keeps it so`,
    )
  if (isOn && settings.isOn('xpack.security.enabled') && !startsInPlaintext(settings, version))
    return refusal(
      'plaintext-impossible',
      `elasticsearch ${version.text} with security does not start where others reach it without ${TRANSPORT_ENABLED}`,
    )
  const mode = settings.text(`${TRANSPORT_SSL}.verification_mode`)
  const ownMode: Leaf = ['verification_mode', undefined]
  const gone = ['client_authentication', 'certificate_authorities', ...KEY_NAMES]
  const coordinated = isOn ? coordinatedReason(settings, 'off') : undefined
  return {
    kind: 'transport-ssl',
    state: 'off',
    edits: editsFor({ prefix: TRANSPORT_SSL, settings }, [
      ['enabled', false],
      ...gone.map((name): Leaf => [name, undefined]),
      ...(mode === 'certificate' ? [ownMode] : []),
    ]),
    loaded: '',
    reason: because(
      'plaintext-required',
      `${settings.file.path} is to do without ${TRANSPORT_SSL}`,
    ),
    ...(coordinated === undefined ? {} : { coordinated }),
    notices: [],
  }
}

const KEY_NAMES: readonly string[] = ['keystore.path', 'certificate', 'key']

function transportReason(settings: NodeSettings): Reason {
  return settings.isOn(TRANSPORT_ENABLED)
    ? because('tls-settings', `the TLS settings of ${settings.file.path} follow the desired state`)
    : because('tls-required', `${settings.file.path} does not switch ${TRANSPORT_ENABLED} on`)
}

/** Undefined: a node that is a cluster of its own has nobody to lose. */
function coordinatedReason(settings: NodeSettings, to: 'on' | 'off'): Reason | undefined {
  if (isSingleNode(settings)) return undefined
  return because(
    'coordinated-change',
    `${TRANSPORT_ENABLED} is switched ${to}: nodes with and without it do not find each other, so all nodes of the cluster are stopped, changed and started as a whole, by apply --together GROUP`,
  )
}

// From 8.0 on a check of the start asks for it wherever other machines can reach the transport port;
// before, it depends on the licence.
function startsInPlaintext(settings: NodeSettings, version: Version): boolean {
  if (!isAtLeast(version, '8.0.0')) return true
  if (isSingleNode(settings)) return true
  const hosts = HOST_SETTINGS.map(key => settings.list(key) ?? []).find(list => list.length > 0)
  return (hosts ?? []).every(host => /^_local(?::ipv[46])?_$/.test(host) || isLoopback(host))
}

const HOST_SETTINGS = [
  'transport.bind_host',
  'transport.host',
  'network.bind_host',
  'network.host',
] as const

function noWayBack(settings: NodeSettings): Reason {
  return because(
    'transport-no-way-back',
    `${settings.file.path} switches security on without ${TRANSPORT_ENABLED}, with which this version does not start: what is there now cannot be put back`,
  )
}
