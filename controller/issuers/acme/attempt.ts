// One attempt to come from a request to its chain: as far as it gets. What it has reached is saved
// before it goes on, so that the next attempt, or the next process, continues the same order.

import { unreachable } from '../../../shared/assert.ts'
import type { Clock } from '../../../shared/clock.ts'
import { describeError, OperationalError } from '../../../shared/errors.ts'
import { sameSet } from '../../../shared/pki/names.ts'
import type { AcmeDnsRecord, AcmeOrderRecord } from '../../store/acme-store.ts'
import { type Solution, solutionOf } from './challenge.ts'
import type { AcmeClient, Answered, Identifier } from './client.ts'
import type { RunDns } from './dns-program.ts'
import type { HttpChallenges } from './http-challenges.ts'
import type { AccountKey } from './jws.ts'
import type { AuthorizationObject, OrderObject } from './objects.ts'
import { AcmeProblemError, toProblem } from './problem.ts'
import type { AcmeDirectory } from './settings.ts'

export interface AttemptContext {
  readonly directory: AcmeDirectory
  readonly client: AcmeClient
  readonly key: AccountKey
  readonly csr: Uint8Array
  readonly runDns: RunDns
  readonly httpChallenges: Pick<HttpChallenges, 'show' | 'remove'>
  readonly clock: Clock
  readonly signal: AbortSignal
  /** Between two looks, where the directory says nothing else. */
  readonly pollMs: number
  /** Durable when it resolves. */
  readonly save: (order: AcmeOrderRecord) => Promise<void>
  readonly onCleanupFailed: (record: AcmeDnsRecord, error: unknown) => void
}

export type AttemptResult =
  | { readonly kind: 'chain'; readonly chain: string }
  /** Nothing will come of this order any more. */
  | { readonly kind: 'dead'; readonly error: unknown }

/** Throws what kept it from getting further; the order is good for another attempt. */
export async function attemptOrder(
  context: AttemptContext,
  order: AcmeOrderRecord,
): Promise<AttemptResult> {
  const progress: Progress = { context, order, deadlineMs: deadlineOf(context) }
  try {
    return { kind: 'chain', chain: await follow(progress) }
  } catch (error) {
    if (error instanceof OrderIsDead) return { kind: 'dead', error: error.cause }
    throw error
  }
}

/** Removes what records of an order are left; those that could not be removed stay in it. */
export async function removeRecords(
  context: Pick<AttemptContext, 'directory' | 'runDns' | 'signal' | 'save' | 'onCleanupFailed'>,
  order: AcmeOrderRecord,
): Promise<AcmeOrderRecord> {
  const { directory, runDns, signal, save, onCleanupFailed } = context
  const { dns } = directory
  if (order.dnsRecords.length === 0) return order
  const left: AcmeDnsRecord[] = []
  for (const record of order.dnsRecords) {
    // Without a program nobody can remove them, and they prove nothing any more.
    if (dns === undefined) break
    try {
      await runDns(dns, 'cleanup', record, signal)
    } catch (error) {
      if (!signal.aborted) onCleanupFailed(record, error)
      left.push(record)
    }
  }
  const cleaned = { ...order, dnsRecords: left }
  await save(cleaned)
  return cleaned
}

interface Progress {
  readonly context: AttemptContext
  order: AcmeOrderRecord
  readonly deadlineMs: number
}

class OrderIsDead extends Error {}

async function follow(progress: Progress): Promise<string> {
  const { client, csr } = progress.context
  const url = progress.order.orderUrl ?? (await placeOrder(progress))
  let answered = await readOrder(progress, url)
  for (;;) {
    const { value: order, retryAfterMs } = answered
    switch (order.status) {
      case 'pending':
        await solve(progress, order)
        answered = await client.order(url)
        if (answered.value.status === 'pending') await pause(progress, answered.retryAfterMs, url)
        break
      case 'ready':
        // From here on a certificate may exist, and only this order leads to it.
        await saveProgress(progress, { state: 'finalizing' })
        answered = await client.finalize(order.finalize, csr)
        if (answered.value.status === 'ready') await pause(progress, answered.retryAfterMs, url)
        break
      case 'processing':
        await pause(progress, retryAfterMs, url)
        answered = await client.order(url)
        break
      case 'valid':
        if (order.certificate === undefined)
          throw dead(new OperationalError('acme-answer-malformed', `${url} has no certificate`))
        return await client.certificate(order.certificate)
      case 'invalid':
        throw dead(orderProblem(order, url))
      default:
        return unreachable(order.status)
    }
  }
}

async function placeOrder(progress: Progress): Promise<string> {
  const { client, clock } = progress.context
  const { url } = await client.newOrder(identifiersOf(progress.order))
  await saveProgress(progress, { state: 'ordered', orderUrl: url, orderedAtMs: clock.now() })
  return url
}

export function identifiersOf({ names }: Pick<AcmeOrderRecord, 'names'>): readonly Identifier[] {
  return [
    ...names.dns.map(value => ({ type: 'dns' as const, value })),
    ...names.ip.map(value => ({ type: 'ip' as const, value })),
  ]
}

