// Restarts of members of a cluster: the cluster is told before, and told back when the member is there
// again. What was told outlives this process and this node, so it is a debt: noted here and with the
// controller before it is made, and paid by whoever can. That a cluster cannot be told is no reason not
// to go on: it heals by itself, with more work.

import type { ClusterView } from '../shared/contract/cluster-view.ts'
import type { Debt, DebtNews } from '../shared/contract/debts.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import { describeError, OperationalError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { type DebtFile, type OwnDebt, openDebtFile } from './debt-file.ts'
import type { Host, HttpAnswer } from './host.ts'
import type { LocalCredentials } from './issuers.ts'
import { type Asker, askListener } from './listeners.ts'
import type { Observer } from './observe.ts'
import { clusterOf } from './served.ts'
import type { AbsenceIntent, AbsenceStep, ListenerIntent } from './services/service.ts'

export interface Absences {
  /** Before the service stops. Returns when its cluster knows, or cannot be told. */
  readonly leave: (tls: ServiceTls) => Promise<void>
  /**
   * It is back: the cluster is told so, and waited for until it is as well as it was before. Not when all
   * are away at once (`isTogether`): others may be started only when this one is proven.
   */
  readonly comeBack: (tls: ServiceTls, isTogether: boolean) => Promise<void>
  /** With each pass: what could not be told back is tried again. Costs nothing where nothing is owed. */
  settle(services: readonly ServiceTls[]): Promise<void>
  /** Debts of other members of a cluster, which cannot pay them. */
  readonly settleOthers: (services: readonly ServiceTls[], debts: readonly Debt[]) => Promise<void>
  /** What a service of this node still owes. */
  noticesOf(service: ServiceTls['service']): readonly Reason[]
}

export interface AbsencesOptions {
  readonly host: Host
  readonly stateDirectory: string
  readonly observer: Pick<Observer, 'observe'>
  readonly credentials: LocalCredentials | undefined
  readonly log: Logger
  /** Tells the controller; throws where it does not hear. Undefined: there is none. */
  readonly tell?: ((news: DebtNews) => Promise<void>) | undefined
  /** The agent is to end: nothing is waited for. */
  readonly signal?: AbortSignal | undefined
}

interface Seen {
  readonly asker: Asker
  readonly listener: ListenerIntent
  readonly intent: AbsenceIntent
  readonly view: ClusterView | undefined
}

const RETRY_MS = 1_000
// A node that serves may still be joining its cluster.
const TELL_BACK_MS = 30_000
// Less than a step of a rollout may take; a cluster that needs longer is left to the gates.
const RECOVERY_MS = 300_000
// Two members that come back at once see each other's marks.
const WRITES_MAX = 4

