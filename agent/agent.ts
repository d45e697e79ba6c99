// The daemon: wakes, passes, reports. One loop owns everything that changes; watchers, timers, the
// poll and the local socket only wake it.

import type { PreviewRequest } from '../shared/contract/agent-api.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceName } from '../shared/contract/service.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { createAsking } from './asking.ts'
import { createClaims } from './claim.ts'
import type { Allowance } from './config.ts'
import type { Host } from './host.ts'
import { createInbox } from './inbox.ts'
import type { LocalIssuers } from './issuers.ts'
import { createKeeper } from './keeper.ts'
import { openLeaseMemory } from './lease-memory.ts'
import { createMetricsWriter, type MetricsFile } from './metrics-file.ts'
import { createAgentMetrics } from './metrics.ts'
import { isWorthRetrying, nextLookInMs, waitForWork } from './next-look.ts'
import { OFFLINE_RULE, type OfflineRule } from './offline-rule.ts'
import { createPassAll, planAll } from './passes.ts'
import { createReporter, pollDesired } from './poll.ts'
import { createProbes } from './probes.ts'
import { createReconciler } from './reconcile.ts'
import type { Reconciler } from './reconciler.ts'
import type { Identity, Remote } from './remote.ts'
import { createReports } from './reports.ts'
import { createAskAct } from './section.ts'
import { createSession } from './session.ts'
import type { SnapshotPolicies } from './snapshot-policy.ts'
import type { Wake } from './wake.ts'

export interface AgentOptions {
  readonly host: Host
  readonly stateDirectory: string
  readonly issuers: LocalIssuers
  readonly allow: Allowance
  /** What it does by itself while its controller does not answer. */
  readonly offline?: OfflineRule
  /** What saves services before they are stopped with those of other nodes. */
  readonly snapshots?: SnapshotPolicies
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
  /** Where metrics are written; undefined: nowhere. */
  readonly metricsFile?: MetricsFile | undefined
  readonly facts: Readonly<Record<string, string>>
  readonly agentVersion: string
  readonly log: Logger
  readonly random: () => number
  readonly onStep?: (step: string) => void
}

