// Issuer `acme`: takes the requests of nodes, orders at directories, and settles with what they give.
// One round looks what is due and starts it; the rest is in the store.

import type { Clock } from '../../../shared/clock.ts'
import { backoffMs } from '../../../shared/backoff.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { Logger } from '../../../shared/log.ts'
import type { AcmeOrderRecord } from '../../store/acme-store.ts'
import type { CertificateRequestRecord } from '../../store/requests-store.ts'
import type { Transaction } from '../../store/store.ts'
import { pendingRequests, settleRequest } from '../requests.ts'
import { attemptOrder, removeRecords } from './attempt.ts'
import { runDnsProgram, type RunDns } from './dns-program.ts'
import type { HttpChallenges } from './http-challenges.ts'
import { AcmeProblemError, verdictOf } from './problem.ts'
import { type Blocked, choose, countedSinceMs } from './queue.ts'
import { type AcmeSession, openSession, type SessionContext } from './session.ts'
import type { AcmeDirectory } from './settings.ts'

export interface AcmeIssuerOptions extends SessionContext {
  readonly directories: readonly AcmeDirectory[]
  readonly httpChallenges: Pick<HttpChallenges, 'show' | 'remove'>
  readonly clock: Clock
  readonly log: Logger
  /** A request of this node was settled. */
  readonly onSettled: (node: string) => void
  readonly runDns?: RunDns
  readonly pollMs?: number
}

export interface DirectoryState {
  readonly directory: AcmeDirectory
  readonly blocked: Blocked | undefined
  readonly termsOfService: string | undefined
}

export interface AcmeIssuer {
  /** Starts what is due; resolves when it is started. */
  tick(): Promise<void>
  /** Resolves when nothing is under way. */
  idle(): Promise<void>
  states(): readonly DirectoryState[]
}

const POLL_MS = 2_000
const RETRY_MS_MAX = 3_600_000
const ENDED_KEPT_MS = 24 * 3_600_000

interface Issuer extends AcmeIssuerOptions {
  readonly byName: ReadonlyMap<string, AcmeDirectory>
  readonly running: Map<string, { readonly order: AcmeOrderRecord; readonly done: Promise<void> }>
  readonly sessions: Map<string, Promise<AcmeSession>>
  readonly terms: Map<string, string | undefined>
  readonly blocked: Map<string, Blocked & { readonly failures: number }>
}

export function createAcmeIssuer(options: AcmeIssuerOptions): AcmeIssuer {
  const issuer: Issuer = {
    ...options,
    byName: new Map(options.directories.map(one => [one.name, one])),
    running: new Map(),
    sessions: new Map(),
    terms: new Map(),
    blocked: new Map(),
  }
  return {
    tick: () => tick(issuer),
    async idle() {
      await Promise.all([...issuer.running.values()].map(one => one.done))
    },
    states: () =>
      options.directories.map(directory => ({
        directory,
        blocked: issuer.blocked.get(directory.name),
        termsOfService: issuer.terms.get(directory.name),
      })),
  }
}

async function tick(issuer: Issuer): Promise<void> {
  const { store, clock, signal } = issuer
  if (signal.aborted) return
  const nowMs = clock.now()
  const { start, requests } = await store.transaction(async tx => {
    const pending = await pendingRequests({ nowMs }, tx, 'acme')
    await takeUp(issuer, tx, pending, nowMs)
    await giveUp(issuer, tx, new Set(pending.map(one => one.id)), nowMs)
    await tx.acme.pruneOrders(nowMs - ENDED_KEPT_MS)
    const choice = choose({
      directories: issuer.byName,
      orders: await tx.acme.openOrders(),
      running: [...issuer.running.values()].map(one => one.order),
      blocked: issuer.blocked,
      ordered: await countOrdered(issuer, tx, nowMs),
      nowMs,
    })
    for (const { order, blocked } of choice.held) {
      const next = { nextAttemptAtMs: blocked.untilMs, reason: blocked.reason }
      await tx.acme.putOrder({ ...order, ...next, updatedAtMs: nowMs })
      await tx.requests.note(order.request, blocked.reason)
    }
    return { start: choice.start, requests: new Map(pending.map(one => [one.id, one])) }
  })
  for (const order of start) {
    const done = work(issuer, order, requests.get(order.request)).finally(() =>
      issuer.running.delete(order.request),
    )
    issuer.running.set(order.request, { order, done })
  }
}

