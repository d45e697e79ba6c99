// Every certificate of a node: what its listeners were seen serving, and the identity of its agent.
// Pure: from the last report, what was issued, and what is desired.

import type { CertificateClients, CertificateView } from '../../shared/contract/certificates.ts'
import type { Mode } from '../../shared/contract/desired-state.ts'
import type { Report, Served, ServiceReport } from '../../shared/contract/report.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import { renewAtMs } from '../../shared/pki/renewal.ts'
import type { IdentityRecord, LeafRecord } from '../store/store.ts'
import { type ChainCertificate, chainOf } from './chain.ts'
import { type ClientGroup, clientsOf, type ServedTrust } from './clients.ts'
import {
  type Dates,
  identityUnrenewed,
  leafUnrenewed,
  type NodePresence,
  type Outlook,
} from './renewal.ts'
import { type Foreignness, servedState, stateOf, unseenState } from './state.ts'
import type { ContentSummary, ServerSummary } from './summary.ts'

export interface InventoryNode {
  readonly node: string
  readonly presence: NodePresence
  readonly desired: { readonly mode: Mode; readonly summary: ContentSummary } | undefined
  readonly report: Pick<Report, 'services'> | undefined
  /** What the controller has issued to the node, in any order. */
  readonly leaves: readonly LeafRecord[]
  readonly identity: Pick<IdentityRecord, 'certificateChain'> | undefined
}

export interface Surroundings extends Outlook {
  readonly groups: readonly ClientGroup[]
  /** Fingerprints of the certificates that the service CA signs with, or has signed with. */
  readonly serviceIssuers: ReadonlySet<string>
}

/** The identity first, then by service, listeners as the node reports them. */
export function nodeCertificates(
  node: InventoryNode,
  surroundings: Surroundings,
): readonly CertificateView[] {
  const { report, desired } = node
  const reported = (report?.services ?? []).map(({ service }) => service)
  const wanted = (desired?.summary.servers ?? []).map(({ service }) => service)
  const services = [...new Set([...reported, ...wanted])].toSorted()
  return [
    ...identityView(node, surroundings),
    ...services.flatMap(service => leafViews(knownOf(node, service), surroundings)),
  ]
}

/** One service with all that is known of its certificate. */
interface Known {
  readonly node: InventoryNode
  readonly service: ServiceName
  readonly server: ServerSummary | undefined
  readonly report: ServiceReport | undefined
  /** Oldest first. */
  readonly issued: readonly LeafRecord[]
}

function knownOf(node: InventoryNode, service: ServiceName): Known {
  const { desired, report, leaves } = node
  return {
    node,
    service,
    server: desired?.summary.servers.find(one => one.service === service),
    report: report?.services.find(one => one.service === service),
    issued: leaves
      .filter(leaf => leaf.service === service)
      .toSorted((a, b) => a.issuedAtMs - b.issuedAtMs),
  }
}

// What serves plaintext, and is to, has no certificate to list.
function leafViews(known: Known, surroundings: Surroundings): readonly CertificateView[] {
  const { server, report } = known
  const isWanted = server?.tls === 'on'
  const listeners = (report?.served ?? []).filter(
    served => served.fingerprint !== undefined || isWanted,
  )
  if (listeners.length === 0) return isWanted ? [unseenView(known, undefined, surroundings)] : []
  return listeners.map(served =>
    served.fingerprint === undefined
      ? unseenView(known, served, surroundings)
      : servedView(known, served, surroundings),
  )
}

function servedView(known: Known, served: Served, surroundings: Surroundings): CertificateView {
  const { server } = known
  const issued = known.issued.find(({ fingerprint }) => fingerprint === served.fingerprint)
  const chain = served.chain ?? (issued === undefined ? [] : aboveLeaf(issued.certificateChain))
  const dates = servedDates(known, served, issued)
  const unrenewed = unrenewedLeaf(known, served, dates, surroundings)
  const foreignness = foreignnessOf(known, { ...served, chain }, { issued, surroundings })
  const { fingerprint, issuer, names } = served
  return {
    ...viewOf(known, served),
    ...servedState(served, foreignness, { dates, unrenewed, nowMs: surroundings.nowMs }),
    ...present({ ...dates, unrenewed, fingerprint, issuer, names, chain }),
    clients: clientsOfServer(server, { fingerprint, issuer, chain }, surroundings),
  }
}