export async function createAbsences(options: AbsencesOptions): Promise<Absences> {
  const { host, log, observer, tell } = options
  const file = await openDebtFile(host.files, options.stateDirectory)

  async function look(tls: ServiceTls): Promise<Seen | undefined> {
    const observation = await observer.observe(tls)
    if (observation.kind !== 'observed' || observation.node === undefined) return undefined
    const { compilation, node: facts } = observation
    if (compilation.kind !== 'compiled') return undefined
    const { compiled } = compilation
    const listener = compiled.listeners.find(one => one.authorized?.cluster?.absence !== undefined)
    const intent = listener?.authorized?.cluster?.absence
    if (listener === undefined || intent === undefined) return undefined
    const asker: Asker = { host, tls, compiled, facts, credentials: options.credentials }
    return { asker, listener, intent, view: clusterOf(facts.served) }
  }

  async function tellController(): Promise<boolean> {
    try {
      await tell?.(newsOf(file))
      await file.forgetSettled()
      return true
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      log.debug({ code: error.code, error: describeError(error) }, 'debts could not be told')
      return false
    }
  }

  /** Why the cluster does not know; undefined: it does. */
  async function announce(
    seen: Seen,
    { kind: service, size, health }: ClusterView,
  ): Promise<string | undefined> {
    const known = file.owed().find(one => one.service === service)
    const debtId = known?.debtId ?? Buffer.from(host.random(8)).toString('hex')
    const settings = await ask(seen, {})
    if (settings === undefined) return NO_ANSWER
    const note = new Date(host.clock.now()).toISOString()
    const step = seen.intent.announce(settings, debtId, note)
    if (step.kind === 'nothing') return 'an operator has set how it allocates shards'
    if (step.kind === 'unable') return step.why
    if (known === undefined) {
      await file.owe({ debtId, service, before: { size, health } })
      if (!(await tellController())) {
        await file.settled(debtId)
        return 'the controller does not hear of it, and nobody else would take it back'
      }
    }
    const answer = await ask(seen, { json: step.json })
    if (answer?.status === 200) return undefined
    return `PUT of its settings answers ${answer?.status ?? 'nothing'}`
  }

  async function payBack(seen: Seen, debtId: string): Promise<'paid' | 'unmarked' | 'open'> {
    let wasMarked = false
    for (let write = 0; write < WRITES_MAX; write++) {
      const settings = await ask(seen, {})
      if (settings === undefined) return 'open'
      const step: AbsenceStep = seen.intent.withdraw(settings, debtId, wasMarked)
      if (step.kind === 'nothing') return wasMarked ? 'paid' : 'unmarked'
      if (step.kind === 'unable') return 'open'
      if ((await ask(seen, { json: step.json }))?.status !== 200) return 'open'
      wasMarked = true
    }
    return 'open'
  }

  /** False: it is still owed. */
  async function settleOne(tls: ServiceTls, { debtId }: Debt, isOwn = true): Promise<boolean> {
    const seen = await look(tls)
    const end = seen === undefined ? 'open' : await payBack(seen, debtId)
    // A mark of somebody else that is not there may be in another cluster.
    if (end === 'open' || (end === 'unmarked' && !isOwn)) return false
    await file.settled(debtId)
    return true
  }

  /** True: it came true in time. */
  async function within(limitMs: number, isSo: () => Promise<boolean>): Promise<boolean> {
    const startedMs = host.clock.monotonic()
    for (;;) {
      if (await isSo()) return true
      if (options.signal?.aborted === true || host.clock.monotonic() - startedMs >= limitMs)
        return false
      await host.clock.sleep(RETRY_MS, options.signal)
    }
  }

  // A disk that takes no note, for one: nothing of this may end a pass, or the agent.
  async function attempt(service: string, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      log.warn(
        { service, code: error.code, error: describeError(error) },
        'its cluster was not told',
      )
    }
  }

  async function leave(tls: ServiceTls): Promise<void> {
    const seen = await look(tls)
    // Alone there is nobody to tell; without credentials nobody who listens.
    if (seen?.view === undefined || seen.view.size < 2) return
    const { service } = tls
    const why = await announce(seen, seen.view)
    if (why === undefined) log.info({ service }, 'the cluster knows that this member is away')
    else log.warn({ service, why }, 'the cluster was not told that this member is away')
  }

  async function comeBack(tls: ServiceTls, isTogether: boolean): Promise<void> {
    const { service } = tls
    const debt = file.owed().find(one => one.service === service)
    if (debt === undefined) return
    if (!(await within(TELL_BACK_MS, () => settleOne(tls, debt)))) {
      log.warn({ service }, 'the cluster could not be told yet that this member is back')
      return
    }
    await tellController()
    if (isTogether) return
    const isWell = async () => isAsBefore((await look(tls))?.view, debt)
    if (await within(RECOVERY_MS, isWell)) log.info({ service }, 'the cluster is as before')
    else log.warn({ service }, 'the cluster has not recovered yet')
  }

  return {
    leave: tls => attempt(tls.service, () => leave(tls)),
    comeBack: (tls, isTogether) => attempt(tls.service, () => comeBack(tls, isTogether)),
    async settle(services) {
      if (file.isEmpty()) return
      for (const debt of file.owed()) {
        const tls = services.find(one => one.service === debt.service)
        if (tls !== undefined)
          await attempt(tls.service, async () => void (await settleOne(tls, debt)))
      }
      if (file.settledIds().length > 0) await tellController()
    },
    async settleOthers(services, debts) {
      for (const debt of debts) {
        const tls = services.find(one => one.service === debt.service)
        if (tls === undefined) continue
        await attempt(tls.service, async () => {
          if (!(await settleOne(tls, debt, false))) return
          log.info(
            { service: tls.service, debt: debt.debtId },
            'took back what another member owed',
          )
          await tellController()
        })
      }
    },
    noticesOf: service =>
      file
        .owed()
        .filter(one => one.service === service)
        .map(() => ({ code: 'absence-owed', message: OWED })),
  }
}

const NO_ANSWER = 'its settings cannot be read'
const OWED = 'its cluster still thinks that this node is away for a moment'

function ask(
  { asker, listener, intent }: Seen,
  question: { readonly json?: string },
): Promise<HttpAnswer | undefined> {
  return askListener(asker, listener, { httpGet: intent.path, ...question })
}

function newsOf(file: DebtFile): DebtNews {
  const owed = file.owed().map(({ debtId, service }) => ({ debtId, service }))
  return { owed, settled: [...file.settledIds()] }
}

const WELL = ['red', 'yellow', 'green'] as const

/** As many members, and in no worse health. */
function isAsBefore(view: ClusterView | undefined, { before }: OwnDebt): boolean {
  if (view === undefined) return false
  return view.size >= before.size && WELL.indexOf(view.health) >= WELL.indexOf(before.health)
}
