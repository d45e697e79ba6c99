// A running controller: store, authorities, rollouts and the three listeners, wired. The command and
// tests start it alike.

import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { type Clock, systemClock } from '../shared/clock.ts'
import { OperationalError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { certificateFacts } from '../shared/pki/facts.ts'
import { spkiPin } from '../shared/pki/pin.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { Secret } from '../shared/secret.ts'
import { createAgentAuthentication } from './api/agent-authentication.ts'
import { renewCertificate } from './api/app.ts'
import { closeApps } from './api/close.ts'
import type { ApiContext, App } from './api/context.ts'
import { authenticateOperator } from './api/operator-authentication.ts'
import { createPresence } from './api/presence.ts'
import { createPreviewBoard } from './api/preview-board.ts'
import { createAgentApp, createEnrollApp, createOperatorApp } from './api/server.ts'
import { createWakeBoard } from './api/wake-board.ts'
import { openAuthority, type OpenedAuthority } from './authorities.ts'
import { createSealing } from './ca/sealed-key.ts'
import { type ControllerSettings, type ListenAddress, publicUrl } from './config.ts'
import type { ServiceCa } from './fleet/compile.ts'
import { databasePath, notInitialised } from './init.ts'
import { startLoops } from './loops.ts'
import { createRunner } from './rollout/runner.ts'
import { issueServerCertificate } from './server-certificate.ts'
import { openSqliteStore } from './store/sqlite.ts'
import type { Store } from './store/store.ts'
import { VERSION } from './version.ts'

export interface ControllerConfig
  extends Pick<ControllerSettings, 'dataDir' | 'listen' | 'publicNames'> {
  readonly passphrase: Secret
  readonly log: Logger
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
  const store = await openSqliteStore({ path, busyTimeoutMs: BUSY_TIMEOUT_MS })
  try {
    return await start(store, config)
  } catch (error) {
    await store.close()
    throw error
  }
}

async function start(store: Store, config: ControllerConfig): Promise<Controller> {
  const { publicNames, clock = systemClock, random = randomBytes } = config
  const authorities = await openAuthorities(store, config)
  const { fleet, identity } = authorities
  const closing = new AbortController()
  const urls = { operator: '', agent: '', enroll: '' }
  const rounds = { wakeRunner: () => {} }
  const { context, agents, tick } = wire(store, config, {
    ...authorities,
    urls,
    closing: closing.signal,
    wakeRunner: () => rounds.wakeRunner(),
  })

  const issue = () =>
    issueServerCertificate({ authority: identity, publicNames, nowMs: clock.now(), random })
  const clientCa = [identity.root, identity.issuer.certificatePem]
  const certificate = await issue()
  const agent = createAgentApp({ certificate, clientCa }, context)
  const enroll = createEnrollApp(certificate, context)
  const operator = await createOperatorApp(certificate, context, VERSION)
  const apps = [agent, enroll, operator]
  agents.watch(agent.server)
  await agents.refreshDenied()

  try {
    // In this order: an enrolment answers with the agents' URL, an operator's token has that of enrolment.
    urls.agent = await listen(agent, config.listen.agent, publicNames)
    urls.enroll = await listen(enroll, config.listen.enroll, publicNames)
    urls.operator = await listen(operator, config.listen.operator, publicNames)
  } catch (error) {
    await closeApps(apps)
    throw error
  }

  const loops = startLoops({
    context,
    tick,
    async renewCertificates() {
      const renewed = await issue()
      renewCertificate(agent, { certificate: renewed, clientCa })
      for (const app of [enroll, operator]) renewCertificate(app, { certificate: renewed })
    },
  })
  rounds.wakeRunner = loops.wakeRunner

  return {
    fleet,
    pin: context.authorities.identity.pin,
    identityRoot: identity.root,
    urls,
    async close() {
      closing.abort()
      context.desiredWakes.close()
      context.rolloutWakes.close()
      await closeApps(apps)
      await loops.stop()
      await store.close()
    },
  }
}

/** What the routes work with, and what only we need of it. */
function wire(
  store: Store,
  config: ControllerConfig,
  made: Authorities & Pick<ApiContext, 'urls' | 'closing' | 'wakeRunner'>,
) {
  const { log, clock = systemClock, random = randomBytes } = config
  const { fleet, identity, service, urls, closing, wakeRunner } = made
  const presence = createPresence(clock)
  const desiredWakes = createWakeBoard()
  const wake = (nodes: readonly string[]) => desiredWakes.wake(nodes)
  const agents = createAgentAuthentication({ store, clock, fleet })
  const runner = createRunner({
    store,
    clock,
    onPublished: wake,
    isOnline: member => presence.isOnline(member),
    log: log.child({ part: 'rollouts' }),
    newId: randomUUID,
  })
  const context: ApiContext = {
    fleet,
    store,
    clock,
    log,
    random,
    newId: randomUUID,
    authorities: {
      identity: { issuer: identity.issuer, root: identity.root, pin: spkiPin(identity.root) },
      service: { issuer: service.issuer, ca: serviceCa(service) },
    },
    urls,
    runner,
    presence,
    previews: createPreviewBoard({ clock, newId: randomUUID, wake }),
    desiredWakes,
    rolloutWakes: createWakeBoard(),
    authentication: {
      async agent(request) {
        const caller = await agents.authenticate(request)
        presence.heard(caller.node)
        return caller
      },
      operator: request => authenticateOperator({ store, clock }, request),
    },
    refreshDenied: () => agents.refreshDenied(),
    wakeRunner,
    closing,
  }
  return { context, agents, tick: () => runner.tick() }
}

function serviceCa({ root, issuer }: OpenedAuthority): ServiceCa {
  return { trust: [root], issuedBy: certificateFacts(issuer.certificatePem).fingerprint }
}

type Authorities = Awaited<ReturnType<typeof openAuthorities>>

async function openAuthorities(store: Store, { dataDir, passphrase }: ControllerConfig) {
  const sealing = createSealing(passphrase)
  return store.transaction(async tx => {
    const fleet = await tx.settings.get('fleet')
    if (fleet === undefined) throw notInitialised(dataDir)
    const identity = await openAuthority(tx, { kind: 'identity', fleet }, sealing)
    const service = await openAuthority(tx, { kind: 'service', fleet }, sealing)
    return { fleet, identity, service }
  })
}

async function listen(
  app: App,
  { host, port }: ListenAddress,
  publicNames: readonly string[],
): Promise<string> {
  try {
    await app.listen({ host, port })
  } catch (cause) {
    throw new OperationalError('address-unusable', `could not listen on ${host} port ${port}`, {
      cause,
    })
  }
  const address = app.server.address()
  const actual = typeof address === 'object' && address !== null ? address.port : port
  return publicUrl(publicNames, actual)
}
