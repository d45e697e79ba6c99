// One pass, read from top to bottom: desired, observe, plan, apply, verify, report. Level, not
// edge: whatever woke it, a pass starts from what is there.

import { digestOf, type Json } from '../shared/digest.ts'
import type { Mode } from '../shared/contract/desired-state.ts'
import type { Activation, ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceName, ServiceTls } from '../shared/contract/service.ts'
import type { Logger } from '../shared/log.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import { type ApplyResult, applyService } from './apply.ts'
import type { Host } from './host.ts'
import type { LocalIssuers, SignInternal } from './issuers.ts'
import { type Journal, journalFile } from './journal.ts'
import {
  EMPTY_LEDGER,
  type Ledger,
  type ServiceEntry,
  entryOf,
  ledgerFile,
  withEntry,
} from './ledger.ts'
import { type Observer, createObserver } from './observe.ts'
import { inputDigests } from './owed.ts'
import {
  activationOf,
  type ActionablePlan,
  type ServicePlan,
  isConverged,
  planService,
} from './plan.ts'
import { reportOfApply, reportOfPlan } from './report.ts'
import { releaseDirectory } from './resources/material.ts'
import { judgeServed } from './served.ts'
import type { Compiled } from './services/service.ts'
import { OWN } from './state-file.ts'
import { type Transaction, finishTransaction } from './transaction.ts'

export interface ReconcilerOptions {
  readonly host: Host
  readonly stateDirectory: string
  readonly issuers: LocalIssuers
  readonly log: Logger
  /** Called with the name of each durable step; tests end the process there. */
  readonly onStep?: (step: string) => void
}

export interface PassInput {
  readonly services: readonly ServiceTls[]
  readonly mode: Mode
  readonly signInternal: SignInternal | undefined
  /** See ApplyTools.claim. */
  readonly claim: (plan: ActionablePlan) => Promise<Reason | undefined>
  readonly signal: AbortSignal
  /** What this node's own configuration lets the agent do; everything when absent. */
  readonly allowedActivations?: readonly Activation[]
  /** Services that get a new key and certificate whether or not they are due. */
  readonly renew?: readonly ServiceName[]
}

export interface Reconciler {
  /** The ledger as it is now; kept in memory, written when it changes. */
  readonly ledger: () => Ledger
  updateLedger(change: (ledger: Ledger) => Ledger): Promise<void>
  /** Finishes or undoes what a crash or a stop left in the journal. `services`: the newest desired ones. */
  resume(services: readonly ServiceTls[]): Promise<Reason | undefined>
  pass(input: PassInput): Promise<readonly ServiceReport[]>
  /** Plans without touching anything: audit, previews, `plan`. */
  plan(services: readonly ServiceTls[]): Promise<readonly ServiceReport[]>
  /** Files whose change should wake the loop. */
  watched(): readonly string[]
}

