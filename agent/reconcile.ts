// One pass, read from top to bottom: desired, observe, plan, apply, verify, report. Level, not
// edge: whatever woke it, a pass starts from what is there.

import { digestOf, type Json } from '../shared/digest.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { ServiceName, ServiceTls } from '../shared/contract/service.ts'
import { createAbsences } from './absences.ts'
import { forbiddenBy } from './allowed.ts'
import { type ApplyResult, applyService } from './apply.ts'
import { asRestart, refusedAlone } from './gather.ts'
import { guarded } from './guarded.ts'
import { journalFile, previousDirectory, secretsDirectory } from './journal.ts'
import {
  EMPTY_LEDGER,
  type Ledger,
  type ServiceEntry,
  entryOf,
  ledgerFile,
  withEntry,
} from './ledger.ts'
import { mendedTo } from './mended.ts'
import { createObserver } from './observe.ts'
import { inputDigests, type LoadedWith } from './owed.ts'
import {
  type ActionablePlan,
  type PlanInput,
  type ServicePlan,
  isConverged,
  planService,
} from './plan.ts'
import { plannedService } from './plan-digest.ts'
import { logResult } from './log-result.ts'
import { lookRestored, lookServed } from './look-again.ts'
import { removeOldReleases } from './old-releases.ts'
import { createPrepared } from './prepared.ts'
import { createKeptAnswers } from './program-answers.ts'
import type { PassInput, Reconciler, ReconcilerOptions } from './reconciler.ts'
import { reportOfApply, reportOfPlan, withNotices } from './report.ts'
import type { Compiled } from './services/service.ts'
import { stalePlans } from './staleness.ts'
import { whyNoRoom } from './room.ts'
import { createSnapshots } from './snapshots.ts'
import { OWN } from './state-file.ts'
import { prepareSuccessor } from './successor.ts'
import { type Transaction, finishTransaction } from './transaction.ts'

