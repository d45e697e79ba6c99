// The listeners of the whole fleet as their clients must know them: where, with TLS or without, and
// which CA certificates vouch for them. Worked out once per compile, shared by all nodes. Pure.

import { unreachable } from '../../shared/assert.ts'
import {
  DEFAULT_PORTS,
  SERVICE_NAMES,
  type ServiceName,
  type Upstream,
} from '../../shared/contract/service.ts'
import type { NodeRecord } from '../store/store.ts'
import { UPSTREAMS_OF } from './edges.ts'
import type { FleetSpec, ServerSettings, ServiceIntent } from './intent.ts'
import { pickedNames } from './node-names.ts'
import { matches } from './selector.ts'
import {
  crowdProblems,
  givenTrust,
  isGiven,
  NONE_KNOWN,
  ownTrust,
  type SelfSignedKnown,
  selfSignedProblems,
  servicesWithClients,
} from './self-signed.ts'
import type { Finding } from './spec-problems.ts'

/** What a client is told of those it connects to. */
export interface UpstreamView {
  readonly upstreams: readonly Upstream[]
  readonly upstreamTrust: readonly string[]
}

export interface FleetListeners {
  /** As seen from a node. */
  seenBy(intent: Pick<ServiceIntent, 'service' | 'tls' | 'options'>, node: string): UpstreamView
  /** Issuer `self-signed`: what the clients of this listener hold of it. */
  ownTrust(service: ServiceName, node: string): readonly string[]
  readonly problems: readonly Finding[]
}

const NOTHING = { upstreams: [], upstreamTrust: [] }

export const NO_LISTENERS: FleetListeners = {
  seenBy: () => NOTHING,
  ownTrust: () => [],
  problems: [],
}

/** A listener and the node that it is on. */
interface Listener {
  readonly node: string
  readonly upstream: Upstream
  readonly isSelfSigned: boolean
}

// The same object for everybody but its own node: a fleet has many clients.
function seenFrom(node: string, { node: own, upstream }: Listener): Upstream {
  return node === own ? { ...upstream, isLocal: true } : upstream
}

type ListeningNode = Pick<NodeRecord, 'name' | 'labels' | 'names'>

export function listenersOf(
  spec: FleetSpec,
  nodes: readonly ListeningNode[],
  ca: TrustedCas,
  known: SelfSignedKnown = NONE_KNOWN,
): FleetListeners {
  const byService = new Map(
    SERVICE_NAMES.map(service => [service, listenersOfService(service, spec, nodes)]),
  )
  const trustOf = new Map(
    SERVICE_NAMES.map(service => [service, trustOfService(service, spec, ca)]),
  )
  const withClients = servicesWithClients(spec)
  const views = new Map<string, UpstreamView & { readonly listeners: readonly Listener[] }>()
  const viewOf = (intent: Parameters<FleetListeners['seenBy']>[0]) => {
    const given = UPSTREAMS_OF[intent.service].filter(one => isGiven(intent, one))
    const key = [intent.service, ...given].join(' ')
    const found = views.get(key)
    if (found !== undefined) return found
    const listeners = UPSTREAMS_OF[intent.service].flatMap(one =>
      (byService.get(one) ?? []).map(listener =>
        given.includes(one) ? asKnown(listener, known) : listener,
      ),
    )
    const leaves = given.flatMap(one => leavesOf(byService.get(one) ?? [], known))
    const cas = UPSTREAMS_OF[intent.service].flatMap(one => trustOf.get(one) ?? [])
    const upstreamTrust = [...new Set([...cas, ...leaves])]
    const view = { listeners, upstreams: listeners.map(({ upstream }) => upstream), upstreamTrust }
    views.set(key, view)
    return view
  }
  const counts = new Map(
    [...byService].map(([service, all]) => [service, all.filter(isTrustedByItself).length]),
  )
  return {
    seenBy: (intent, node) => {
      const { listeners, upstreamTrust } = viewOf(intent)
      return { upstreams: listeners.map(one => seenFrom(node, one)), upstreamTrust }
    },
    ownTrust: (service, node) => (withClients.has(service) ? ownTrust(known(node, service)) : []),
    problems: spec.services.flatMap((intent, index) => [
      ...clientProblems(intent, index, spec),
      ...crowdProblems(intent, index, counts),
    ]),
  }
}

