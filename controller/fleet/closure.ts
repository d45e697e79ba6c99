// Whether every client of the fleet can verify every server, whichever of the two has moved already:
// while a change is under way, and where it stops half-way, each end is on `from` or on `to`. That a
// port speaks plaintext or TLS and never both is announced (windows.ts); a certificate that nobody
// trusts is refused. Elasticsearch's nodes verify each other where TLS between them is ours; else their
// transport layer keeps the certificates that its operators gave it. Pure.

import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import {
  isServer,
  managesTransport,
  type ServerTls,
  type ServiceName,
  type ServiceTls,
  wantsClientUse,
} from '../../shared/contract/service.ts'
import { verificationOf, verifiesWith } from '../../shared/contract/verification.ts'
import { sha256 } from '../../shared/digest.ts'
import { parseCertificate, splitPemCertificates } from '../../shared/pki/pem.ts'

export interface ClosureNode {
  readonly node: string
  /** What it has, and what it is to have. */
  readonly from: DesiredContent | undefined
  readonly to: DesiredContent | undefined
}

/** A CA of the controller: the certificate that signs, and the root that clients are given. */
export interface KnownSigner {
  readonly issuer: string
  readonly root: string
}

type Side = 'from' | 'to'

export interface EdgeEnd {
  readonly node: string
  readonly service: ServiceName
  readonly side: Side
}

/** An edge that does not hold in at least one state that the fleet can be in. */
export interface BrokenEdge {
  readonly client: EdgeEnd
  readonly server: EdgeEnd
  /** `client-certificate`: the server cannot verify what the client shows. */
  readonly what: 'server-certificate' | 'client-certificate'
}

export interface ClosureOptions {
  readonly signers: readonly KnownSigner[]
  /** All of them, or only those between ends on different sides: a fleet that is broken already may be repaired. */
  readonly combinations: 'mixed' | 'all'
  readonly limit?: number
}

const LIMIT_DEFAULT = 20

export function brokenEdges(
  nodes: readonly ClosureNode[],
  { signers, combinations, limit = LIMIT_DEFAULT }: ClosureOptions,
): readonly BrokenEdge[] {
  const rootOf = new Map(signers.map(({ issuer, root }) => [issuer, root]))
  const servers = serversByName(nodes, rootOf)
  const broken: BrokenEdge[] = [...brokenPeers(servers, combinations)].slice(0, limit)
  const seen = new Set<string>()
  for (const client of clientsOf(nodes))
    for (const server of reachedBy(client, servers)) {
      // One process is on one side.
      const isSelf = client.node === server.node && client.tls.service === server.tls.service
      if (isSelf && client.side !== server.side) continue
      if (combinations === 'mixed' && client.side === server.side) continue
      if (combinations === 'mixed' && wasBroken(client, server)) continue
      const what = breach(client, server)
      const key = `${client.node} ${client.tls.service} ${server.node} ${server.tls.service} ${what}`
      if (what === undefined || seen.has(key)) continue
      seen.add(key)
      broken.push({ client: endOf(client), server: endOf(server), what })
      if (broken.length >= limit) return broken
    }
  return broken
}

// Two of a kind stand for all others: one node is not on both sides at once.
const ALIKE_MAX = 2

/**
 * Each node of Elasticsearch is client and server of the others, by one certificate and one trust. Which
 * of them make a cluster is not known here; their CA is the same in all (TRANSPORT_ISSUERS).
 */
function* brokenPeers(
  servers: ReadonlyMap<string, readonly ServerEnd[]>,
  combinations: ClosureOptions['combinations'],
): Generator<BrokenEdge> {
  const kinds = new Map<string, ServerEnd[]>()
  for (const end of new Set([...servers.values()].flat())) {
    if (!managesTransport(end.tls)) continue
    const key = kindOf(end)
    const alike = kinds.get(key) ?? []
    const isNew = alike.length < ALIKE_MAX && alike.every(one => one.node !== end.node)
    if (isNew) kinds.set(key, [...alike, end])
  }
  const ends = [...kinds.values()].flat()
  for (const client of ends)
    for (const server of ends) {
      if (client.node === server.node) continue
      if (combinations === 'mixed' && client.side === server.side) continue
      if (verifies(fingerprintsOf(client.tls.trust), knownVouchers(server))) continue
      yield { client: endOf(client), server: endOf(server), what: 'server-certificate' }
    }
}