export async function createReconciler(options: ReconcilerOptions): Promise<Reconciler> {
  const { host, log, stateDirectory } = options
  const { files } = host
  const ledgerStore = ledgerFile(files, stateDirectory)
  const journal = journalFile(files, stateDirectory)
  const live = createObserver(host, options.issuers)
  const read = await ledgerStore.read()
  if (read.damage !== undefined) log.warn({ reason: read.damage }, 'ledger was damaged')
  let ledger = read.value ?? EMPTY_LEDGER
  // What was staged, by service: the digest of the plan, and the report of it.
  const staged = new Map<ServiceName, { readonly plan: string; readonly report: ServiceReport }>()

  // What the ledger holds of a converged service, by what it was made from.
  const recorded = new WeakMap<Compiled, Recorded>()

  async function updateLedger(change: (ledger: Ledger) => Ledger): Promise<void> {
    const next = change(ledger)
    if (next === ledger) return
    if (digestOf(asJson(next)) === digestOf(asJson(ledger))) return
    await ledgerStore.write(next)
    ledger = next
  }

  const transactionFor = (services: readonly ServiceTls[]): Transaction => ({
    host,
    journal,
    lookServed: (entry, fingerprint) => lookServed(live, services, entry, fingerprint),
    lookRestored: entry => lookRestored(live, services, entry),
    ...(options.onStep === undefined ? {} : { onStep: options.onStep }),
  })

  async function passService(input: PassInput, tls: ServiceTls): Promise<ServiceReport> {
    const digest = serviceDigest(tls)
    const look = async (isRenewalWanted: boolean): Promise<ServicePlan> =>
      planService({
        isRenewalWanted,
        observation: await live.observe(tls),
        entry: entryOf(ledger, tls.service),
        contentDigest: digest,
        nowMs: nowAtLeast(host.clock.now(), ledger),
        self: OWN,
      })
    const plan = await look(input.renew?.includes(tls.service) === true)
    if (plan.kind === 'blocked' || input.mode === 'audit') return reportOfPlan(plan)
    if (isConverged(plan)) {
      if (!plan.isInactive && input.mode === 'enforce') await recordLoaded(plan, digest)
      return reportOfPlan(plan)
    }
    const forbidden = forbiddenBy(input.allowedActivations, plan)
    if (forbidden !== undefined) return reportOfPlan(forbidden)
    const planned = digestOf(asJson({ digest, changes: plan.changes }))
    const before = staged.get(tls.service)
    // Prepared already, and nothing has changed since.
    const isPrepared = input.mode === 'stage' || plan.isInactive
    if (isPrepared && before?.plan === planned) return before.report
    log.info(
      {
        service: tls.service,
        changes: plan.changes.map(change => change.summary),
        activation: plan.owed.verb,
      },
      'applying',
    )
    const result = await applyService(
      {
        host,
        issuers: options.issuers,
        signInternal: input.signInternal,
        journal,
        stateDirectory,
        transaction: transactionFor(input.services),
        claim: input.claim,
        signal: input.signal,
      },
      plan,
      input.mode,
      entryOf(ledger, tls.service),
    )
    await settle(tls.service, result, plan)
    logResult(log, tls.service, result)
    const after = await look(false)
    const report = reportOfApply(plan, result, after)
    const isPreparedNow = result.kind === 'staged' || (result.kind === 'waiting' && plan.isInactive)
    if (isPreparedNow && after.kind === 'actionable') {
      staged.set(tls.service, {
        plan: digestOf(asJson({ digest, changes: after.changes })),
        report,
      })
    } else staged.delete(tls.service)
    return report
  }

  // s11 and s12: what was proven is written down before the journal is forgotten.
  async function settle(
    service: ServiceName,
    result: ApplyResult,
    plan: ActionablePlan | undefined,
  ): Promise<void> {
    live.forget(service)
    if (!('entry' in result)) return
    await updateLedger(old => withEntry(old, service, result.entry))
    await journal.clear()
    options.onStep?.('s12 gc')
    if (result.kind === 'changed' && plan !== undefined) await removeOldReleases(host, plan)
  }

  async function recordLoaded(plan: ActionablePlan, digest: string): Promise<void> {
    const { invocationId } = plan.unit
    const last = recorded.get(plan.compiled)
    const isSame = last?.invocationId === invocationId && last?.release === plan.release
    if (isSame && last?.digest === digest && last.entry === entryOf(ledger, plan.service)) return
    const entry: ServiceEntry = {
      staleInvocations: [],
      convergedTo: digest,
      ...(invocationId === undefined
        ? {}
        : { loaded: { invocationId, inputs: inputDigests(plan.compiled.loads, plan.release) } }),
    }
    await updateLedger(old => withEntry(old, plan.service, entry))
    recorded.set(plan.compiled, {
      invocationId,
      release: plan.release,
      digest,
      entry: entryOf(ledger, plan.service),
    })
  }

  return {
    ledger: () => ledger,
    updateLedger,
    watched: () => live.watched(),
    async resume(services) {
      const found = await journal.read()
      if (found.damage !== undefined) return found.damage
      const entry = found.value
      if (entry === undefined) return undefined
      log.info({ service: entry.service, step: entry.step }, 'resuming an interrupted change')
      const result = await finishTransaction(
        transactionFor(services),
        entry,
        entryOf(ledger, entry.service),
      )
      await settle(entry.service, result, undefined)
      logResult(log, entry.service, result)
      return result.kind === 'changed' ? undefined : result.reason
    },
    async pass(input) {
      const reports: ServiceReport[] = []
      // One after the other: two products of one node are never disturbed together.
      for (const tls of input.services)
        reports.push(await guarded(tls, log, () => passService(input, tls)))
      return reports
    },
    async plan(services) {
      const observer = createObserver(host, options.issuers)
      const planOne = (tls: ServiceTls) => async () =>
        reportOfPlan(
          planService({
            observation: await observer.observe(tls),
            entry: unheld(entryOf(ledger, tls.service)),
            contentDigest: serviceDigest(tls),
            nowMs: nowAtLeast(host.clock.now(), ledger),
            self: OWN,
          }),
        )
      // Nothing is disturbed, so nobody has to wait for the programs of another service.
      return Promise.all(services.map(tls => guarded(tls, log, planOne(tls))))
    },
  }
}