export async function createReconciler(options: ReconcilerOptions): Promise<Reconciler> {
  const { host, log, stateDirectory } = options
  const { files } = host
  const ledgerStore = ledgerFile(files, stateDirectory)
  const journal = journalFile(files, stateDirectory)
  const answers = await createKeptAnswers(files, stateDirectory)
  const live = createObserver(host, options.issuers, options.registry, answers)
  const read = await ledgerStore.read()
  if (read.damage !== undefined) log.warn({ reason: read.damage }, 'ledger was damaged')
  let ledger = read.value ?? EMPTY_LEDGER
  const prepared = createPrepared()
  const absences = await createAbsences({
    ...options,
    observer: live,
    credentials: options.issuers.credentials,
    tell: options.tellDebts,
  })

  const policies = options.snapshots?.policies
  const snapshots = createSnapshots({ ...options, ...NO_SNAPSHOTS, ...options.snapshots })

  // Why a service waits for its certificate, as it was logged: that may go on for days.
  const waitingFor = new Map<ServiceName, string>()

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
    lookServed: entry => lookServed(live, services, entry),
    lookRestored: entry => lookRestored(live, services, entry),
    askAct: options.askAct,
    snapshots,
    absences: {
      leave: ({ service }) => withService(services, service, absences.leave),
      comeBack: ({ service, together }) =>
        withService(services, service, tls => absences.comeBack(tls, together !== undefined)),
    },
    ...(options.onStep === undefined ? {} : { onStep: options.onStep }),
  })

  async function lookAt(
    tls: ServiceTls,
    asked: Parameters<Look>[0],
    entry = entryOf(ledger, tls.service),
  ): Promise<ServicePlan> {
    return planService({
      ...asked,
      observation: await live.observe(tls),
      entry,
      contentDigest: serviceDigest(tls),
      nowMs: nowAtLeast(host.clock.now(), ledger),
      self: OWN,
      policies,
    })
  }

  /** What neither the new state nor the old one worked on counts again once somebody has mended it. */
  async function reconsider(tls: ServiceTls, digest: string): Promise<void> {
    const { service } = tls
    const { held, ...entry } = entryOf(ledger, service)
    if (held?.broken !== true || held.contentDigest !== digest) return
    const plan = await lookAt(tls, {}, entry)
    const nowMs = nowAtLeast(host.clock.now(), ledger)
    const mended = plan.kind === 'actionable' ? mendedTo(plan, held, nowMs) : undefined
    if (mended === undefined) return
    log.info({ service, mended }, 'somebody has mended what was broken')
    const { contentDigest, reason } = held
    const still = mended === 'wanted' ? {} : { held: { contentDigest, reason, broken: false } }
    await updateLedger(old => withEntry(old, service, { ...entry, ...still }))
    await removeCopies()
  }

  async function passService(input: PassInput, tls: ServiceTls): Promise<ServiceReport> {
    const digest = serviceDigest(tls)
    if (input.mode !== 'audit') await reconsider(tls, digest)
    const look: Look = asked => lookAt(tls, asked)
    const wanted = { isRenewalWanted: input.renew?.includes(tls.service) === true }
    let plan = await look(wanted)
    const { issuers } = options
    const { signInternal, mode } = input
    if (await prepareSuccessor({ host, issuers, signInternal, log }, plan, mode)) {
      live.forget(tls.service)
      plan = await look({})
    }
    if (plan.kind === 'blocked' || input.mode === 'audit') return reportOfPlan(plan)
    if (isConverged(plan)) {
      if (!plan.isInactive && input.mode === 'enforce') await recordLoaded(plan, digest)
      return reportOfPlan(plan)
    }
    const isTogether = !plan.hasConverged && input.together?.has(tls.service) === true
    const mayAlone = isTogether || input.isAlone === true
    const alone = mayAlone ? undefined : refusedAlone(plan, input.mode)
    if (alone !== undefined) return reportOfPlan(alone)
    if (isTogether) plan = asRestart(plan)
    const forbidden = forbiddenBy(input.limits, plan)
    if (forbidden !== undefined) return reportOfPlan(forbidden)
    const copied = isTogether && !plan.isInactive ? await snapshots.prepare(plan) : 0
    const noRoom = await whyNoRoom(host.files, plan, stateDirectory, copied)
    if (noRoom !== undefined) return { ...reportOfPlan(plan), outcome: 'waiting', reason: noRoom }
    const known = await recall(input, plan)
    if (known !== undefined) return known
    const result = await applyPlan(input, plan)
    if ('isUncertified' in result && result.isUncertified === true) {
      prepared.forget(tls.service)
      return keepUp(input, plan, result, look)
    }
    // A wish that waits for its lease is still one.
    const after = await look(result.kind === 'waiting' ? wanted : {})
    const report = reportOfApply(plan, result, after)
    prepared.note(plan, after, result, report)
    return report
  }

  /** The report of before, where it is prepared already and nothing has changed since. */
  function recall(input: PassInput, plan: ActionablePlan): Promise<ServiceReport | undefined> {
    const standing = input.mode === 'stage' || plan.isInactive ? 'staged' : 'held'
    return prepared.recall(plan, standing, () => input.claim(plan))
  }

  async function applyPlan(input: PassInput, plan: ActionablePlan): Promise<ApplyResult> {
    const { service } = plan
    const changes = plan.changes.map(change => change.summary)
    const isWaiting = waitingFor.has(service)
    log[isWaiting ? 'debug' : 'info']({ service, changes, activation: plan.owed.verb }, 'applying')
    const tools = {
      host,
      issuers: options.issuers,
      signInternal: input.signInternal,
      fetchProvided: input.fetchProvided,
      journal,
      stateDirectory,
      transaction: transactionFor(input.services),
      claim: input.claim,
      together: plan.hasConverged ? undefined : input.together?.get(service),
      signal: input.signal,
    }
    const result = await applyService(tools, plan, input.mode, entryOf(ledger, service))
    await settle(service, result, plan, input)
    const isPending = result.kind === 'waiting' && result.isUncertified === true
    if (!isPending || waitingFor.get(service) !== result.reason.message)
      logResult(log, service, result)
    if (isPending) waitingFor.set(service, result.reason.message)
    else waitingFor.delete(service)
    return result
  }

  /** There is no new certificate to be had now: what converged with the one in use is kept as it is. */
  async function keepUp(
    input: PassInput,
    plan: ActionablePlan,
    result: ApplyResult,
    look: Look,
  ): Promise<ServiceReport> {
    const kept = await look({ isUncertified: true })
    const report = reportOfApply(plan, result, kept)
    const isKept = kept.kind === 'actionable' && kept.material.kind === 'keep'
    if (!isKept || input.mode !== 'enforce' || !kept.hasConverged) return report
    if (isConverged(kept)) {
      if (!kept.isInactive) await recordLoaded(kept, kept.contentDigest)
      return report
    }
    if (forbiddenBy(input.limits, kept) !== undefined) return report
    const known = await recall(input, kept)
    if (known !== undefined) return known
    const healed = await applyPlan(input, kept)
    const after = await look({ isUncertified: true })
    const told = reportOfApply(kept, healed, after)
    prepared.note(kept, after, healed, told)
    if (healed.kind !== 'changed') return told
    return { ...reportOfApply(plan, result, after), activations: healed.activations }
  }

  // s11 and s12: what was proven is written down before the journal is forgotten.
  async function settle(
    service: ServiceName,
    result: ApplyResult,
    plan: ActionablePlan | undefined,
    { isSucceeded = false }: Pick<PassInput, 'isSucceeded'> = {},
  ): Promise<void> {
    live.forget(service)
    if (!('entry' in result)) return
    await updateLedger(old => withEntry(old, service, result.entry))
    // Nothing that goes on from here needs the values.
    await host.files.remove(secretsDirectory(stateDirectory))
    await journal.clear()
    await removeCopies()
    options.onStep?.('s12 gc')
    if (result.kind === 'changed' && plan !== undefined)
      await removeOldReleases(host, plan, { isSucceeded })
  }

  // Where the previous state could not be put back, its copies are for whoever mends it.
  async function removeCopies(): Promise<void> {
    const isBroken = Object.values(ledger.services).some(entry => entry.held?.broken === true)
    if (!isBroken) await host.files.remove(previousDirectory(stateDirectory))
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
        : {
            loaded: { invocationId, inputs: inputDigests(plan.compiled.loads, loadedWith(plan)) },
          }),
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
    settleOthers: absences.settleOthers,
    async resume(services) {
      const found = await journal.read()
      if (found.damage !== undefined) return found.damage
      const entry = found.value
      if (entry === undefined) {
        // A crash before there was a journal, or after it, leaves what nobody asks for again.
        await host.files.remove(secretsDirectory(stateDirectory))
        await removeCopies()
        return undefined
      }
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
      const { services, planned = [] } = input
      const isBound = input.planned !== undefined && input.mode !== 'audit'
      const stale = await stalePlans({
        services: isBound ? services : [],
        planned,
        hasConverged: tls => entryOf(ledger, tls.service).convergedTo === serviceDigest(tls),
        look: tls => lookAt(tls, {}),
      })
      await absences.settle(services)
      const reports: ServiceReport[] = []
      // One after the other: two products of one node are never disturbed together.
      for (const tls of services) {
        const kept = stale?.get(tls.service)
        const work = () => passService(input, tls)
        reports.push(kept === undefined ? await guarded(tls, log, work) : reportOfPlan(kept))
      }
      // Where something was refused, nothing is written.
      if (input.mode === 'enforce' && reports.every(isSettled)) await answers.save()
      return reports.map(report => withNotices(report, absences.noticesOf(report.service)))
    },
    async plan(services) {
      const observer = createObserver(host, options.issuers, options.registry, answers)
      const planOne = (tls: ServiceTls) => async () => {
        const plan = planService({
          observation: await observer.observe(tls),
          entry: unheld(entryOf(ledger, tls.service)),
          contentDigest: serviceDigest(tls),
          nowMs: nowAtLeast(host.clock.now(), ledger),
          self: OWN,
          policies,
        })
        const report = reportOfPlan(plan)
        return plan.kind === 'blocked' ? report : { ...report, planned: plannedService(plan) }
      }
      // Nothing is disturbed, so nobody has to wait for the programs of another service.
      return Promise.all(services.map(tls => guarded(tls, log, planOne(tls))))
    },
  }
}

