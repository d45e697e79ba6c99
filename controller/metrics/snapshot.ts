// The fleet at one moment, as metrics and webhooks need it. Read when somebody asks and kept for a
// while: no event of the fleet costs anything here, and ten scrapers cost as much as one.

import type { CertificateView } from '../../shared/contract/certificates.ts'
import type { NodeState } from '../../shared/contract/operator-api.ts'
import type { Report } from '../../shared/contract/report.ts'
import type { ApiContext } from '../api/context.ts'
import { createFleetSummaries, type NodeSummary } from '../api/fleet-summaries.ts'
import { inventoryNode, ownAuthorities, surroundingsOf } from '../api/inventory.ts'
import {
  type InventoryNode,
  nodeCertificates,
  type Surroundings,
} from '../certificates/inventory.ts'
import { nodeState } from '../fleet/node-state.ts'
import type { Rollout } from '../rollout/rollout.ts'
import type { Rotation } from '../rotation/rotation.ts'
import type { RequestIssuer } from '../store/requests-store.ts'
import type { NodeRecord, Store, Transaction } from '../store/store.ts'

/** Of a certificate, without its chain and its clients: there are as many as listeners in the fleet. */
export type SnapshotCertificate = Pick<
  CertificateView,
  | 'kind'
  | 'node'
  | 'service'
  | 'listener'
  | 'role'
  | 'authority'
  | 'state'
  | 'reason'
  | 'unrenewed'
  | 'notAfterMs'
  | 'renewAtMs'
  | 'fingerprint'
>

export type SnapshotRollout = Pick<
  Rollout,
  'id' | 'status' | 'toward' | 'reason' | 'startedAtMs' | 'endedAtMs'
>

export interface FleetSnapshot {
  readonly atMs: number
  /** How long it took to read. */
  readonly tookMs: number
  readonly nodes: ReadonlyMap<NodeState, number>
  readonly certificates: readonly SnapshotCertificate[]
  /** Those that have not ended, and the newest of those that have. */
  readonly rollouts: readonly SnapshotRollout[]
  /** The one that has not ended. */
  readonly rotation: Rotation | undefined
  /** How much nodes owe to their clusters. */
  readonly debts: number
  readonly pendingRequests: ReadonlyMap<RequestIssuer, number>
  readonly auditHead: number
  /** Notifications to be delivered, by webhook. */
  readonly outbox: ReadonlyMap<string, number>
}

export interface Snapshots {
  /** Not older than this, or just read; whoever asks meanwhile waits for the same reading. */
  read(maxAgeMs: number): Promise<FleetSnapshot>
}

type Sources = Pick<ApiContext, 'store' | 'clock' | 'presence' | 'authorities'>

export function createSnapshots(sources: Sources): Snapshots {
  const summaries = createFleetSummaries(sources.store)
  let last: FleetSnapshot | undefined
  let reading: Promise<FleetSnapshot> | undefined

  async function readNow(): Promise<FleetSnapshot> {
    const startedMs = sources.clock.monotonic()
    last = await readFleet(sources, await summaries.read(), startedMs)
    return last
  }

  return {
    read(maxAgeMs) {
      // A clock that was set back makes it old, too.
      const isFresh = ({ atMs, tookMs }: FleetSnapshot) =>
        Math.abs(sources.clock.now() - atMs) < Math.max(maxAgeMs, restAfterMs(tookMs))
      if (last !== undefined && isFresh(last)) return Promise.resolve(last)
      reading ??= readNow().finally(() => {
        reading = undefined
      })
      return reading
    },
  }
}

// Whoever asks, looking takes a twentieth of the time at most: 0.5 s of CPU for 2,000 nodes, 2 s for 10,000.
const REST_FACTOR = 20
const REST_MS_MAX = 300_000

function restAfterMs(tookMs: number): number {
  return Math.min(REST_MS_MAX, tookMs * REST_FACTOR)
}

// In one transaction, which keeps polls and reports waiting: 50 nodes take some 10 ms.
const NODES_AT_ONCE = 50
const ROLLOUTS_MAX = 10
const REQUESTS_PAGE = 200