interface Recorded {
  readonly invocationId: string | undefined
  readonly release: string
  readonly digest: string
  readonly entry: ServiceEntry
}

/** Digest of the intent for one service: what a ledger entry is about. */
export function serviceDigest(tls: ServiceTls): string {
  return digestOf(asJson(tls))
}

// A clock that went back must not make a certificate look unborn, nor a renewal undone.
function nowAtLeast(nowMs: number, ledger: Ledger): number {
  return Math.max(nowMs, ledger.lastSeenMs)
}

// Whoever asks for a plan wants to know what would be done, not that it failed before.
function unheld(entry: ServiceEntry): ServiceEntry {
  const { held: _, ...rest } = entry
  return rest
}

async function guarded(
  tls: ServiceTls,
  log: Logger,
  work: () => Promise<ServiceReport>,
): Promise<ServiceReport> {
  try {
    return await work()
  } catch (error) {
    // A broken edge fails this service and leaves the others to converge.
    if (!(error instanceof OperationalError)) throw error
    log.warn(
      { service: tls.service, code: error.code, error: describeError(error) },
      'service could not be looked after',
    )
    const reason = { code: error.code, message: describeError(error) }
    return reportOfPlan({
      kind: 'blocked',
      service: tls.service,
      outcome: 'failed',
      reason,
      unit: undefined,
      version: undefined,
    })
  }
}

// Said before anything is prepared, so that a rollout ends at its beginning and not half-way.
function forbiddenBy(
  allowed: readonly Activation[] | undefined,
  plan: ActionablePlan,
): ServicePlan | undefined {
  const activation = activationOf(plan.owed)
  if (allowed === undefined || allowed.includes(activation)) return undefined
  const message = `this node's own configuration does not allow a ${activation} of ${plan.unit.unit}`
  return {
    kind: 'blocked',
    service: plan.service,
    outcome: 'unsupported',
    reason: { code: 'activation-not-allowed', message },
    unit: plan.unit,
    version: plan.compiled.version,
  }
}

function logResult(log: Logger, service: ServiceName, result: ApplyResult): void {
  if (result.kind === 'changed') log.info({ service, activations: result.activations }, 'changed')
  else if (result.kind === 'staged' || result.kind === 'waiting')
    log.info({ service, reason: result.reason }, result.kind)
  else log.warn({ service, reason: result.reason }, result.kind)
}

async function lookServed(
  observer: Observer,
  services: readonly ServiceTls[],
  journal: Journal,
  fingerprint: string,
) {
  const tls = services.find(one => one.service === journal.service)
  if (tls === undefined) return undefined
  const observation = await observer.observe(tls)
  const served = observation.kind === 'observed' ? observation.node?.served : undefined
  if (served === undefined)
    return {
      code: 'not-verified',
      message: `what ${journal.service} serves could not be looked at`,
    }
  return served.map(one => judgeServed(one, fingerprint)).find(one => !one.ok)?.reason
}

async function lookRestored(observer: Observer, services: readonly ServiceTls[], journal: Journal) {
  const tls = services.find(one => one.service === journal.service)
  if (tls === undefined) return undefined
  const observation = await observer.observe(tls)
  const served = (observation.kind === 'observed' ? observation.node?.served : undefined) ?? []
  for (const before of journal.servedBefore) {
    if (before.kind === 'unreachable') continue
    const now = served.find(one => one.listener.name === before.listener)?.handshake
    const isSame =
      now?.kind === before.kind && (now.kind !== 'tls' || now.fingerprint === before.fingerprint)
    if (!isSame) {
      return {
        code: 'not-restored',
        message: `${before.listener} does not serve what it served before (${now?.kind ?? 'unknown'})`,
      }
    }
  }
  return undefined
}

// The last two stay: the one in use, and the one before it for whoever still has it open.
async function removeOldReleases(host: Host, plan: ActionablePlan): Promise<void> {
  const { directory } = plan.compiled.material
  const link = await host.files.readLink(`${directory}/current`)
  const keep = new Set([link, plan.facts.material.link])
  for (const id of await host.files.list(`${directory}/releases`)) {
    if (!keep.has(`releases/${id}`)) await host.files.remove(releaseDirectory(directory, id))
  }
}

function asJson(value: object): Json {
  const json: Json = JSON.parse(JSON.stringify(value))
  return json
}
