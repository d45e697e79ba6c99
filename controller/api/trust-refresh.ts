// Gives self-signed certificates to the clients of their listeners. Level, not edge: whatever woke
// it, it compares what nodes have shown with what clients are told, and makes one rollout of what
// differs. It looks at the whole fleet only after a certificate changed, or after something that it
// waited for has happened.

import type { Clock } from '../../shared/clock.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import { inOrder } from '../fleet/edges.ts'
import { isLacking, refreshedContent, type RefreshedContent } from '../fleet/trust-refresh.ts'
import { hasEnded, isFailure } from '../rollout/evolve.ts'
import type { PlannedNode } from '../rollout/rollout.ts'
import type { Runner } from '../rollout/runner.ts'
import type { SelfSignedRecord } from '../store/self-signed-store.ts'
import type { DesiredRecord, Store, Transaction } from '../store/store.ts'
import type { CompiledFleet } from '../fleet/compile.ts'
import { plannedNodes, stepOf } from '../rollout/steps.ts'

export interface TrustRefresh {
  /** What nodes have shown may have changed. */
  wake(): void
  /** One look; cheap when there is nothing to do. */
  look(): Promise<void>
}

export interface TrustRefreshOptions {
  readonly store: Store
  readonly clock: Pick<Clock, 'now'>
  readonly runner: Pick<Runner, 'create'>
  readonly log: {
    info(fields: object, message: string): void
    warn(fields: object, message: string): void
  }
  readonly isOnline: (node: string) => boolean
  /** What this text gives now, problems of nodes that are gone aside. */
  readonly compile: (tx: Transaction, text: string) => Promise<Pick<CompiledFleet, 'nodes'>>
  readonly wakeRunner: () => void
}

export const AUTHOR = 'system'

// What is only to be forgotten goes with the next certificate that is to be given, or after this
// time: every change of trust restarts clients that read it at their start.
const FORGET_AFTER_MS = 3_600_000
// A node that could not take its new content keeps it from the others only once in this time.
const EXCLUDED_MS = 3_600_000
// How often a node that keeps a certificate from being used is looked at.
const BLOCKED_MS = 10_000
const FAILED_MS = 2_000
const FAILED_MS_MAX = 60_000
// Read in one transaction, which keeps polls and reports waiting.
const NODES_AT_ONCE = 50

/** What the next look depends on. */
interface Waits {
  readonly untilMs: number
  readonly blockers: readonly { readonly node: string; readonly record: SelfSignedRecord }[]
  readonly absent: readonly string[]
}

const FOR_NOTHING: Waits = { untilMs: Number.POSITIVE_INFINITY, blockers: [], absent: [] }

interface Difference extends RefreshedContent {
  readonly node: string
  readonly from: string
  readonly revision: number
}