async function readFleet(
  sources: Sources,
  fleet: ReadonlyMap<string, NodeSummary>,
  startedMs: number,
): Promise<FleetSnapshot> {
  const { store, clock } = sources
  const surroundings = surroundingsOf(sources, fleet, false)
  const nodes = new Map<NodeState, number>()
  const certificates = ownAuthorities(sources, fleet, surroundings).map(withoutParts)
  let after: string | undefined
  for (;;) {
    const page = await store.transaction(tx =>
      readNodes(sources, tx, { fleet, surroundings, after }),
    )
    for (const { state, views } of page.nodes) {
      nodes.set(state, (nodes.get(state) ?? 0) + 1)
      certificates.push(...views)
    }
    if (page.last === undefined) break
    after = page.last
  }
  const rest = await store.transaction(async tx => ({
    rollouts: await readRollouts(tx),
    rotation: await tx.rotations.open(),
    auditHead: await tx.audit.head(),
    outbox: await tx.notifications.pending(),
    debts: (await tx.debts.all()).length,
  }))
  const pendingRequests = await countRequests(store)
  const tookMs = clock.monotonic() - startedMs
  return { ...rest, atMs: surroundings.nowMs, tookMs, nodes, certificates, pendingRequests }
}

async function readNodes(
  { presence }: Sources,
  tx: Transaction,
  asked: {
    readonly fleet: ReadonlyMap<string, NodeSummary>
    readonly surroundings: Surroundings
    readonly after: string | undefined
  },
) {
  const { fleet, surroundings, after } = asked
  const page = await tx.nodes.list({
    ...(after === undefined ? {} : { after }),
    limit: NODES_AT_ONCE,
  })
  const nodes = []
  for (const record of page) {
    const report = (await tx.reports.get(record.name))?.report
    const known = { presence, desired: fleet.get(record.name), report }
    const node = await inventoryNode(tx, record, known)
    nodes.push({
      state: await stateOf(tx, record, node, report),
      views: nodeCertificates(node, surroundings).map(withoutParts),
    })
  }
  return { nodes, last: page.length < NODES_AT_ONCE ? undefined : page.at(-1)?.name }
}

async function stateOf(
  tx: Transaction,
  { name }: NodeRecord,
  { presence }: Pick<InventoryNode, 'presence'>,
  report: Report | undefined,
): Promise<NodeState> {
  const { isEnrolled, isOnline, seenAtMs, lock } = presence
  return nodeState({
    enrolled: isEnrolled,
    seen: seenAtMs !== undefined,
    online: isOnline && lock === undefined,
    lock,
    desired: (await tx.desired.get(name))?.state,
    report,
  }).state
}

async function readRollouts(tx: Transaction): Promise<readonly SnapshotRollout[]> {
  const rollouts = new Map<string, SnapshotRollout>()
  for (const one of [
    ...(await tx.rollouts.active()),
    ...(await tx.rollouts.summaries({ limit: ROLLOUTS_MAX })),
  ]) {
    const { id, status, toward, reason, startedAtMs, endedAtMs } = one
    rollouts.set(id, { id, status, toward, reason, startedAtMs, endedAtMs })
  }
  return [...rollouts.values()]
}

async function countRequests(store: Store): Promise<FleetSnapshot['pendingRequests']> {
  const counts = new Map<RequestIssuer, number>([
    ['csr', 0],
    ['acme', 0],
  ])
  let after = 0
  for (;;) {
    const page = await store.transaction(tx =>
      tx.requests.list({ state: 'pending', after, limit: REQUESTS_PAGE }),
    )
    for (const { issuer } of page) counts.set(issuer, (counts.get(issuer) ?? 0) + 1)
    const last = page.at(-1)
    if (last === undefined || page.length < REQUESTS_PAGE) return counts
    after = last.sequence
  }
}

function withoutParts(view: CertificateView): SnapshotCertificate {
  const { chain: _chain, clients: _clients, names: _names, ...kept } = view
  return kept
}

/** How old what a snapshot says may be. */
export const SNAPSHOT_AGE_MS = 30_000
