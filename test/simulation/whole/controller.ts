// One controller process on the store that all of them share: the production runner, and the production
// routes for agents, asked without a connection. It can be killed at any commit, before it or after it.

import type { Clock } from '../../../shared/clock.ts'
import { silentLog } from '../../../shared/log.ts'
import { ASK_MS, askNodes } from '../../../controller/api/ask-nodes.ts'
import { createChangeFeed } from '../../../controller/api/change-feed.ts'
import type { ApiContext, App } from '../../../controller/api/context.ts'
import { createStreamLimits } from '../../../controller/api/event-stream.ts'
import { createNudges } from '../../../controller/api/nudges.ts'
import { createOperatorSessions } from '../../../controller/api/operator-sessions.ts'
import { createPresence, type Presence } from '../../../controller/api/presence.ts'
import type { PreviewBoard } from '../../../controller/api/preview-board.ts'
import { compileSpec } from '../../../controller/api/operator/spec.ts'
import { createAgentApp } from '../../../controller/api/server.ts'
import { createShownPlans } from '../../../controller/api/shown-plans.ts'
import { createWakeBoard } from '../../../controller/api/wake-board.ts'
import { IDENTITY_POLICY } from '../../../controller/ca/succession.ts'
import { createOutlook, type Outlook } from '../../../controller/gates/outlook.ts'
import { createMeasures } from '../../../controller/metrics/measures.ts'
import { createRunner, type Runner } from '../../../controller/rollout/runner.ts'
import type { Rotations } from '../../../controller/rotation/runner.ts'
import type { Store } from '../../../controller/store/store.ts'
import type { Random } from '../random.ts'
import { Violation } from '../violation.ts'
import type { LiveCas } from './live-cas.ts'
import type { Product } from './product.ts'
import type { Scheduler } from './scheduler.ts'
import { FLEET, T0, type Trust } from './trust.ts'

const FOREVER: Promise<never> = new Promise(() => {})

export interface Controller {
  readonly name: string
  readonly runner: Runner
  readonly app: App
  /** Of those whose work takes its time. */
  readonly context: ApiContext
  readonly rotations: Rotations
  /** What it does of itself, now and then. */
  tick(): Promise<void>
  /** A rotation goes on; while it does, asking again does nothing. */
  turn(): Promise<void>
  isDead(): boolean
  /** Undefined: it died over it. */
  alive<T>(work: () => Promise<T>): Promise<T | undefined>
  /** Something is new for this node; called at once where it is already. */
  whenWoken(node: string, wake: () => void): () => void
  kill(): void
}

export interface ControllerParts {
  readonly name: string
  readonly store: Store
  readonly scheduler: Scheduler
  readonly trust: Trust
  readonly cas: LiveCas
  readonly product: Product
  readonly random: Random
  /** Asked before each commit. */
  readonly dies: () => 'before' | 'after' | undefined
  /** Of a rollout. */
  readonly newId: () => string
  /** A fault of the server's own: nothing that happens here may lead to one. */
  readonly onFault: (fields: unknown) => void
  /** Shared where there are several: each hears a part of the agents only. */
  readonly presence: Presence | undefined
  /** The same: what one asks, an agent may answer to another. */
  readonly previews: PreviewBoard
  /** Do other agents look at what has changed? */
  readonly looks: boolean
}

export function startController(parts: ControllerParts): Controller {
  const { name, scheduler, dies } = parts
  const death = Promise.withResolvers<undefined>()
  let isDead = false
  const kill = () => {
    isDead = true
    death.resolve(undefined)
  }
  const store = mortalStore(parts.store, { dies, isDead: () => isDead, kill })
  // Who works outside of the world's clock does not wait: a report is gathered with no other.
  const clock: Clock = {
    now: () => T0 + scheduler.nowMs(),
    monotonic: () => scheduler.nowMs(),
    sleep: async () => {},
  }
  const board = createWakeBoard()
  const nudges = createNudges(board)
  const presence = parts.presence ?? createPresence({ clock })
  const outlook = outlookOf({ ...parts, store, board, presence })
  const runner = createRunner({
    ...(parts.looks ? outlook.hooks : {}),
    store,
    clock,
    onPublished: nodes => board.wake(nodes),
    onFree: nodes => nudges.nudge(nodes),
    isOnline: member => presence.isOnline(member),
    changedSince: cursor => presence.changedSince(cursor),
    log: runnerLog,
    newId: parts.newId,
  })
  const context = contextOf({ ...parts, store, clock, board, nudges, presence, runner, outlook })
  // Who asks nodes waits for them in the world.
  const patient = { ...context, clock: scheduler.clock }
  let isTurning = false
  const rotations = parts.product.createRotations({
    store,
    clock,
    log: { info: () => {}, warn: () => {}, error: () => {} },
    newId: () => `ro${parts.newId()}`,
    runner,
    askNodes: nodes =>
      askNodes(patient, nodes, { waitMs: ASK_MS, signal: new AbortController().signal }),
    isOnline: node => presence.isOnline(node),
    compile: (tx, text, world) => compileSpec(context, tx, text, world),
    serviceCa: () => parts.cas.current().service.ca,
    makeAuthority: async () => parts.cas.next(),
    onAuthorities: () => parts.cas.reload(),
    wakeRunner: () => {},
  })
  const { clientCa, certificate } = {
    clientCa: [parts.trust.server.chainPem],
    certificate: parts.trust.server,
  }
  const app = createAgentApp({ certificate, clientCa }, context)
  return {
    name,
    runner,
    rotations,
    context: patient,
    app,
    async tick() {
      if (parts.looks) await outlook.look()
      await runner.tick()
    },
    async turn() {
      if (isTurning) return
      isTurning = true
      await rotations.tick()
      isTurning = false
    },
    isDead: () => isDead,
    alive: work => (isDead ? Promise.resolve(undefined) : Promise.race([work(), death.promise])),
    whenWoken(node, wake) {
      const subscription = board.subscribe(node)
      subscription.signal.addEventListener('abort', wake, { once: true })
      return () => {
        subscription.signal.removeEventListener('abort', wake)
        subscription.end()
      }
    },
    kill,
  }
}