export function createTrustRefresh(options: TrustRefreshOptions): TrustRefresh {
  const { store, clock, runner, log, isOnline } = options
  // After a start everything is looked at once.
  let isDirty = true
  let waits = FOR_NOTHING
  let blockedAtMs = 0
  let last: string | undefined
  let failures = 0
  const excluded = new Map<string, { readonly digest: string; readonly untilMs: number }>()

  async function isTime(nowMs: number): Promise<boolean> {
    if (isDirty || nowMs >= waits.untilMs || waits.absent.some(isOnline)) return true
    if (waits.blockers.length === 0 || nowMs < blockedAtMs + BLOCKED_MS) return false
    blockedAtMs = nowMs
    return store.transaction(async tx => {
      for (const { node, record } of waits.blockers)
        if (!(await lacks(tx, node, record))) return true
      return false
    })
  }

  async function refresh(nowMs: number): Promise<Waits> {
    const records = await store.transaction(tx => tx.selfSigned.list())
    if (records.length === 0) return FOR_NOTHING
    if (last !== undefined) await noteFailures(last, nowMs)
    last = undefined
    const blockers = await release(records, nowMs)
    const differences = await compare()
    const isExcluded = ({ node, digest }: Difference) => {
      const found = excluded.get(node)
      return found?.digest === digest && nowMs < found.untilMs
    }
    const able = differences.filter(one => isOnline(one.node) && !isExcluded(one))
    const absent = differences.filter(one => !isOnline(one.node)).map(({ node }) => node)
    const again = [...excluded.values()].map(({ untilMs }) => untilMs).filter(ms => ms > nowMs)
    const waiting = { untilMs: Math.min(FOR_NOTHING.untilMs, ...again), blockers, absent }

    const revision = Math.max(0, ...able.map(one => one.revision))
    const planned = able.filter(one => one.revision === revision)
    if (planned.length === 0) return waiting
    const isGiving = able.some(({ added, isSwitched }) => added.length > 0 || isSwitched)
    const changedAtMs = Math.max(0, ...records.map(record => record.changedAtMs))
    if (!isGiving && nowMs < changedAtMs + FORGET_AFTER_MS)
      return { ...waiting, untilMs: Math.min(waiting.untilMs, changedAtMs + FORGET_AFTER_MS) }
    await start(revision, planned, reasonFor(planned, records))
    isDirty = true
    return waiting
  }

  /** Certificates that every client holds may be used from now on. What holds up the others, one node each. */
  async function release(records: readonly SelfSignedRecord[], nowMs: number) {
    const open = new Set(records.filter(one => one.next !== undefined && !one.isNextGiven))
    const blockers: { node: string; record: SelfSignedRecord }[] = []
    if (open.size === 0) return blockers
    await eachPage(store, async (tx, nodes) => {
      for (const node of nodes)
        for (const record of open)
          if (await lacks(tx, node, record)) {
            blockers.push({ node, record })
            open.delete(record)
          }
    })
    await store.transaction(async tx => {
      for (const record of open) {
        const now = await tx.selfSigned.get(record.node, record.service)
        // Another one may have been shown meanwhile.
        if (now?.next === record.next && record.current !== undefined)
          await tx.selfSigned.put({ ...record, isNextGiven: true, changedAtMs: nowMs })
      }
    })
    return blockers
  }

  async function compare(): Promise<readonly Difference[]> {
    const differences: Difference[] = []
    const compiled = new Map<number, ReadonlyMap<string, CompiledFleet['nodes'][number]>>()
    await eachPage(store, async (tx, nodes) => {
      for (const node of nodes) {
        const desired = await tx.desired.get(node)
        // What is staged only is an operator's to enforce.
        if (desired?.revision === undefined || desired.state.mode !== 'enforce') continue
        const { revision } = desired
        const fleet = compiled.get(revision) ?? (await compileRevision(tx, revision))
        compiled.set(revision, fleet)
        const difference = differenceOf(node, desired, fleet.get(node)?.content)
        if (difference !== undefined) differences.push({ ...difference, revision })
      }
    })
    return differences
  }

  async function compileRevision(tx: Transaction, revision: number) {
    const text = (await tx.revisions.get(revision))?.text
    const nodes = text === undefined ? [] : (await options.compile(tx, text)).nodes
    return new Map(nodes.map(one => [one.node, one]))
  }

  async function start(
    revision: number,
    differences: readonly Difference[],
    reason: Reason,
  ): Promise<void> {
    const nodes = differences.map(
      ({ node, from, digest, content }): PlannedNode => ({ node, from, to: digest, content }),
    )
    const plan = { revision, author: AUTHOR, nodes: inOrder(nodes) }
    const { id } = await runner.create(plan, AUTHOR, reason)
    last = id
    log.info({ rollout: id, nodes: nodes.length, reason }, 'clients are given certificates')
    options.wakeRunner()
  }

  async function noteFailures(id: string, nowMs: number): Promise<void> {
    const rollout = await store.transaction(tx => tx.rollouts.get(id))
    if (rollout === undefined || !hasEnded(rollout)) return
    for (const { node, to } of plannedNodes(rollout.plan)) {
      const step = stepOf(rollout, node)
      if (step === undefined || !isFailure(step)) continue
      excluded.set(node, { digest: to, untilMs: nowMs + EXCLUDED_MS })
      log.warn(
        { rollout: id, node, reason: step.reason },
        'a client could not be given certificates',
      )
    }
    // One that was stopped as a whole, by an operator for example, is not begun anew at once.
    if (rollout.status === 'aborted')
      for (const { node, to } of plannedNodes(rollout.plan))
        excluded.set(node, { digest: to, untilMs: nowMs + EXCLUDED_MS })
  }

  return {
    wake() {
      isDirty = true
    },
    async look() {
      const nowMs = clock.now()
      if (!(await isTime(nowMs))) return
      isDirty = true
      const isBusy = await store.transaction(
        async tx =>
          (await tx.rollouts.active()).length > 0 || (await tx.rotations.open()) !== undefined,
      )
      if (isBusy) return
      isDirty = false
      try {
        waits = await refresh(nowMs)
        failures = 0
      } catch (error) {
        const pauseMs = Math.min(FAILED_MS_MAX, FAILED_MS * 2 ** failures++)
        waits = { ...FOR_NOTHING, untilMs: nowMs + pauseMs }
        if (!(error instanceof OperationalError)) throw error
        // Somebody has moved a node meanwhile, or the revision does not compile any more.
        log.warn({ code: error.code, error: error.message }, 'trust could not be refreshed')
      }
    },
  }
}

function differenceOf(
  node: string,
  { state }: DesiredRecord,
  compiled: CompiledFleet['nodes'][number]['content'] | undefined,
): Omit<Difference, 'revision'> | undefined {
  if (compiled === undefined) return undefined
  const refreshed = refreshedContent(state.content, compiled)
  return refreshed && { ...refreshed, node, from: state.contentDigest }
}

async function lacks(tx: Transaction, node: string, record: SelfSignedRecord): Promise<boolean> {
  const { service, next } = record
  if (next === undefined) return false
  const state = (await tx.desired.get(node))?.state
  const report = (await tx.reports.get(node))?.report
  return isLacking(state, report, { service, pem: next })
}

async function eachPage(
  store: Store,
  work: (tx: Transaction, nodes: readonly string[]) => Promise<void>,
): Promise<void> {
  let after: string | undefined
  for (;;) {
    const page = { ...(after === undefined ? {} : { after }), limit: NODES_AT_ONCE }
    const names = await store.transaction(async tx => {
      const heads = await tx.desired.heads(page)
      const nodes = heads.map(({ node }) => node)
      await work(tx, nodes)
      return nodes
    })
    after = names.at(-1)
    if (names.length < NODES_AT_ONCE || after === undefined) return
  }
}

// Enough to see whose it is.
const NAMED_MAX = 3

function reasonFor(
  differences: readonly Difference[],
  records: readonly SelfSignedRecord[],
): Reason {
  const added = new Set(differences.flatMap(one => one.added))
  const owners = records
    .filter(({ current, next }) => [current, next].some(pem => pem !== undefined && added.has(pem)))
    .map(({ service, node }) => `${service} on ${node}`)
  if (owners.length === 0)
    return {
      code: 'self-signed-forgotten',
      message: 'self-signed certificates are not served any more',
    }
  const more = owners.length > NAMED_MAX ? ` and ${owners.length - NAMED_MAX} more` : ''
  const named = owners.slice(0, NAMED_MAX).join(', ')
  return {
    code: 'self-signed-given',
    message: `clients are given the certificates of ${named}${more}`,
  }
}
