// Who connects to a listener and whether it trusts what is served there, by what is desired of the
// whole fleet. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { CertificateClients, ClientTrust } from '../../shared/contract/certificates.ts'
import type { ClientSummary, ContentSummary, TrustedAuthority } from './summary.ts'

/** Nodes whose clients are alike: a fleet has many clients and few kinds of them. */
export interface ClientGroup extends ClientSummary {
  readonly nodes: readonly string[]
}

/** What of a served certificate decides about trust. */
export interface ServedTrust {
  readonly fingerprint: string | undefined
  readonly issuer: string | undefined
  readonly chain: readonly { readonly fingerprint: string; readonly issuer: string }[]
}

// Enough to see who they are; the count says how many.
const NODES_MAX = 20

export function groupClients(
  fleet: Iterable<{ readonly node: string; readonly summary: ContentSummary }>,
): readonly ClientGroup[] {
  const groups = new Map<string, { readonly client: ClientSummary; readonly nodes: string[] }>()
  for (const { node, summary } of fleet)
    for (const client of summary.clients) {
      const group = groups.get(client.key)
      if (group === undefined) groups.set(client.key, { client, nodes: [node] })
      else group.nodes.push(node)
    }
  return [...groups.values()].map(({ client, nodes }) => ({ ...client, nodes }))
}

/** Clients of a service by the names that they know it by. */
export function clientsOf(
  groups: readonly ClientGroup[],
  place: string,
  served: ServedTrust,
): CertificateClients[] {
  return merged(
    groups
      .filter(({ places }) => places.has(place))
      .map(group => ({ ...group, verdict: trustOf(group, served) })),
  )
}

/** Clients that are given a CA certificate to verify with. */
export function holdersOf(
  groups: readonly ClientGroup[],
  fingerprint: string,
): CertificateClients[] {
  return merged(
    groups
      .filter(({ trust }) => trust.some(one => one.fingerprint === fingerprint))
      .map(group => ({ ...group, verdict: useOf(group) })),
  )
}

function trustOf(group: ClientGroup, served: ServedTrust): ClientTrust {
  const use = useOf(group)
  if (use !== 'trusts') return use
  if (group.trust.length === 0) return 'platform'
  return group.trust.some(authority => vouchesFor(authority, served)) ? 'trusts' : 'lacks-issuer'
}

/** What comes of the CA certificates that a client is given. */
function useOf({ verification }: ClientGroup) {
  switch (verification) {
    case 'full':
      return 'trusts'
    case 'insecure':
      return 'insecure'
    case 'leave':
      return 'unmanaged'
    default:
      return unreachable(verification)
  }
}

// By fingerprint and by name: signatures are verified by the handshakes of the node. Our CAs carry a
// part of their serial number in their names, so that two of them never share one.
function vouchesFor({ fingerprint, subject }: TrustedAuthority, served: ServedTrust): boolean {
  return (
    fingerprint === served.fingerprint ||
    subject === served.issuer ||
    served.chain.some(one => one.fingerprint === fingerprint || one.issuer === subject)
  )
}

function merged(
  found: readonly (Pick<ClientGroup, 'service' | 'nodes'> & { readonly verdict: ClientTrust })[],
): CertificateClients[] {
  const byVerdict = Map.groupBy(found, ({ service, verdict }) => `${service} ${verdict}`)
  return [...byVerdict]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, alike]) => {
      const [first] = alike
      const nodes = [...new Set(alike.flatMap(({ nodes: names }) => names))].toSorted()
      if (first === undefined || nodes.length === 0) return []
      const { service, verdict } = first
      return [{ service, trust: verdict, count: nodes.length, nodes: nodes.slice(0, NODES_MAX) }]
    })
}