/** What the local command line may ask of a running agent. */
export interface AgentControl {
  status(): AgentStatus
  /** In the text format of Prometheus. */
  metrics(): string
  plan(): Promise<readonly ServiceReport[]>
  /** Forgets what is held back, and passes now. */
  apply(): Promise<readonly ServiceReport[]>
  /** A new key and certificate for these services, now. */
  renew(services: readonly ServiceName[]): Promise<readonly ServiceReport[]>
  /** Somebody has run `enroll`. */
  enrolled(): Promise<void>
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

/** Returns after a clean stop: what was begun is finished or was not begun. */
export async function runAgent(
  options: AgentOptions,
  signal: AbortSignal,
  onControl: (control: AgentControl) => void,
): Promise<void> {
  const { host, log, wake, stateDirectory, issuers, onStep } = options
  const step = onStep === undefined ? {} : { onStep }
  const beating = beatingHost(options)
  const reconciler = await createReconciler({
    ...step,
    host: beating,
    stateDirectory,
    issuers,
    log,
    askAct: (permit, act) => askAct(permit, act),
    snapshots: { policies: options.snapshots ?? {}, node: () => session.identity().node },
    tellDebts: news => session.remote().debts(news, signal),
    signal,
  })
  let reconnected = new AbortController()
  const session = await createSession({
    ...options,
    onRefused: () => wake('retry'),
    onEnrolled() {
      reconnected.abort()
      reconnected = new AbortController()
    },
  })
  const inbox = createInbox(wake)
  const keeper = await createKeeper(options, reconciler)
  const metrics = createAgentMetrics(() => {
    const { node, fleet } = session.identity()
    return { node, fleet, version: options.agentVersion }
  })
  const writeMetrics = createMetricsWriter(options.metricsFile, { host, metrics, log })
  const asking = createAsking({ clock: host.clock, random: options.random })
  const shared = {
    remote: () => session.remote(),
    reconnected: () => reconnected.signal,
    clock: host.clock,
    log,
    random: options.random,
  }
  const reporter = createReporter(shared)
  const reports = await createReports(options, reconciler, reporter)
  const claims = createClaims({
    ...shared,
    memory: await openLeaseMemory(host.files, stateDirectory),
    rule: options.offline ?? OFFLINE_RULE,
    sequence: () => reports.sequence(),
    onWait: () => metrics.waited(),
  })
  const askAct = createAskAct({
    ...shared,
    clock: beating.clock,
    sequence: () => reports.sequence(),
    signal,
  })
  const passAll = createPassAll(options, reconciler, { session, asking, claims })
  let services: readonly ServiceReport[] = []
  let lastPassAtMs: number | undefined

  onControl({
    status: () => {
      const { node, fleet, agentUrl } = session.identity()
      const { generation, mode } = keeper.accepted()?.latest ?? {}
      // Without its controller's consent nothing new comes: that is told first.
      const problem = session.problem() ?? keeper.problem()
      return {
        node,
        fleet,
        controller: agentUrl,
        generation,
        mode,
        lastPassAtMs,
        problem,
        services,
      }
    },
    metrics: () => metrics.text(),
    plan: () => planAll(options, reconciler, keeper.accepted()?.latest.content.services ?? []),
    apply: () => inbox.wish([]),
    renew: names => inbox.wish(names),
    async enrolled() {
      session.lookAgain()
      wake('retry')
    },
  })
  const side = new AbortController()
  const probes = createProbes({
    ...shared,
    host,
    wake: () => wake('desired'),
    signal: side.signal,
  })
  const background = Promise.all([
    pollDesired({
      ...shared,
      position: () => inbox.position(keeper.accepted()?.latest),
      onAnswer: answer => {
        metrics.contacted(host.clock.now())
        inbox.answer(answer)
        if (claims.heard(answer.grouped)) wake('retry')
        probes.take(answer.probes ?? [])
      },
      onFailure() {
        metrics.missed()
        claims.missed()
      },
      signal: side.signal,
    }),
    reporter.run(side.signal),
  ])
  // A bug in one of them must end the agent, or it would look alive and hear nothing.
  const stop = AbortSignal.any([signal, abortedBy(background)])

  try {
    options.heartbeat()
    // What was interrupted may take longer than a service manager waits for a start, a snapshot hours;
    // that the loop lives meanwhile, its heartbeats show.
    options.onReady()
    await keeper.resume()
    let failures = 0
    let reason = 'start'
    while (!stop.aborted) {
      options.heartbeat()
      const wishes = inbox.takeWishes()
      await keeper.take(inbox.takeDocument(), session.identity().node)
      await session.learn(inbox.takeIdentityNews(), signal)
      if (wishes.any) await keeper.liftHeld()
      await claims.learn(inbox.takeGrouped())
      if (inbox.takeNews() || wishes.any) {
        asking.hurry()
        claims.hurry()
      }
      await answerPreview(inbox.takePreview(), options, reconciler, session.remote(), signal)
      const { services: known = [] } = keeper.accepted()?.latest.content ?? {}
      await probes.answerClusters(known, own => planAll(options, reconciler, own))
      await reconciler.settleOthers(known, inbox.takeDebts())
      services = await passAll(keeper.accepted(), wishes.renew, signal)
      lastPassAtMs = host.clock.now()
      metrics.passed(services, lastPassAtMs)
      log.debug({ reason, outcomes: services.map(one => `${one.service} ${one.outcome}`) }, 'pass')
      wishes.fulfil(services)
      const tell = () =>
        reports.tell(keeper, services, {
          identity: session.identity(),
          controllerNowMs: inbox.controllerNowMs(),
          isOwed: claims.isReportOwed(),
        })
      await tell()
      await claims.reported()
      await writeMetrics()
      options.watch(reconciler.watched())
      // Who waits for it to change, a rotation for one, need not wait for the next pass.
      if (await session.renewIfDue(signal)) await tell()
      options.onIdle()
      failures = services.some(isWorthRetrying) || keeper.hasUnstored() ? failures + 1 : 0
      const delayMs = nextLookInMs(options, services, {
        failures,
        dueAtMs: session.dueAtMs(),
        asking,
        claims,
      })
      reason = await waitForWork(options, delayMs, stop)
    }
  } finally {
    // Whatever ended the loop: a poll that went on alone would make a dead agent look alive.
    side.abort()
    session.remote().close()
    await background
  }
}

// A verification may take minutes: each of its waits is a sign of life of the loop. The poll and the
// reporter wait by the plain clock, or they would speak for a loop that hangs.
function beatingHost({ host, heartbeat }: AgentOptions): Host {
  const sleep: Host['clock']['sleep'] = async (delayMs, signal) => {
    await host.clock.sleep(delayMs, signal)
    heartbeat()
  }
  return { ...host, clock: { ...host.clock, sleep } }
}

function abortedBy(work: Promise<unknown>): AbortSignal {
  const controller = new AbortController()
  work.then(
    () => controller.abort(),
    () => controller.abort(),
  )
  return controller.signal
}

async function answerPreview(
  asked: PreviewRequest | undefined,
  options: AgentOptions,
  reconciler: Reconciler,
  remote: Remote,
  signal: AbortSignal,
): Promise<void> {
  if (asked === undefined) return
  const services = await planAll(options, reconciler, asked.content.services)
  try {
    await remote.preview({ previewId: asked.previewId, services: [...services] }, signal)
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    const { log } = options
    log.warn({ code: error.code, error: describeError(error) }, 'preview could not be delivered')
  }
}
