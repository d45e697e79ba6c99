// A running controller: store, authorities, rollouts and the three listeners, wired. The command and
// tests start it alike.

import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { getCACertificates } from 'node:tls'
import { type Clock, systemClock } from '../shared/clock.ts'
import type { Logger } from '../shared/log.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { Secret } from '../shared/secret.ts'
import { createAgentAuthentication } from './api/agent-authentication.ts'
import { renewCertificate } from './api/app.ts'
import { ASK_MS, askNodes } from './api/ask-nodes.ts'
import { closeApps } from './api/close.ts'
import type { ApiContext } from './api/context.ts'
import { authenticateOperator, endsSoon } from './api/operator-authentication.ts'
import { createOperatorSessions } from './api/operator-sessions.ts'
import { compileSpec } from './api/operator/spec.ts'
import { type ChangeFeed, createChangeFeed } from './api/change-feed.ts'
import { createStreamLimits } from './api/event-stream.ts'
import { createNudges } from './api/nudges.ts'
import { createPresence } from './api/presence.ts'
import { createPreviewBoard } from './api/preview-board.ts'
import { createShownPlans } from './api/shown-plans.ts'
import { createAgentApp, createEnrollApp, createOperatorApp } from './api/server.ts'
import { createTrustRefresh } from './api/trust-refresh.ts'
import { createWakeBoard } from './api/wake-board.ts'
import { discardLeftovers, takeSnapshot } from './backup/snapshot.ts'
import { createSealing } from './ca/sealed-key.ts'
import { IDENTITY_POLICY, type IdentityPolicy } from './ca/succession.ts'
import { publicRootsOf } from './certificates/provided-pair.ts'
import type { ControllerSettings, ListenAddress } from './config.ts'
import { databasePath, notInitialised } from './init.ts'
import { listen } from './listen.ts'
import { createLiveAuthorities } from './live-authorities.ts'
import { type HttpChallenges, openHttpChallenges } from './issuers/acme/http-challenges.ts'
import { createAcmeIssuer } from './issuers/acme/issuer.ts'
import type { AcmeDirectory } from './issuers/acme/settings.ts'
import { startLoops } from './loops.ts'
import { createOutlook } from './gates/outlook.ts'
import { type GateSettings, readGateServers } from './gates/settings.ts'
import { openMetricsListener } from './metrics/listener.ts'
import { createMeasures, type Measures, timedStore } from './metrics/measures.ts'
import { createMetricsPage } from './metrics/page.ts'
import { createSnapshots } from './metrics/snapshot.ts'
import { oneAtATime } from './one-at-a-time.ts'
import { readOperatorCa } from './operator-ca.ts'
import { createRunner } from './rollout/runner.ts'
import { createRotationLoop } from './rotation/loop.ts'
import { createRotations } from './rotation/runner.ts'
import { observedStore } from './store/observe-changes.ts'
import { openSqliteStore } from './store/sqlite.ts'
import type { Store } from './store/store.ts'
import { VERSION } from './version.ts'
import { createNotifier, type Webhook } from './webhooks/notifier.ts'
import { readReceivers } from './webhooks/receivers.ts'
import type { WebhookSettings } from './webhooks/settings.ts'

export interface ControllerConfig
  extends Pick<ControllerSettings, 'dataDir' | 'listen' | 'publicNames'> {
  readonly passphrase: Secret
  readonly log: Logger
  readonly identity?: IdentityPolicy
  readonly offlineAfterMs?: number
  readonly acme?: readonly AcmeDirectory[]
  readonly metricsListen?: ListenAddress | undefined
  readonly webhooks?: readonly WebhookSettings[]
  readonly gates?: readonly GateSettings[]
  /** File with the CA of operators' client certificates; undefined: they have tokens only. */
  readonly operatorCa?: string | undefined
  /** PEM of the roots of public CAs; those that come with Node when absent. */
  readonly publicRoots?: readonly string[]
  readonly clock?: Clock
  readonly random?: RandomBytes
}

export interface Controller {
  readonly fleet: string
  /** `sha256:…` of the identity root. */
  readonly pin: string
  /** PEM of the identity root: what clients of the listeners trust. */
  readonly identityRoot: string
  readonly urls: ApiContext['urls']
  /** Of the metrics without a token. */
  readonly metricsUrl: string | undefined
  /** What its routes work with; for tests of what no route does. */
  readonly context: ApiContext
  /** Answers long polls, closes listeners and store. */
  close(): Promise<void>
}

// Another command may hold the store for a moment.
const BUSY_TIMEOUT_MS = 2_000