/** New requests get an order; one at a directory that is configured no more is told so. */
async function takeUp(
  { byName }: Issuer,
  tx: Transaction,
  pending: readonly CertificateRequestRecord[],
  nowMs: number,
): Promise<void> {
  for (const request of pending) {
    const { id, node, service, names, directory: name = '' } = request
    const directory = byName.get(name)
    if (directory === undefined) {
      if (request.reason?.code !== UNKNOWN) await tx.requests.note(id, unknownDirectory(name))
      continue
    }
    const known = await tx.acme.order(id)
    const isMoved = known !== undefined && known.directoryUrl !== directory.url
    if (known !== undefined && known.state !== 'ended' && !isMoved) continue
    await tx.acme.putOrder({
      request: id,
      directory: name,
      directoryUrl: directory.url,
      node,
      service,
      names,
      state: 'waiting',
      orderUrl: undefined,
      orderedAtMs: known?.orderedAtMs,
      dnsRecords: known?.dnsRecords ?? [],
      attempts: 0,
      nextAttemptAtMs: nowMs,
      reason: undefined,
      updatedAtMs: nowMs,
    })
  }
}

const UNKNOWN = 'acme-directory-unknown'

function unknownDirectory(name: string): Reason {
  const message = `the controller's configuration has no ACME directory ${name}`
  return { code: UNKNOWN, message }
}

/** Orders whose request was settled or withdrawn. What is being worked on ends by itself. */
async function giveUp(
  { running }: Issuer,
  tx: Transaction,
  wanted: ReadonlySet<string>,
  nowMs: number,
): Promise<void> {
  for (const order of await tx.acme.openOrders()) {
    if (order.state === 'ended' || wanted.has(order.request) || running.has(order.request)) continue
    await tx.acme.putOrder(ended(order, nowMs))
  }
}

function ended(order: AcmeOrderRecord, nowMs: number): AcmeOrderRecord {
  const none = { attempts: 0, nextAttemptAtMs: nowMs, reason: undefined }
  return { ...order, ...none, state: 'ended', updatedAtMs: nowMs }
}

async function countOrdered(
  { directories }: Issuer,
  tx: Transaction,
  nowMs: number,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>()
  for (const { name } of directories)
    counts.set(name, await tx.acme.countOrdered(name, countedSinceMs(nowMs)))
  return counts
}

/** Never rejects. */
async function work(
  issuer: Issuer,
  order: AcmeOrderRecord,
  request: CertificateRequestRecord | undefined,
): Promise<void> {
  const { store, log, signal } = issuer
  try {
    if (request === undefined) await clean(issuer, order)
    else await pursue(issuer, order, request)
  } catch (error) {
    if (signal.aborted) return
    try {
      const newest = (await store.transaction(tx => tx.acme.order(order.request))) ?? order
      await fail(issuer, newest, error)
    } catch (unsaved) {
      log.error({ err: unsaved, request: order.request }, 'could not store how an order failed')
    }
  }
}

/** Of an order that has ended: what it had set in the DNS. */
async function clean(issuer: Issuer, order: AcmeOrderRecord): Promise<void> {
  const directory = issuer.byName.get(order.directory)
  if (directory === undefined) return
  const left = await removeRecords({ ...attemptEdges(issuer), directory }, order)
  if (left.dnsRecords.length > 0)
    throw new OperationalError('acme-cleanup-failed', 'records of an order could not be removed')
}