function isTrustedByItself({ isSelfSigned, upstream }: Listener): boolean {
  return isSelfSigned && upstream.tls === 'on'
}

// What nobody has shown its certificate to cannot be verified: until then it is as if it spoke plaintext.
function asKnown(listener: Listener, known: SelfSignedKnown): Listener {
  const { node, upstream } = listener
  if (!isTrustedByItself(listener) || known(node, upstream.service)?.current !== undefined)
    return listener
  return { ...listener, upstream: { ...upstream, tls: 'off' } }
}

function leavesOf(listeners: readonly Listener[], known: SelfSignedKnown): readonly string[] {
  return listeners
    .filter(isTrustedByItself)
    .flatMap(({ node, upstream }) => givenTrust(known(node, upstream.service)))
}

/** By service: CA certificates, PEM, of the issuers before and after a change. */
export type ExtraTrust = ReadonlyMap<ServiceName, readonly string[]>

interface TrustedCas {
  readonly trust: readonly string[]
  readonly extraTrust?: ExtraTrust
}

/** As `trustFor`, in the middle of a change of issuer too: always in one order, so that equal trust is equal text. */
export function trustedFor(
  service: ServiceName,
  server: ServerSettings,
  { trust, extraTrust }: TrustedCas,
): readonly string[] {
  const own = trustFor(server, trust)
  const extra = extraTrust?.get(service)
  return extra === undefined ? own : [...new Set([...extra, ...own])]
}

/** CA certificates that clients of a listener must trust; empty: the roots of the platform, or its own certificate. */
export function trustFor(server: ServerSettings, caTrust: readonly string[]): readonly string[] {
  switch (server.issuer) {
    case 'internal':
      return caTrust
    case 'acme':
    case 'csr':
    case 'files':
    case 'provided':
      return server.trust
    case 'self-signed':
      return []
    default:
      return unreachable(server.issuer)
  }
}

function listenersOfService(
  service: ServiceName,
  spec: FleetSpec,
  nodes: readonly ListeningNode[],
): readonly Listener[] {
  return spec.services
    .filter(intent => intent.service === service && isServed(intent))
    .flatMap(intent => {
      const port = intent.server?.port ?? DEFAULT_PORTS[service]
      if (port === undefined) return []
      return nodes
        .filter(node => matches(node, intent.nodes))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1))
        .map(node => {
          // The names that its certificate carries, which may be a part of those recorded.
          const names = pickedNames(intent.server?.names, node.names)
          const upstream = { service, names, port, tls: intent.tls }
          const isSelfSigned = intent.server?.issuer === 'self-signed'
          return { node: node.name, upstream, isSelfSigned }
        })
    })
}

// A Kibana whose server is left alone speaks what its operator wants.
function isServed({ server, options }: ServiceIntent): boolean {
  const isLeft = options !== undefined && 'server' in options && options.server === 'leave'
  return server !== undefined && !isLeft
}

/** CA certificates of all listeners of a service. */
export function trustOfService(
  service: ServiceName,
  spec: FleetSpec,
  ca: TrustedCas,
): readonly string[] {
  return spec.services
    .filter(intent => intent.service === service && intent.tls === 'on')
    .flatMap(({ server }) => (server === undefined ? [] : trustedFor(service, server, ca)))
}

// Said when the spec is checked, and not by a client that has lost its server.
function clientProblems(intent: ServiceIntent, index: number, spec: FleetSpec): readonly Finding[] {
  return [...selfSignedProblems(intent, index, spec), ...clientPairProblems(intent, index, spec)]
}

// Meta nodes that demand client certificates get one only from data nodes whose entry says so too.
function clientPairProblems(
  { service, options = {}, server }: ServiceIntent,
  index: number,
  spec: FleetSpec,
): readonly Finding[] {
  const connects = service === 'influxdb' && 'meta' in options && options.meta?.startsWith('tls')
  if (connects !== true || server?.clientAuth !== 'none') return []
  const isDemanded = spec.services.some(
    other => other.service === 'influxdb-meta' && other.server?.clientAuth === 'required',
  )
  if (!isDemanded) return []
  const message =
    'influxdb-meta demands client certificates: set clientAuth for influxdb as well, so that its nodes get one'
  return [{ path: ['services', index, 'service'], message }]
}