function kindOf({ side, tls, vouchers }: ServerEnd): string {
  const roots = vouchers.kind === 'roots' ? [...vouchers.fingerprints] : [vouchers.kind]
  return [side, ...fingerprintsOf(tls.trust), 'by', ...roots].join(' ')
}

interface End<T extends ServiceTls> {
  readonly node: string
  readonly side: Side
  readonly tls: T
}
type ClientEnd = End<ServiceTls> & { readonly other: ServiceTls | undefined }
type ServerEnd = End<ServerTls> & {
  readonly vouchers: Vouchers
  readonly other: { readonly tls: ServerTls; readonly vouchers: Vouchers } | undefined
  readonly rootOf: ReadonlyMap<string, string>
}

/**
 * By what a certificate is verified: any of these roots, the roots of the platform, or by what only
 * the node itself knows.
 */
type Vouchers =
  | { readonly kind: 'roots'; readonly fingerprints: ReadonlySet<string> }
  | { readonly kind: 'platform' }
  | { readonly kind: 'own' }

function vouchersOf(tls: ServerTls, rootOf: ReadonlyMap<string, string>): Vouchers {
  const { issuer, issuedBy } = tls.certificate
  const signed = issuer === 'internal' && issuedBy !== undefined ? rootOf.get(issuedBy) : undefined
  if (signed !== undefined) return { kind: 'roots', fingerprints: new Set([signed]) }
  const trust = fingerprintsOf(tls.trust)
  if (issuer === 'internal' || issuer === 'local-ca') return { kind: 'roots', fingerprints: trust }
  // In the middle of a rotation our own roots are among those of somebody else.
  const ours = new Set(rootOf.values())
  const theirs = new Set([...trust].filter(one => !ours.has(one)))
  if (theirs.size > 0) return { kind: 'roots', fingerprints: theirs }
  if (issuer === 'self-signed') return { kind: 'own' }
  return trust.size > 0 ? { kind: 'roots', fingerprints: trust } : { kind: 'platform' }
}

function breach(client: ClientEnd, server: ServerEnd): BrokenEdge['what'] | undefined {
  if (verificationOf(client.tls, server.tls.service) === 'full') {
    // Where both know each other they exchange it; nobody trusts one that does not exist yet.
    const vouchers = knownVouchers(server)
    const isUnknown =
      vouchers.kind === 'own' &&
      (client.side === server.side || server.other?.vouchers.kind === 'own')
    if (!isUnknown && !verifies(fingerprintsOf(verifiesWith(client.tls)), vouchers))
      return 'server-certificate'
  }
  // Mutual TLS is two edges.
  const shown = client.tls
  if (server.tls.clientAuth !== 'required' || !isServer(shown) || !isMember(shown)) return undefined
  const vouchers = vouchersOf(shown, server.rootOf)
  return verifies(fingerprintsOf(server.tls.trust), vouchers) ? undefined : 'client-certificate'
}

// A self-signed certificate that one side of a change knows already is served on the other one too.
function knownVouchers({ tls, vouchers, other }: ServerEnd): Vouchers {
  const isSame =
    tls.certificate.issuer === 'self-signed' && other?.tls.certificate.issuer === 'self-signed'
  return isSame && vouchers.kind === 'own' ? other.vouchers : vouchers
}

function verifies(trust: ReadonlySet<string>, vouchers: Vouchers): boolean {
  switch (vouchers.kind) {
    case 'roots':
      return [...vouchers.fingerprints].some(one => trust.has(one))
    case 'platform':
      return trust.size === 0
    case 'own':
      return false
  }
}

// Members of a cluster show their own leaf to each other.
function isMember(tls: ServerTls): boolean {
  const isInflux = tls.service === 'influxdb' || tls.service === 'influxdb-meta'
  return isInflux && wantsClientUse(tls)
}

