// What TLS of the HTTP layer needs from the rest of a node's settings, and what an operator should
// know of them. None of it is edited: passwords concern the whole cluster.

import type { Reason } from '../../../shared/contract/schema.ts'
import { managesTransport, type ServiceTlsOf } from '../../../shared/contract/service.ts'
import { isLoopback } from '../addresses.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import { isAtLeast, type Version } from '../version.ts'
import { HTTP_SSL } from './http-ssl.ts'
import { isSingleNode, type NodeSettings } from './node-settings.ts'
import type { Layout } from './ssl-leaves.ts'
import { TRANSPORT_ENABLED } from './transport-ssl.ts'

/** Undefined: nothing is in the way of what is wanted. */
export function obstacleTo(
  tls: ServiceTlsOf<'elasticsearch'>,
  settings: NodeSettings,
  version: Version,
): Refusal | undefined {
  const [argument] = settings.argumentsBelow(HTTP_SSL)
  if (argument !== undefined)
    return refusal(
      'setting-on-command-line',
      `elasticsearch is started with -E ${argument}, which goes before ${settings.file.path}`,
    )
  return tls.tls === 'on'
    ? (withoutSecurity(settings, version) ?? withoutTransport(tls, settings))
    : neededTls(settings)
}

// Before 8.0 security is off unless said otherwise, at least with the free license.
function withoutSecurity(settings: NodeSettings, version: Version): Refusal | undefined {
  const key = 'xpack.security.enabled'
  const isUnsaid = settings.text(key) === undefined
  if (isUnsaid ? isAtLeast(version, '8.0.0') : settings.isOn(key)) return undefined
  return refusal(
    'security-disabled',
    `${settings.file.path} does not say ${key}: true: set up security with its passwords first, TLS follows`,
  )
}

function withoutTransport(
  { options }: ServiceTlsOf<'elasticsearch'>,
  settings: NodeSettings,
): Refusal | undefined {
  if (options.transport !== 'require' || settings.isOn(TRANSPORT_ENABLED)) return undefined
  return refusal(
    'coordinated-change',
    `${settings.file.path} does not switch ${TRANSPORT_ENABLED} on; nodes with and without it do not find each other: have the whole cluster switched with transport: manage, or do it yourself`,
  )
}

// A check at the start of a node that other machines can reach.
function neededTls(settings: NodeSettings): Refusal | undefined {
  const key = 'xpack.security.authc.token.enabled'
  if (!settings.isOn(key) || !settings.isOn(`${HTTP_SSL}.enabled`)) return undefined
  return refusal(
    'plaintext-impossible',
    `${settings.file.path} says ${key}: true, and the token service needs https`,
  )
}

/** A FIPS 140 runtime reads no PKCS#12. */
export function layoutOf(
  { options }: ServiceTlsOf<'elasticsearch'>,
  settings: NodeSettings,
): Layout {
  return isFips(settings) ? 'pem' : options.layout
}

export function noticesOn(
  tls: ServiceTlsOf<'elasticsearch'>,
  settings: NodeSettings,
): readonly Reason[] {
  const { path } = settings.file
  const notices: Reason[] = []
  const isPlain = settings.isOn('xpack.security.enabled') && !settings.isOn(TRANSPORT_ENABLED)
  if (isPlain && !managesTransport(tls) && isMany(settings))
    notices.push(
      because(
        'transport-plaintext',
        `${path} joins a cluster of several nodes without ${TRANSPORT_ENABLED}`,
      ),
    )
  if (tls.tls === 'off') return notices
  if (isFips(settings) && tls.options.layout === 'pkcs12')
    notices.push(because('pem-for-fips', `${path} asks for FIPS 140: key and chain stay PEM files`))
  if (settings.isOn('xpack.security.enrollment.enabled'))
    notices.push(
      because(
        'enrollment-tokens',
        'enrollment tokens of this cluster lead to a CA that has not issued the certificate in use: join nodes and Kibana without a token',
      ),
    )
  return notices
}

function isFips(settings: NodeSettings): boolean {
  return settings.isOn('xpack.security.fips_mode.enabled')
}

function isMany(settings: NodeSettings): boolean {
  if (isSingleNode(settings)) return false
  const others = (settings.list('discovery.seed_hosts') ?? []).filter(
    host => !isLoopback(host.replace(/^\[?([^\]]*?)\]?(?::\d+)?$/, '$1')),
  )
  const masters = settings.list('cluster.initial_master_nodes') ?? []
  return others.length > 0 || masters.length > 1 || settings.file.has('discovery.seed_providers')
}