const NO_SNAPSHOTS = { policies: {}, node: () => 'localhost' }

function isSettled({ outcome }: ServiceReport): boolean {
  return outcome === 'in-sync' || outcome === 'changed'
}

function loadedWith({ release, facts }: ActionablePlan): LoadedWith {
  return { release, storePassword: facts.storePassword?.password }
}

async function withService(
  services: readonly ServiceTls[],
  service: ServiceName,
  tell: (tls: ServiceTls) => Promise<void>,
): Promise<void> {
  const tls = services.find(one => one.service === service)
  if (tls !== undefined) await tell(tls)
}

type Look = (asked: Pick<PlanInput, 'isRenewalWanted' | 'isUncertified'>) => Promise<ServicePlan>

interface Recorded {
  readonly invocationId: string | undefined
  readonly release: string
  readonly digest: string
  readonly entry: ServiceEntry
}

// The same intent is asked for in every pass.
const digests = new WeakMap<ServiceTls, string>()

/** Digest of the intent for one service: what a ledger entry is about. */
export function serviceDigest(tls: ServiceTls): string {
  const known = digests.get(tls) ?? digestOf(asJson(tls))
  digests.set(tls, known)
  return known
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

function asJson(value: object): Json {
  const json: Json = JSON.parse(JSON.stringify(value))
  return json
}
