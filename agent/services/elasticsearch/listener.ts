// The HTTP listener: where to connect to it from its own node, and what its answers mean.

import { isIP } from 'node:net'
import * as z from 'zod/mini'
import type { Names, Reason } from '../../../shared/contract/schema.ts'
import { managesTransport, type ServiceTlsOf } from '../../../shared/contract/service.ts'
import type { HttpAnswer } from '../../host.ts'
import { connectHost, inUrl, isLoopback, primaryName } from '../addresses.ts'
import { jsonIn } from '../json-in.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { ListenerIntent } from '../service.ts'
import { ALLOCATION } from './allocation.ts'
import { elasticView, MEMBERS_PATH } from './cluster-view.ts'
import { isSingleNode, type NodeSettings } from './node-settings.ts'

const DEFAULT_PORT = 9200
// What it binds to, the setting that counts first.
const HOST_SETTINGS = ['http.bind_host', 'http.host', 'network.bind_host', 'network.host'] as const

// 401 is the proof: it serves, and asks for credentials. 200 and 403 come with an anonymous user.
const HEALTHY = [200, 401, 403]

export function listenerOf(
  tls: ServiceTlsOf<'elasticsearch'>,
  settings: NodeSettings,
): ListenerIntent | Refusal {
  const serverName = primaryName(tls.certificate.names)
  if (serverName === undefined)
    return refusal('names-missing', 'the certificate is to have no name')
  const key = HOST_SETTINGS.find(one => (settings.list(one) ?? []).length > 0)
  const hosts = key === undefined ? ['_local_'] : (settings.list(key) ?? [])
  const host = reachable(hosts, tls.certificate.names)
  if (host === undefined)
    return refusal(
      'listen-address-unclear',
      `${key ?? 'network.host'} of ${settings.file.path} is ${hosts.join(', ')}, and none of the certificate's addresses tells which that is`,
    )
  const port = portOf(settings)
  if (port === undefined)
    return refusal(
      'listen-address-unclear',
      `http.port of ${settings.file.path} is ${settings.text('http.port') ?? 'no port'}`,
    )
  const isOn = tls.tls === 'on'
  const isMember = managesTransport(tls) && !isSingleNode(settings)
  return {
    name: `${isOn ? 'https' : 'http'} ${inUrl(host)}:${port}`,
    host,
    port,
    serverName,
    healthPath: '/',
    healthyStatuses: HEALTHY,
    clientCertificate: isOn && tls.clientAuth === 'required',
    scheme: isOn ? 'https' : 'http',
    ...(isOn ? { advise: isMember ? adviceUnseen : adviceOn, authorized: CLUSTER_HEALTH } : {}),
  }
}

/**
 * A node that has restarted has to find its master and the others again, which only those who may ask
 * can see: without a master the answer is 503. A cluster that is red may have been so before, so that
 * is told and nothing is undone for it.
 */
const CLUSTER_HEALTH = {
  healthPath: '/_cluster/health?master_timeout=2s&timeout=1s&filter_path=status,number_of_nodes',
  // The credentials may be the ones that are wrong; the node serves all the same.
  healthyStatuses: HEALTHY,
  advise: clusterAdvice,
  cluster: { membersPath: MEMBERS_PATH, read: elasticView, absence: ALLOCATION },
}

const Health = z.object({ status: z.string() })

function clusterAdvice({ status, body }: HttpAnswer): readonly Reason[] {
  if (status === 401 || status === 403)
    return [
      because(
        'credentials-refused',
        `elasticsearch answers ${status} to the credentials of this node's configuration`,
      ),
    ]
  const health = Health.safeParse(jsonIn(body))
  if (status !== 200 || !health.success || health.data.status !== 'red') return []
  return [because('cluster-red', 'the cluster is red: shards of some index are not there')]
}

function adviceOn({ status }: { readonly status: number }): readonly Reason[] {
  if (status !== 200) return []
  const message =
    'elasticsearch answers without credentials: security is off or a user is anonymous'
  return [because('open-without-credentials', message)]
}

/** That it serves says nothing of the other nodes, and who is not known is told nothing of them. */
function adviceUnseen(answer: HttpAnswer): readonly Reason[] {
  const message =
    'whether the node has found its cluster is not known: this node has no credentials for elasticsearch'
  return [...adviceOn(answer), because('cluster-unseen', message)]
}

// Of a range it takes the first port that is free, which is the first of all on a node of its own.
function portOf(settings: NodeSettings): number | undefined {
  const [first] = settings.list('http.port') ?? [String(DEFAULT_PORT)]
  const port = Number(/^(\d{1,5})(?:-\d{1,5})?$/.exec(first ?? '')?.[1])
  return port >= 1 && port <= 65_535 ? port : undefined
}

/** The best of several addresses: the one that needs no knowledge of the network. */
function reachable(hosts: readonly string[], names: Names): string | undefined {
  const candidates = hosts.map(host => addressOf(host, names)).filter(one => one !== undefined)
  return candidates.find(isLoopback) ?? candidates[0]
}

// `_site_`, `_global_` and names of interfaces are addresses that only the node itself could tell.
// Those that an operator has recorded for it, which are in the certificate, stand for them.
function addressOf(host: string, names: Names): string | undefined {
  if (host.includes('$')) return undefined
  const special = /^_([^_:]+(?:_[^_:]+)*)(?::(ipv[46]))?_$/.exec(host)
  if (special === null) return connectHost(host.replace(/^\[(.*)\]$/, '$1'))
  const [, what, family] = special
  if (what === 'local') return family === 'ipv6' ? '::1' : '127.0.0.1'
  const own = names.ip.filter(
    ip => !isLoopback(ip) && (family === undefined || `ipv${isIP(ip)}` === family),
  )
  if (what === 'site') return own.find(isSiteLocal)
  return what === 'global' ? own.find(ip => !isSiteLocal(ip)) : own[0]
}

/** As Java's InetAddress.isSiteLocalAddress: RFC 1918, and fec0::/10, but not unique local IPv6. */
function isSiteLocal(ip: string): boolean {
  return isIP(ip) === 4
    ? /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.)/.test(ip)
    : /^fe[c-f]/i.test(ip)
}
