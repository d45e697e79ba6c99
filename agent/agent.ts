// The daemon: wakes, passes, reports. One loop owns everything that changes; watchers, timers, the
// poll and the local socket only wake it.

import { backoffMs, jittered } from '../shared/backoff.ts'
import type { DesiredAnswer, PreviewRequest } from '../shared/contract/agent-api.ts'
import { type Report, type ServiceReport, parseReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceName, ServiceTls } from '../shared/contract/service.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import type { Allowance } from './config.ts'
import { type Accepted, acceptDesired, acceptedFile } from './desired.ts'
import type { Host } from './host.ts'
import {
  identityRenewalAtMs,
  isForKey,
  newIdentityKey,
  proveServiceKey,
  storeIdentity,
} from './identity.ts'
import type { LocalIssuers } from './issuers.ts'
import { type ActionablePlan, activationOf } from './plan.ts'
import { createReporter, pollDesired } from './poll.ts'
import { createReconciler } from './reconcile.ts'
import { reportDigest } from './report.ts'
import type { Identity, Remote } from './remote.ts'
import { stateFile } from './state-file.ts'
import type { Wake } from './wake.ts'

export interface AgentOptions {
  readonly host: Host
  readonly stateDirectory: string
  readonly issuers: LocalIssuers
  readonly allow: Allowance
  readonly intervalMs: number
  readonly identity: Identity
  readonly connect: (identity: Identity) => Remote
  readonly wake: Wake
  /** Tells the service manager that the loop is alive; called by the loop only. */
  readonly heartbeat: () => void
  readonly heartbeatMs: number
  readonly onReady: () => void
  /** Files to be watched from now on. */
  readonly watch: (paths: readonly string[]) => void
  /** A burst of work has ended: a good moment to give memory back. */
  readonly onIdle: () => void
  readonly facts: Readonly<Record<string, string>>
  readonly agentVersion: string
  readonly log: Logger
  readonly random: () => number
  readonly onStep?: (step: string) => void
}

/** What the local command line may ask of a running agent. */
export interface AgentControl {
  status(): AgentStatus
  plan(): Promise<readonly ServiceReport[]>
  /** Forgets what is held back, and passes now. */
  apply(): Promise<readonly ServiceReport[]>
  /** A new key and certificate for these services, now. */
  renew(services: readonly ServiceName[]): Promise<readonly ServiceReport[]>
}

export interface AgentStatus {
  readonly node: string
  readonly fleet: string
  readonly controller: string
  readonly generation: number | undefined
  readonly mode: string | undefined
  readonly lastPassAtMs: number | undefined
  readonly problem: Reason | undefined
  readonly services: readonly ServiceReport[]
}

// A failed pass is tried again sooner than the next full look, but never in a hurry.
const RETRY = { baseMs: 5_000, maxMs: 300_000 }
const REPORT_SERVICES_EMPTY: readonly ServiceReport[] = []