async function pursue(
  issuer: Issuer,
  order: AcmeOrderRecord,
  request: CertificateRequestRecord,
): Promise<void> {
  const { store, clock, log } = issuer
  const directory = issuer.byName.get(order.directory)
  if (directory === undefined) return
  const { client, key } = await session(issuer, directory)
  const csr = derOf(request.csr)
  const edges = { ...attemptEdges(issuer), directory, client, key, csr }
  const result = await attemptOrder(edges, order)
  const newest = (await store.transaction(tx => tx.acme.order(order.request))) ?? order
  if (result.kind === 'dead') {
    const waiting = { ...newest, state: 'waiting' as const, orderUrl: undefined }
    await fail(issuer, waiting, result.error)
    return
  }
  issuer.blocked.delete(directory.name)
  const actor = `acme:${directory.name}`
  const settled = await store.transaction(async tx => {
    const nowMs = clock.now()
    const outcome = await settleRequest({ nowMs, actor }, tx, request.id, { chain: result.chain })
    if (outcome.kind !== 'unfit') await tx.acme.putOrder(ended(newest, nowMs))
    return outcome
  })
  if (settled.kind === 'unfit') {
    // Trust or names may be put right; asking the directory once more would give no other chain.
    const why = settled.reasons.map(one => one.message).join('; ')
    throw new OperationalError('acme-chain-unfit', `what ${directory.name} has signed: ${why}`)
  }
  log.info(
    { node: request.node, service: request.service, directory: directory.name },
    'certificate ordered and signed',
  )
  issuer.onSettled(settled.node)
}

function attemptEdges(issuer: Issuer) {
  const { store, clock, signal, log, httpChallenges, runDns = runDnsProgram } = issuer
  return {
    clock,
    signal,
    httpChallenges,
    runDns,
    pollMs: issuer.pollMs ?? POLL_MS,
    save: (changed: AcmeOrderRecord) => store.transaction(tx => tx.acme.putOrder(changed)),
    onCleanupFailed(record: { readonly fqdn: string }, error: unknown) {
      log.warn({ err: error, fqdn: record.fqdn }, 'an ACME record could not be removed')
    },
  }
}

function session(issuer: Issuer, directory: AcmeDirectory): Promise<AcmeSession> {
  const { name } = directory
  const open = issuer.sessions.get(name)
  if (open !== undefined) return open
  const opening = openSession(issuer, directory).then(opened => {
    issuer.terms.set(name, opened.termsOfService)
    return opened
  })
  issuer.sessions.set(name, opening)
  opening.catch(() => issuer.sessions.delete(name))
  return opening
}

async function fail(issuer: Issuer, order: AcmeOrderRecord, error: unknown): Promise<void> {
  const { store, clock, log } = issuer
  const { request, node, service, directory: name } = order
  const verdict = verdictOf(error)
  const { reason } = verdict
  log.warn({ node, service, directory: name, reason }, 'a certificate could not be ordered')
  const nowMs = clock.now()
  if (verdict.kind === 'refused') {
    const actor = `acme:${name}`
    await store.transaction(async tx => {
      await settleRequest({ nowMs, actor }, tx, request, { refused: reason })
      await tx.acme.putOrder(ended(order, nowMs))
    })
    issuer.onSettled(node)
    return
  }
  const isShared = verdict.scope === 'directory'
  const failures = isShared ? (issuer.blocked.get(name)?.failures ?? 0) : order.attempts
  const nextAttemptAtMs = nowMs + delayMs(issuer, name, failures, verdict.retryAfterMs)
  if (isShared) {
    issuer.blocked.set(name, { untilMs: nextAttemptAtMs, reason, failures: failures + 1 })
    issuer.sessions.delete(name)
  }
  const isLost = error instanceof AcmeProblemError && error.problem.type === 'accountDoesNotExist'
  await store.transaction(async tx => {
    if (isLost) await tx.acme.setAccountUrl(name, order.directoryUrl, undefined)
    const next = { attempts: order.attempts + 1, nextAttemptAtMs, reason, updatedAtMs: nowMs }
    await tx.acme.putOrder({ ...order, ...next })
    await tx.requests.note(request, reason)
  })
}

/** Backoff, but never earlier than the directory asks for. */
function delayMs(
  { byName, random }: Issuer,
  name: string,
  attempt: number,
  retryAfterMs: number | undefined,
): number {
  const baseMs = byName.get(name)?.retryMs ?? RETRY_MS_MAX
  const draw = () => Buffer.from(random(4)).readUInt32BE() / 2 ** 32
  const maxMs = Math.max(baseMs, RETRY_MS_MAX)
  const ownMs = backoffMs({ attempt, baseMs, maxMs, random: draw })
  return Math.ceil(Math.max(ownMs, retryAfterMs ?? 0))
}

function derOf(pem: string): Uint8Array {
  return Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
}