async function readOrder(
  { context: { client }, order }: Progress,
  url: string,
): Promise<Answered<OrderObject>> {
  const answered = await client.order(url).catch((error: unknown) => {
    // Forgotten by the directory, or of an account that we no longer have.
    const isGone = error instanceof AcmeProblemError && GONE.has(error.problem.status)
    throw isGone && error.problem.type !== 'accountDoesNotExist' ? dead(error) : error
  })
  const wanted = identifiersOf(order).map(one => one.value)
  const ordered = answered.value.identifiers.map(one => one.value.toLowerCase())
  if (!sameSet(wanted, ordered))
    throw dead(
      new OperationalError(
        'acme-answer-malformed',
        `the order ${url} is for ${ordered.join(', ')}, not for ${wanted.join(', ')}`,
      ),
    )
  return answered
}

const GONE = new Set([403, 404, 410])

async function solve(progress: Progress, order: OrderObject): Promise<void> {
  const { context } = progress
  const { client, httpChallenges } = context
  const open: { readonly url: string; readonly solution: Solution }[] = []
  for (const url of order.authorizations) {
    const { value } = await client.authorization(url)
    if (value.status === 'valid') continue
    requireNotFailed(value)
    open.push({ url, solution: solutionOf(value, context.key, context.directory) })
  }
  const solutions = open.map(one => one.solution)
  try {
    await present(progress, solutions)
    for (const { challenge } of solutions)
      if (challenge.status === 'pending') await client.respond(challenge.url)
    for (const { url } of open) await validated(progress, url)
  } finally {
    for (const one of solutions) if (one.kind === 'http-01') httpChallenges.remove(one.token)
    // Interrupted, the program could not run; the next process goes on with these records.
    if (!context.signal.aborted) progress.order = await removeRecords(context, progress.order)
  }
}

async function present(progress: Progress, solutions: readonly Solution[]): Promise<void> {
  const { httpChallenges, runDns, directory, signal } = progress.context
  const records = solutions.flatMap(one => (one.kind === 'dns-01' ? [one.record] : []))
  if (records.length > 0)
    await saveProgress(progress, { dnsRecords: union(progress.order.dnsRecords, records) })
  for (const one of solutions)
    if (one.kind === 'http-01') httpChallenges.show(one.token, one.keyAuthorization)
  const { dns } = directory
  if (dns === undefined) return
  for (const record of records) await runDns(dns, 'present', record, signal)
  for (const record of dns.check ? records : []) await runDns(dns, 'check', record, signal)
}

function union(a: readonly AcmeDnsRecord[], b: readonly AcmeDnsRecord[]): readonly AcmeDnsRecord[] {
  const isIn = (one: AcmeDnsRecord) =>
    a.some(other => other.fqdn === one.fqdn && other.value === one.value)
  return [...a, ...b.filter(one => !isIn(one))]
}

async function validated(progress: Progress, url: string): Promise<void> {
  const { client } = progress.context
  for (;;) {
    const { value, retryAfterMs } = await client.authorization(url)
    if (value.status === 'valid') return
    requireNotFailed(value)
    await pause(progress, retryAfterMs, `the validation of ${value.identifier.value}`)
  }
}

function requireNotFailed({ status, identifier, challenges }: AuthorizationObject): void {
  if (status === 'pending' || status === 'valid') return
  const error = challenges.find(one => one.error !== undefined)?.error
  const answer = { status: 0, retryAfterMs: undefined }
  const problem = toProblem(error ?? { detail: `the authorization is ${status}` }, answer)
  throw dead(new AcmeProblemError(`prove control of ${identifier.value}`, problem, 'validation'))
}

function orderProblem({ error }: OrderObject, url: string): AcmeProblemError {
  const answer = { status: 0, retryAfterMs: undefined }
  return new AcmeProblemError(
    `get a certificate by the order ${url}`,
    toProblem(error ?? { detail: 'the order is invalid' }, answer),
  )
}

async function saveProgress(
  progress: Progress,
  change: Partial<Pick<AcmeOrderRecord, 'state' | 'orderUrl' | 'orderedAtMs' | 'dnsRecords'>>,
): Promise<void> {
  const { save, clock } = progress.context
  progress.order = { ...progress.order, ...change, updatedAtMs: clock.now() }
  await save(progress.order)
}

function deadlineOf({ clock, directory }: AttemptContext): number {
  return clock.monotonic() + directory.pollLimitMs
}

async function pause(
  { context, deadlineMs }: Progress,
  retryAfterMs: number | undefined,
  what: string,
): Promise<void> {
  const { clock, signal, pollMs } = context
  const delayMs = Math.max(pollMs, retryAfterMs ?? 0)
  if (clock.monotonic() + delayMs > deadlineMs)
    throw new OperationalError('acme-slow', `the directory is not done with ${what} yet`, {
      retryable: true,
    })
  await clock.sleep(delayMs, signal)
  if (signal.aborted) throw new OperationalError('interrupted', 'interrupted')
}

function dead(cause: unknown): OrderIsDead {
  return new OrderIsDead(describeError(cause), { cause })
}