// Who would have to trust it is known, whether they do is not.
function unseenView(
  known: Known,
  served: Served | undefined,
  surroundings: Surroundings,
): CertificateView {
  const dates = expectedDates(known)
  const unrenewed = unrenewedLeaf(known, served, dates, surroundings)
  return {
    ...viewOf(known, served),
    ...unseenState(served, dates, surroundings.nowMs),
    ...present({ ...dates, unrenewed }),
    clients: [],
  }
}

function viewOf({ node, service, server }: Known, served: Served | undefined) {
  return {
    kind: 'listener' as const,
    node: node.node,
    service,
    ...present({ listener: served?.listener, source: server?.issuer }),
  }
}

function unrenewedLeaf(
  { node, server, report }: Known,
  served: Served | undefined,
  dates: Dates,
  surroundings: Surroundings,
) {
  const { presence, desired } = node
  const leaf = { ...dates, server, mode: desired?.mode, presence, report, served }
  return leafUnrenewed(leaf, surroundings)
}

// Of what is served, and not of what should be.
function servedDates(known: Known, served: Served, issued: LeafRecord | undefined): Dates {
  const { report, server } = known
  const notAfterMs = served.notAfterMs ?? issued?.notAfterMs
  if (issued !== undefined && server !== undefined)
    return { notAfterMs, renewAtMs: renewAtMs({ ...issued, ...server }) }
  const isInUse = notAfterMs !== undefined && notAfterMs === report?.notAfterMs
  return { notAfterMs, renewAtMs: isInUse ? report?.renewAtMs : undefined }
}

// Nothing was seen: what the agent says is in use, or what it was given last.
function expectedDates({ report, issued, server }: Known): Dates {
  if (report?.notAfterMs !== undefined)
    return { notAfterMs: report.notAfterMs, renewAtMs: report.renewAtMs }
  const newest = issued.at(-1)
  if (newest === undefined || server?.issuer !== 'internal')
    return { notAfterMs: undefined, renewAtMs: undefined }
  return { notAfterMs: newest.notAfterMs, renewAtMs: renewAtMs({ ...newest, ...server }) }
}

// What was issued to this service is ours, and so is what the agent has taken into use unless it is
// to be from the service CA: of that there would be a record.
function foreignnessOf(
  { server }: Known,
  served: Served & { readonly chain: readonly { readonly fingerprint: string }[] },
  { issued, surroundings }: { issued: LeafRecord | undefined; surroundings: Surroundings },
): Foreignness {
  if (issued !== undefined) return 'ours'
  const [above] = served.chain
  if (above !== undefined && surroundings.serviceIssuers.has(above.fingerprint))
    return 'not-recorded'
  return server?.issuer === 'internal' || served.reason.code === 'served-stale'
    ? 'not-ours'
    : 'ours'
}

function clientsOfServer(
  server: ServerSummary | undefined,
  served: ServedTrust,
  { groups }: Surroundings,
): CertificateClients[] {
  return server === undefined ? [] : clientsOf(groups, server.place, served)
}

// Part of its life after which an agent renews its identity; agent/identity.ts.
const IDENTITY_RENEWAL = 0.5

function identityView(
  { node, presence, identity }: InventoryNode,
  surroundings: Surroundings,
): readonly CertificateView[] {
  const [leaf, ...above] = identity === undefined ? [] : chainOf(identity.certificateChain)
  if (leaf === undefined) return []
  const { notBeforeMs, notAfterMs, fingerprint, subject, issuer } = leaf
  const renewalMs = Math.floor(notBeforeMs + (notAfterMs - notBeforeMs) * IDENTITY_RENEWAL)
  const dates = { notAfterMs, renewAtMs: renewalMs }
  const unrenewed = identityUnrenewed({ ...dates, presence }, surroundings)
  return [
    {
      kind: 'identity',
      node,
      ...stateOf(dates, unrenewed, surroundings.nowMs),
      ...present({ ...dates, unrenewed, fingerprint, subject, issuer }),
      chain: above.map(issuerFacts),
      clients: [],
    },
  ]
}

function aboveLeaf(chainPem: string) {
  return chainOf(chainPem).slice(1).map(issuerFacts)
}

function issuerFacts({ fingerprint, subject, issuer, notAfterMs }: ChainCertificate) {
  return { fingerprint, subject, issuer, notAfterMs }
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Without the members that are undefined, as the contract has it. */
function present<T extends object>(members: T): Present<T> {
  const kept: Present<T> = {}
  for (const key in members) {
    const value = members[key]
    if (isDefined(value)) kept[key] = value
  }
  return kept
}

function isDefined<V>(value: V): value is Exclude<V, undefined> {
  return value !== undefined
}
