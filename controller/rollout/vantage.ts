// The second vantage: which looks a rollout needs now, and who makes them. Pure.

import { createHash } from 'node:crypto'
import { isIP } from 'node:net'
import type { ClusterKind } from '../../shared/contract/cluster-view.ts'
import type { ClusterProbe, ListenerProbe } from '../../shared/contract/probes.ts'
import type { Report, Served } from '../../shared/contract/report.ts'
import type { Names } from '../../shared/contract/schema.ts'
import { DEFAULT_PORTS, isServer, type ServiceTls } from '../../shared/contract/service.ts'
import type { PlannedNode, Rollout } from './rollout.ts'

export interface ListenerQuestion {
  readonly target: string
  readonly tls: 'on' | 'off'
  readonly probe: Omit<ListenerProbe, 'probeId'>
  readonly served: Pick<Served, 'listener' | 'fingerprint'>
}

/** The listeners of a node as others reach them; empty: it has none, or no address that means it elsewhere. */
export function listenerQuestions(
  { node, content }: Pick<PlannedNode, 'node' | 'content'>,
  report: Pick<Report, 'services'> | undefined,
): readonly ListenerQuestion[] {
  return content.services.flatMap(tls => {
    const served = report?.services.find(({ service }) => service === tls.service)?.served ?? []
    return served.flatMap(one => questionOf(node, tls, one) ?? [])
  })
}

function questionOf(target: string, tls: ServiceTls, served: Served): ListenerQuestion | undefined {
  if (!isServer(tls)) return undefined
  const { names } = tls.certificate
  const [host, serverName] = [hostIn(names), nameIn(names)]
  const port = served.port ?? DEFAULT_PORTS[tls.service]
  if (host === undefined || serverName === undefined || port === undefined) return undefined
  return {
    target,
    tls: tls.tls,
    served,
    probe: {
      kind: 'listener',
      service: tls.service,
      host,
      port,
      serverName,
      tls: tls.tls,
      clientAuth: tls.tls === 'on' && tls.clientAuth === 'required',
      trust: [...tls.trust],
    },
  }
}

// An address needs nobody to resolve it.
function hostIn({ ip, dns }: Names): string | undefined {
  return ip.find(isElsewhere) ?? dns.find(isElsewhere)
}

function nameIn({ ip, dns }: Names): string | undefined {
  return dns.find(isElsewhere) ?? ip.find(isElsewhere)
}

// What means the asking machine itself, or is no name to connect to.
function isElsewhere(name: string): boolean {
  if (isIP(name) !== 0) return name !== '127.0.0.1' && name !== '::1'
  return name !== 'localhost' && !name.startsWith('*')
}

export interface ClusterQuestion {
  /** Of the group. */
  readonly name: string
  readonly members: readonly string[]
  readonly probe: Omit<ClusterProbe, 'probeId'>
}

/** The clusters that nodes of the current batch are members of. */
export function clusterQuestions({
  plan,
  phaseIndex,
  batchIndex,
}: Rollout): readonly ClusterQuestion[] {
  const nodes = plan.phases[phaseIndex]?.batches[batchIndex]?.nodes ?? []
  return plan.groups.flatMap(({ name, type, members }) => {
    const service = kindOf(type.kind)
    if (service === undefined) return []
    const isMember = nodes.some(
      ({ node, content }) =>
        members.includes(node) && content.services.some(one => one.service === service),
    )
    return isMember ? [{ name, members, probe: { kind: 'cluster', service } }] : []
  })
}

function kindOf(group: string): ClusterKind | undefined {
  if (group === 'raft') return 'influxdb-meta'
  return group === 'master-eligible' ? 'elasticsearch' : undefined
}

export interface Watchers {
  /** Whose agents wait for news at this moment. */
  readonly present: readonly string[]
  /** Nodes that are being changed: they have something else to do. */
  readonly moving: ReadonlySet<string>
}

/**
 * Who looks at a node, best first: members of its groups, then others; never itself. Which of equals,
 * follows from the name, so that the looks are spread and a question that is repeated goes the same way.
 */
export function watchersOf(
  target: string,
  peers: ReadonlySet<string>,
  { present, moving }: Watchers,
): readonly string[] {
  const others = present.filter(node => node !== target)
  const start = others.length === 0 ? 0 : numberOf(target) % others.length
  const turned = [...others.slice(start), ...others.slice(0, start)]
  const rankOf = (node: string) => (moving.has(node) ? 2 : 0) + (peers.has(node) ? 0 : 1)
  return turned.toSorted((a, b) => rankOf(a) - rankOf(b)).slice(0, WATCHERS_MAX)
}

// Whom nobody of these sees, nobody sees.
const WATCHERS_MAX = 3

function numberOf(name: string): number {
  return createHash('sha256').update(name).digest().readUInt32BE(0)
}