/** Throws `not-initialised`, `wrong-passphrase`, `store-locked`, `address-unusable`. */
export async function createController(config: ControllerConfig): Promise<Controller> {
  const path = databasePath(config.dataDir)
  // Opening would make one.
  if (!existsSync(path)) throw notInitialised(config.dataDir)
  const webhooks = readReceivers(config.webhooks ?? [])
  const measures = createMeasures()
  const database = await openSqliteStore({ path, busyTimeoutMs: BUSY_TIMEOUT_MS })
  const changes = createChangeFeed(config.clock ?? systemClock)
  const store = observedStore(timedStore(database, measures), told => changes.publish(told))
  try {
    discardLeftovers(config.dataDir)
    const challenges = await openHttpChallenges(challengeAddresses(config))
    return await start(store, config, { challenges, measures, webhooks, changes }).catch(
      async (error: unknown) => {
        await challenges.close()
        throw error
      },
    )
  } catch (error) {
    await store.close()
    throw error
  }
}

function challengeAddresses({ acme = [] }: ControllerConfig) {
  return acme.flatMap(({ http01 }) => http01 ?? [])
}

interface Prepared {
  readonly challenges: HttpChallenges
  readonly measures: Measures
  readonly webhooks: readonly Webhook[]
  readonly changes: ChangeFeed
}

async function start(
  store: Store,
  config: ControllerConfig,
  { challenges: httpChallenges, measures, webhooks, changes }: Prepared,
): Promise<Controller> {
  const { publicNames } = config
  const { fleet, sealing, live } = await openFleet(store, config)
  const closing = new AbortController()
  const urls = { operator: '', agent: '', enroll: '' }
  const rounds = { wakeRunner: () => {}, refreshAuthorities: async () => {} }
  const { context, acme, agents, rotations, tick, notifier } = wire(store, config, {
    httpChallenges,
    measures,
    webhooks,
    changes,
    fleet,
    sealing,
    live,
    urls,
    closing: closing.signal,
    wakeRunner: () => rounds.wakeRunner(),
    refreshAuthorities: () => rounds.refreshAuthorities(),
  })

  const operatorCa = await readOperatorCa(config.operatorCa, store)
  const { certificate, clientCa } = await live.issueServerCertificate()
  const agent = createAgentApp({ certificate, clientCa }, context)
  const enroll = createEnrollApp(certificate, context)
  const operator = await createOperatorApp({ certificate, operatorCa }, context, VERSION)
  const apps = [agent, enroll, operator]
  agents.watch(agent.server)
  rounds.refreshAuthorities = oneAtATime(async () => {
    await live.reload()
    const renewed = await live.issueServerCertificate()
    renewCertificate(agent, renewed)
    renewCertificate(enroll, { certificate: renewed.certificate })
    renewCertificate(operator, { certificate: renewed.certificate, operatorCa })
    agents.judgeIssuers()
    // Every poll looks whether its agent knows all of this.
    context.desiredWakes.wakeAll()
  })
  await agents.refreshDenied()

  const metrics = await openMetricsListener(config.metricsListen, context.metrics, context.log)
  try {
    // In this order: an enrolment answers with the agents' URL, an operator's token has that of enrolment.
    urls.agent = await listen(agent, config.listen.agent, publicNames)
    urls.enroll = await listen(enroll, config.listen.enroll, publicNames)
    urls.operator = await listen(operator, config.listen.operator, publicNames)
  } catch (error) {
    await metrics.close()
    await closeApps(apps)
    throw error
  }

  const loops = startLoops({
    context,
    acme,
    rotations,
    notifier,
    tick,
    renewCertificates: () => context.refreshAuthorities(),
  })
  rounds.wakeRunner = loops.wakeRunner

  return {
    fleet,
    pin: live.current().identity.pin,
    identityRoot: live.current().identity.root,
    urls,
    metricsUrl: metrics.url,
    context,
    async close() {
      closing.abort()
      await metrics.close()
      context.desiredWakes.close()
      context.rolloutWakes.close()
      await closeApps(apps)
      await loops.stop()
      await httpChallenges.close()
      await store.close()
    },
  }
}

