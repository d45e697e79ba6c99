// The daemon: wakes, passes, reports. One loop owns everything that changes; watchers, timers, the
// poll and the local socket only wake it.

import { backoffMs, jittered } from '../shared/backoff.ts'
import type { PreviewRequest } from '../shared/contract/agent-api.ts'
import type { DesiredState } from '../shared/contract/desired-state.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceName, ServiceTls } from '../shared/contract/service.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { createClaim } from './claim.ts'
import type { Allowance } from './config.ts'
import type { Accepted } from './desired.ts'
import type { Host } from './host.ts'
import { proveServiceKey } from './identity.ts'
import { createInbox } from './inbox.ts'
import type { LocalIssuers, SignInternal } from './issuers.ts'
import { createKeeper } from './keeper.ts'
import { createReporter, pollDesired } from './poll.ts'
import { type Reconciler, createReconciler } from './reconcile.ts'
import type { Identity, Remote } from './remote.ts'
import { reportOfPlan } from './report.ts'
import { createReports } from './reports.ts'
import { type Session, createSession } from './session.ts'
import type { Wake, WakeReason } from './wake.ts'

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
  })
  const session = createSession(options)
  const inbox = createInbox(wake)
  const keeper = await createKeeper(options, reconciler)
  const shared = { remote: () => session.remote(), clock: host.clock, log, random: options.random }
  const reporter = createReporter(shared)
  const reports = await createReports(options, reconciler, reporter)
  let services: readonly ServiceReport[] = []
  let lastPassAtMs: number | undefined

  onControl({
    status: () => {
      const { node, fleet, agentUrl } = session.identity()
      const { generation, mode } = keeper.accepted()?.latest ?? {}
      const problem = keeper.problem()
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
    plan: () => planAll(options, reconciler, keeper.accepted()?.latest.content.services ?? []),
    apply: () => inbox.wish([]),
    renew: names => inbox.wish(names),
  })
  const side = new AbortController()
  const background = Promise.all([
    pollDesired({
      ...shared,
      generation: () => inbox.generation(keeper.accepted()?.latest.generation),
      onAnswer: answer => inbox.answer(answer),
      signal: side.signal,
    }),
    reporter.run(side.signal),
  ])
  // A bug in one of them must end the agent, or it would look alive and hear nothing.
  const stop = AbortSignal.any([signal, abortedBy(background)])

  try {
    options.heartbeat()
    await keeper.resume()
    options.onReady()
    let failures = 0
    let reason = 'start'
    while (!stop.aborted) {
      options.heartbeat()
      const wishes = inbox.takeWishes()
      await keeper.take(inbox.takeDocument(), session.identity().node)
      if (wishes.any) await keeper.liftHeld()
      await answerPreview(inbox.takePreview(), options, reconciler, session.remote(), signal)
      services = await passAll(
        options,
        reconciler,
        session,
        keeper.accepted(),
        wishes.renew,
        signal,
      )
      lastPassAtMs = host.clock.now()
      log.debug({ reason, outcomes: services.map(one => `${one.service} ${one.outcome}`) }, 'pass')
      wishes.fulfil(services)
      await reports.tell(keeper, services, inbox.controllerNowMs())
      options.watch(reconciler.watched())
      await session.renewIfDue(signal)
      options.onIdle()
      failures = services.some(isWorthRetrying) || keeper.hasUnstored() ? failures + 1 : 0
      reason = await waitForWork(options, nextLookInMs(options, services, failures), stop)
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

async function passAll(
  options: AgentOptions,
  reconciler: Reconciler,
  session: Session,
  accepted: Accepted | undefined,
  renew: readonly ServiceName[],
  signal: AbortSignal,
): Promise<readonly ServiceReport[]> {
  if (accepted === undefined) return []
  const { latest, enforced } = accepted
  const pass = async (document: DesiredState) => {
    const { allowed, refused } = sorted(options, document.content.services)
    const input = {
      services: allowed,
      mode: document.mode,
      claim: createClaim(document, session.remote(), signal),
      allowedActivations: options.allow.activations,
      signInternal: signer(session, latest.generation, signal),
      // What is only being prepared is new anyway.
      renew: document.mode === 'enforce' ? renew : [],
      signal,
    }
    return [...(await reconciler.pass(input)), ...refused]
  }
  // While a new content is prepared, the one in force is kept up.
  if (latest.mode === 'stage' && enforced !== undefined) await pass({ ...enforced, permit: false })
  return pass(latest)
}

// A plan must not promise what a pass would not do.
async function planAll(
  options: AgentOptions,
  reconciler: Reconciler,
  services: readonly ServiceTls[],
): Promise<readonly ServiceReport[]> {
  const { allowed, refused } = sorted(options, services)
  return [...(await reconciler.plan(allowed)), ...refused]
}

function sorted({ allow }: AgentOptions, services: readonly ServiceTls[]) {
  const isAllowed = (tls: ServiceTls) => allow.services.includes(tls.service)
  return {
    allowed: services.filter(isAllowed),
    refused: services.filter(tls => !isAllowed(tls)).map(notAllowed),
  }
}

function notAllowed({ service }: ServiceTls): ServiceReport {
  const message = `this node's own configuration does not let tlsfleet touch ${service}`
  const reason = { code: 'service-not-allowed', message }
  return reportOfPlan({
    kind: 'blocked',
    service,
    outcome: 'unsupported',
    reason,
    unit: undefined,
    version: undefined,
  })
}

// A controller signs for the newest generation only, also what is in force while another is prepared.
function signer(session: Session, generation: number, signal: AbortSignal): SignInternal {
  return ({ service, keys }) => {
    const proof = proveServiceKey(session.identity().node, service, keys)
    return session
      .remote()
      .sign({ service, publicKey: keys.publicKeyPem, proof, generation }, signal)
  }
}

function nextLookInMs(
  { intervalMs, random, host }: AgentOptions,
  services: readonly ServiceReport[],
  failures: number,
): number {
  const regular = jittered(intervalMs, random)
  const retry = failures === 0 ? regular : backoffMs({ attempt: failures - 1, ...RETRY, random })
  const nowMs = host.clock.now()
  const due = services.flatMap(({ renewAtMs }) =>
    renewAtMs === undefined || renewAtMs <= nowMs ? [] : [renewAtMs - nowMs],
  )
  return Math.min(regular, retry, ...due)
}

// Sleeps in pieces, so that the heartbeat comes from the loop itself and stops when it hangs.
async function waitForWork(
  options: AgentOptions,
  delayMs: number,
  signal: AbortSignal,
): Promise<WakeReason> {
  const { clock } = options.host
  const endMs = clock.monotonic() + delayMs
  for (;;) {
    const left = endMs - clock.monotonic()
    const why = await options.wake.wait(Math.max(0, Math.min(left, options.heartbeatMs)), signal)
    if (signal.aborted || why !== 'timer' || endMs - clock.monotonic() <= 0) return why
    options.heartbeat()
  }
}

function isWorthRetrying(service: ServiceReport): boolean {
  return (
    service.outcome === 'failed' ||
    (service.outcome === 'waiting' && service.reason.code !== 'inactive')
  )
}