const runnerLog = {
  info: () => {},
  warn: () => {},
  error(fields: object) {
    throw new Violation(
      `R20: a rollout could not move: ${'err' in fields ? String(fields.err) : ''}`,
    )
  },
}

function outlookOf(
  parts: Pick<ControllerParts, 'scheduler' | 'onFault'> & {
    readonly store: Store
    readonly board: ApiContext['desiredWakes']
    readonly presence: Presence
  },
): Outlook {
  const { scheduler, store, board, presence } = parts
  let asked = 0
  return createOutlook({
    store,
    // Here somebody waits for an answer, which takes its time.
    clock: scheduler.clock,
    presence,
    log: { ...silentLog, error: parts.onFault },
    wake: nodes => board.wake(nodes),
    newId: () => `l${++asked}`,
    onLook: () => {},
    signal: new AbortController().signal,
    gateServers: [],
  })
}

/** What was not committed when the process died is undone; who asked never hears of it. */
function mortalStore(
  store: Store,
  process: {
    readonly dies: ControllerParts['dies']
    readonly isDead: () => boolean
    readonly kill: () => void
  },
): Store {
  const { dies, isDead, kill } = process
  return {
    ...store,
    async transaction(work) {
      if (isDead()) return FOREVER
      let fate: 'before' | 'after' | undefined
      try {
        const result = await store.transaction(async tx => {
          const done = await work(tx)
          fate = dies()
          if (fate === 'before') throw new Violation('undone')
          return done
        })
        if (fate === undefined) return result
      } catch (error) {
        if (fate !== 'before') throw error
      }
      kill()
      return FOREVER
    },
  }
}

function contextOf(
  parts: ControllerParts & {
    readonly clock: Clock
    readonly board: ApiContext['desiredWakes']
    readonly nudges: ApiContext['nudges']
    readonly presence: ApiContext['presence']
    readonly runner: Runner
    readonly outlook: Outlook
  },
): ApiContext {
  const { store, clock, board, nudges, presence, runner, trust, random } = parts
  let requests = 0
  const newId = () => `q${++requests}`
  return {
    fleet: FLEET,
    store,
    clock,
    log: { ...silentLog, error: parts.onFault },
    random: size => Uint8Array.from({ length: size }, () => random.below(256)),
    newId,
    authorities: { current: () => parts.cas.current(), make: absent },
    refreshAuthorities: absent,
    sealing: trust.sealing,
    publicRoots: { named: () => [] },
    acme: { states: () => [] },
    urls: { agent: '', enroll: '', operator: '' },
    runner,
    rotations: { create: absent, request: absent, look: absent },
    wakeRotations: () => {},
    trust: { wake: () => {}, look: absent },
    presence,
    previews: parts.previews,
    shownPlans: createShownPlans(clock),
    probes: parts.outlook.probes,
    desiredWakes: board,
    nudges,
    changes: createChangeFeed(clock),
    streams: createStreamLimits(),
    rolloutWakes: createWakeBoard(),
    authentication: {
      // The connection is none; who calls is what the network says.
      async agent({ headers }) {
        const node = String(headers['x-node'])
        presence.heard(node)
        const { fingerprint, publicKeyDigest } = trust.identityOf(node)
        return { node, fingerprint, publicKeyDigest }
      },
      operator: absent,
      endsSoon: () => undefined,
      sessions: createOperatorSessions(clock),
    },
    sessions: createOperatorSessions(clock),
    identityPolicy: IDENTITY_POLICY,
    refreshDenied: async () => {},
    lockedOut: async () => {},
    takeSnapshot: absent,
    wakeRunner: () => {},
    measures: createMeasures(),
    metrics: { text: absent },
    noteDrift: async () => false,
    closing: new AbortController().signal,
  }
}

async function absent(): Promise<never> {
  throw new Violation('nobody asks for this here')
}