/** What the routes work with, and what only we need of it. */
function wire(
  store: Store,
  config: ControllerConfig,
  made: Opened &
    Pick<ApiContext, 'urls' | 'closing' | 'wakeRunner' | 'refreshAuthorities'> & {
      readonly httpChallenges: HttpChallenges
    } & Omit<Prepared, 'challenges'>,
) {
  const { dataDir, log, clock = systemClock, random = randomBytes } = config
  const { fleet, live, sealing, urls, closing, wakeRunner, refreshAuthorities } = made
  const onCome = (node: string) => made.changes.publish([{ resource: 'nodes', id: node }])
  const presence = createPresence({ clock, offlineAfterMs: config.offlineAfterMs, onCome })
  const desiredWakes = createWakeBoard()
  const nudges = createNudges(desiredWakes)
  const wake = (nodes: readonly string[]) => desiredWakes.wake(nodes)
  const lost = (node: string) => {
    presence.forget(node)
    wakeRunner()
  }
  const agents = createAgentAuthentication({
    store,
    clock,
    fleet,
    issuers: () => live.current().identity.issuers,
    onCloned(node) {
      log.warn({ node }, 'two machines share an identity; node locked')
      lost(node)
    },
  })
  const outlook = createOutlook({
    store,
    clock,
    presence,
    log,
    wake,
    newId: randomUUID,
    onLook: wakeRunner,
    signal: closing,
    gateServers: readGateServers(config.gates ?? []),
  })
  const runner = createRunner({
    ...outlook.hooks,
    store,
    clock,
    onPublished: wake,
    onFree: nodes => nudges.nudge(nodes),
    isOnline: member => presence.isOnline(member),
    changedSince: cursor => presence.changedSince(cursor),
    log: log.child({ part: 'rollouts' }),
    newId: randomUUID,
  })
  const acme = createAcmeIssuer({
    directories: config.acme ?? [],
    httpChallenges: made.httpChallenges,
    store,
    sealing,
    clock,
    random,
    log: log.child({ part: 'acme' }),
    signal: closing,
    onSettled: node => nudges.nudge([node]),
  })
  const rotations = createRotations({
    store,
    clock,
    log: log.child({ part: 'rotations' }),
    newId: randomUUID,
    runner,
    askNodes: nodes => askNodes(context, nodes, { waitMs: ASK_MS, signal: closing }),
    isOnline: node => presence.isOnline(node),
    compile: (tx, text, world) => compileSpec(context, tx, text, world),
    serviceCa: () => live.current().service.ca,
    makeAuthority: kind => live.make(kind),
    onAuthorities: refreshAuthorities,
    wakeRunner,
  })
  const rotationLoop = createRotationLoop(rotations, { clock, log })
  const trust = createTrustRefresh({
    store,
    clock,
    runner,
    log: log.child({ part: 'trust' }),
    isOnline: node => presence.isOnline({ node, seenAtMs: undefined }),
    compile: async (tx, text) => {
      const world = { ca: live.current().service.ca, isStored: true }
      return (await compileSpec(context, tx, text, world)).fleet
    },
    wakeRunner,
  })
  const rolloutWakes = createWakeBoard()
  const sessions = createOperatorSessions(clock)
  const { measures } = made
  const snapshots = createSnapshots({ store, clock, presence, authorities: live })
  const notifier = createNotifier({
    webhooks: made.webhooks,
    fleet,
    store,
    snapshots,
    measures,
    clock,
    log: log.child({ part: 'webhooks' }),
    newId: randomUUID,
    random: Math.random,
    signal: closing,
  })
  const context: ApiContext = {
    measures,
    metrics: createMetricsPage({
      snapshots,
      measures,
      desiredWakes,
      rolloutWakes,
      version: VERSION,
      fleet,
    }),
    noteDrift: (tx, record) => notifier.note(tx, record),
    fleet,
    store,
    clock,
    log,
    random,
    newId: randomUUID,
    authorities: live,
    refreshAuthorities,
    sealing,
    publicRoots: publicRootsOf(() => config.publicRoots ?? getCACertificates('bundled')),
    urls,
    runner,
    rotations,
    wakeRotations: () => rotationLoop.wake(),
    trust,
    presence,
    previews: createPreviewBoard({ clock, newId: randomUUID, wake }),
    probes: outlook.probes,
    shownPlans: createShownPlans(clock),
    desiredWakes,
    nudges,
    acme,
    rolloutWakes,
    changes: made.changes,
    streams: createStreamLimits(),
    authentication: {
      async agent(request) {
        const caller = await agents.authenticate(request)
        presence.heard(caller.node)
        return caller
      },
      operator: request => authenticateOperator({ store, clock, log }, request),
      endsSoon: caller => endsSoon(caller, clock.now()),
      sessions,
    },
    sessions,
    identityPolicy: config.identity ?? IDENTITY_POLICY,
    refreshDenied: spared => agents.refreshDenied(spared),
    async lockedOut(node, spared) {
      await agents.refreshDenied(spared)
      lost(node)
    },
    takeSnapshot: () =>
      takeSnapshot({ dataDir, scratch: dataDir, version: VERSION, nowMs: clock.now() }),
    wakeRunner,
    closing,
  }
  return {
    context,
    acme,
    agents,
    rotations: rotationLoop,
    notifier,
    tick: () => outlook.look().then(() => runner.tick()),
  }
}

type Opened = Awaited<ReturnType<typeof openFleet>>

async function openFleet(store: Store, config: ControllerConfig) {
  const { dataDir, passphrase, publicNames, clock = systemClock, random = randomBytes } = config
  const sealing = createSealing(passphrase)
  const fleet = await store.transaction(tx => tx.settings.get('fleet'))
  if (fleet === undefined) throw notInitialised(dataDir)
  const known = { store, sealing, fleet, publicNames, clock, random }
  return { fleet, sealing, live: await createLiveAuthorities(known) }
}