export async function runAgent(
  options: AgentOptions,
  signal: AbortSignal,
  onControl: (control: AgentControl) => void,
): Promise<void> {
  const { host, log, wake, stateDirectory } = options
  const { clock } = host
  const reconciler = await createReconciler({
    host,
    stateDirectory,
    issuers: options.issuers,
    log,
    ...(options.onStep === undefined ? {} : { onStep: options.onStep }),
  })
  const acceptedStore = acceptedFile(host.files, stateDirectory)
  const lastReportStore = stateFile<Report>(
    host.files,
    `${stateDirectory}/report.json`,
    parseReport,
  )

  const read = await acceptedStore.read()
  let accepted = read.value
  let identity = options.identity
  let remote = options.connect(identity)
  let problem: Reason | undefined = read.damage
  let received: unknown
  let preview: PreviewRequest | undefined
  let services = REPORT_SERVICES_EMPTY
  let stored = (await lastReportStore.read()).value
  let lastPassAtMs: number | undefined
  let renewals: readonly ServiceName[] = []
  let operatorWaits: ((reports: readonly ServiceReport[]) => void)[] = []

  const shared = { remote: () => remote, clock, log, random: options.random }
  const reporter = createReporter(shared)
  const enforcedServices = (): readonly ServiceTls[] =>
    (accepted?.enforced ?? accepted?.latest)?.content.services ?? []

  onControl({
    status: () => ({
      node: identity.node,
      fleet: identity.fleet,
      controller: identity.agentUrl,
      generation: accepted?.latest.generation,
      mode: accepted?.latest.mode,
      lastPassAtMs,
      problem,
      services,
    }),
    plan: () => reconciler.plan(accepted?.latest.content.services ?? []),
    apply: () => operatorPass(),
    renew: names => {
      renewals = [...new Set([...renewals, ...names])]
      return operatorPass()
    },
  })

  const side = new AbortController()
  const background = Promise.all([
    pollDesired({
      ...shared,
      generation: () => accepted?.latest.generation,
      onAnswer: (answer: DesiredAnswer) => {
        if (answer.document !== undefined) received = answer.document
        if (answer.preview !== undefined) preview = answer.preview
        if (answer.document !== undefined || answer.preview !== undefined) wake('desired')
      },
      signal: side.signal,
    }),
    reporter.run(side.signal),
  ])

  options.heartbeat()
  problem = (await reconciler.resume(enforcedServices())) ?? problem
  options.onReady()
  let failures = 0
  let reason = 'start'
  while (!signal.aborted) {
    options.heartbeat()
    await acceptReceived()
    await answerPreview()
    services = await passAll()
    lastPassAtMs = clock.now()
    log.debug({ reason, outcomes: services.map(one => `${one.service} ${one.outcome}`) }, 'pass')
    answerOperators(services)
    await report()
    options.watch(reconciler.watched())
    await renewIdentity()
    options.onIdle()
    failures = services.some(isWorthRetrying) ? failures + 1 : 0
    reason = await waitForWork(nextLookInMs(failures))
  }
  // What was begun is finished; the pass itself is not interrupted past its point of no return.
  side.abort()
  await background.catch(error => log.error({ err: error }, 'background task failed'))
  remote.close()

  async function acceptReceived(): Promise<void> {
    if (received === undefined) return
    const ledger = reconciler.ledger()
    const result = acceptDesired({
      received,
      node: identity.node,
      current: accepted,
      highest: { generation: ledger.generation, digest: ledger.digest },
    })
    received = undefined
    if (result.kind === 'known') return
    if (result.kind === 'refused') {
      problem = result.reason
      log.warn({ reason: result.reason }, 'desired state refused')
      return
    }
    problem = undefined
    await accept(result.accepted)
  }

  async function accept(next: Accepted): Promise<void> {
    const { generation, digest, mode } = next.latest
    log.info({ generation, mode }, 'desired state accepted')
    // The generation is stored before anything is done with it; a new one lifts what was held back.
    await reconciler.updateLedger(old => ({ ...withoutHeld(old), generation, digest }))
    await acceptedStore.write(next)
    accepted = next
  }

  async function answerPreview(): Promise<void> {
    const asked = preview
    if (asked === undefined) return
    preview = undefined
    const answer = {
      previewId: asked.previewId,
      services: [...(await reconciler.plan(asked.content.services))],
    }
    await remote.preview(answer, signal).catch(error => {
      if (!(error instanceof OperationalError)) throw error
      log.warn({ code: error.code, error: describeError(error) }, 'preview could not be delivered')
    })
  }

  async function passAll(): Promise<readonly ServiceReport[]> {
    if (accepted === undefined) return REPORT_SERVICES_EMPTY
    const { latest, enforced } = accepted
    const allowed = (list: readonly ServiceTls[]) =>
      list.filter(tls => options.allow.services.includes(tls.service))
    const renew = renewals
    renewals = []
    const input = {
      renew,
      signInternal: (request: {
        service: ServiceTls['service']
        keys: Parameters<typeof proveServiceKey>[2]
      }) =>
        remote.sign(
          {
            service: request.service,
            publicKey: request.keys.publicKeyPem,
            proof: proveServiceKey(identity.node, request.service, request.keys),
            generation: latest.generation,
          },
          signal,
        ),
      signal,
    }
    if (latest.mode === 'stage' && enforced !== undefined) {
      await reconciler.pass({
        ...input,
        services: allowed(enforced.content.services),
        mode: 'enforce',
        claim: claimFor(false),
      })
    }
    return reconciler.pass({
      ...input,
      services: allowed(latest.content.services),
      mode: latest.mode,
      claim: claimFor(latest.permit),
    })
  }

  function operatorPass(): Promise<readonly ServiceReport[]> {
    return new Promise(resolve => {
      operatorWaits.push(resolve)
      wake('operator')
    })
  }

  // In a rollout the permit is claimed before the point of no return; without an answer there is no
  // switch. What corrects drift or renews needs none on a node that is in no group.
  function claimFor(permit: boolean): (plan: ActionablePlan) => Promise<Reason | undefined> {
    let granted = false
    return async plan => {
      const activation = activationOf(plan.owed)
      if (!options.allow.activations.includes(activation)) {
        return {
          code: 'activation-not-allowed',
          message: `this node's own configuration does not allow a ${activation}`,
        }
      }
      if (!permit || granted || plan.hasConverged || accepted === undefined) return undefined
      const { generation, digest } = accepted.latest
      try {
        const answer = await remote.lease({ purpose: 'rollout', generation, digest }, signal)
        granted = answer.granted
        return answer.granted ? undefined : answer.reason
      } catch (error) {
        if (!(error instanceof OperationalError)) throw error
        return {
          code: 'lease-unanswered',
          message: `the permit could not be claimed: ${describeError(error)}`,
        }
      }
    }
  }

  function answerOperators(reports: readonly ServiceReport[]): void {
    const waiting = operatorWaits
    operatorWaits = []
    for (const resolve of waiting) resolve(reports)
  }

  async function report(): Promise<void> {
    const { latest } = accepted ?? {}
    const body = {
      agentVersion: options.agentVersion,
      ...(latest === undefined
        ? {}
        : {
            observedGeneration: latest.generation,
            observedDigest: latest.digest,
            mode: latest.mode,
          }),
      services: [...services],
      ...(problem === undefined ? {} : { problem }),
      facts: { ...options.facts },
    }
    const sequence = reconciler.ledger().reportSequence + 1
    const next: Report = { sequence, atMs: clock.now(), ...body }
    if (stored === undefined || reportDigest(stored) !== reportDigest(next)) {
      await reconciler.updateLedger(old => ({
        ...old,
        reportSequence: sequence,
        lastSeenMs: Math.max(old.lastSeenMs, clock.now()),
      }))
      await lastReportStore.write(next)
      stored = next
      reporter.offer(next)
    } else {
      // It may have been written by an earlier process that could not send it any more.
      reporter.offer(stored)
    }
  }

  async function renewIdentity(): Promise<void> {
    if (clock.now() < identityRenewalAtMs(identity)) return
    try {
      const { keys, proof } = await newIdentityKey(identity.node)
      const certificateChain = await remote.renew(keys.publicKeyPem, proof, signal)
      if (!isForKey(certificateChain, keys))
        throw new OperationalError('malformed-answer', 'renewed identity is for another key')
      const next = { ...identity, certificateChain, privateKey: keys.privateKeyPem }
      await storeIdentity(host.files, stateDirectory, next)
      const old = remote
      identity = next
      remote = options.connect(next)
      old.close()
      log.info('identity renewed')
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      log.warn({ code: error.code, error: describeError(error) }, 'identity could not be renewed')
    }
  }

  function nextLookInMs(failed: number): number {
    const regular = jittered(options.intervalMs, options.random)
    const retry =
      failed === 0 ? regular : backoffMs({ attempt: failed - 1, ...RETRY, random: options.random })
    const due = services
      .map(one => (one.renewAtMs ?? Number.MAX_SAFE_INTEGER) - clock.now())
      .filter(ms => ms > 0)
    return Math.max(0, Math.min(regular, retry, ...due))
  }

  // Sleeps in pieces, so that the heartbeat comes from the loop itself and stops when it hangs.
  async function waitForWork(delayMs: number): Promise<string> {
    const endMs = clock.monotonic() + delayMs
    for (;;) {
      const left = endMs - clock.monotonic()
      const why = await wake.wait(Math.max(0, Math.min(left, options.heartbeatMs)), signal)
      if (why === 'operator') await reconciler.updateLedger(withoutHeld)
      if (signal.aborted || why !== 'timer' || endMs - clock.monotonic() <= 0) return why
      options.heartbeat()
    }
  }
}

function isWorthRetrying(service: ServiceReport): boolean {
  return (
    service.outcome === 'failed' ||
    (service.outcome === 'waiting' && service.reason.code !== 'inactive')
  )
}

type LedgerLike = ReturnType<Awaited<ReturnType<typeof createReconciler>>['ledger']>

function withoutHeld(ledger: LedgerLike): LedgerLike {
  const services = Object.fromEntries(
    Object.entries(ledger.services).map(([name, { held: _held, ...entry }]) => [name, entry]),
  )
  return { ...ledger, services }
}