// What did not work before is not made worse by this change.
function wasBroken(client: ClientEnd, server: ServerEnd): boolean {
  const clientFrom = client.side === 'from' ? client.tls : client.other
  const from =
    server.side === 'from' ? { tls: server.tls, vouchers: server.vouchers } : server.other
  if (clientFrom === undefined || from === undefined || from.tls.tls === 'off') return false
  const { service } = from.tls
  const isMet = clientFrom.upstreams.some(one => one.service === service && one.tls === 'on')
  const before: ClientEnd = { ...client, side: 'from', tls: clientFrom, other: undefined }
  const serverBefore: ServerEnd = { ...server, side: 'from', ...from, other: from }
  return isMet && breach(before, serverBefore) !== undefined
}

function clientsOf(nodes: readonly ClosureNode[]): readonly ClientEnd[] {
  return nodes.flatMap(({ node, from, to }) =>
    SIDES.flatMap(side => {
      const [content, other] = side === 'from' ? [from, to] : [to, from]
      return (content?.services ?? []).map(tls => ({
        node,
        side,
        tls,
        other: other?.services.find(one => one.service === tls.service),
      }))
    }),
  )
}

const SIDES = ['from', 'to'] as const

/** Keys are names that clients know a listener by. */
function serversByName(
  nodes: readonly ClosureNode[],
  rootOf: ReadonlyMap<string, string>,
): ReadonlyMap<string, readonly ServerEnd[]> {
  const servers = new Map<string, ServerEnd[]>()
  for (const { node, from, to } of nodes)
    for (const side of SIDES) {
      const [content, otherContent] = side === 'from' ? [from, to] : [to, from]
      for (const tls of (content?.services ?? []).filter(isServer)) {
        if (tls.tls === 'off') continue
        const found = otherContent?.services.find(one => one.service === tls.service)
        const other =
          found !== undefined && isServer(found)
            ? { tls: found, vouchers: vouchersOf(found, rootOf) }
            : undefined
        const end = { node, side, tls, vouchers: vouchersOf(tls, rootOf), other, rootOf }
        for (const key of keysOf(tls.service, tls.certificate.names)) {
          const list = servers.get(key)
          if (list === undefined) servers.set(key, [end])
          else list.push(end)
        }
      }
    }
  return servers
}

/** Each end once, however many of its names the client knows. Plaintext has nothing to verify. */
function reachedBy(
  { tls }: ClientEnd,
  servers: ReadonlyMap<string, readonly ServerEnd[]>,
): ReadonlySet<ServerEnd> {
  return new Set(
    tls.upstreams
      .filter(upstream => upstream.tls === 'on')
      .filter(upstream => verificationOf(tls, upstream.service) !== 'leave')
      .flatMap(({ service, names }) => keysOf(service, names))
      .flatMap(key => servers.get(key) ?? []),
  )
}

function keysOf(
  service: ServiceName,
  { dns, ip }: { readonly dns: readonly string[]; readonly ip: readonly string[] },
): readonly string[] {
  return [...dns, ...ip].map(name => `${service} ${name}`)
}

function endOf({ node, side, tls }: End<ServiceTls>): EdgeEnd {
  return { node, side, service: tls.service }
}

// The same few bundles are on all nodes; a certificate is parsed once a process.
const known = new Map<string, ReadonlySet<string>>()
const KNOWN_MAX = 256

export function fingerprintsOf(pems: readonly string[]): ReadonlySet<string> {
  const key = pems.join('')
  const cached = known.get(key)
  if (cached !== undefined) return cached
  const found = new Set(
    pems.flatMap(splitPemCertificates).map(pem => sha256(parseCertificate(pem).raw)),
  )
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(key, found)
  return found
}

/** For people: which edge, and what to do. */
export function describeEdge({ client, server, what }: BrokenEdge): string {
  const when =
    client.side === server.side
      ? 'once both have moved'
      : client.side === 'to'
        ? 'once it has moved and the other has not'
        : 'until it has moved itself'
  const [who, whom] = what === 'server-certificate' ? [client, server] : [server, client]
  return `${who.service} on ${who.node} could not verify ${whom.service} on ${whom.node} ${when}: it is not given the CA of that certificate`
}
