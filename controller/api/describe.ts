// The API description without a running controller: routes are declared and never called.

import { assert } from '../../shared/assert.ts'
import { systemClock } from '../../shared/clock.ts'
import { silentLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import type { ApiContext } from './context.ts'
import { IDENTITY_POLICY } from '../ca/succession.ts'
import { createChangeFeed } from './change-feed.ts'
import { createStreamLimits } from './event-stream.ts'
import { createMeasures } from '../metrics/measures.ts'
import { createNudges } from './nudges.ts'
import { createOperatorSessions } from './operator-sessions.ts'
import { createPresence } from './presence.ts'
import { createPreviewBoard } from './preview-board.ts'
import { createProbeBoard } from './probe-board.ts'
import { createShownPlans } from './shown-plans.ts'
import { descriptionOf, routeSchemas, type RouteSchemas } from './operator/openapi.ts'
import { createOperatorApp } from './server.ts'
import { createWakeBoard } from './wake-board.ts'

export async function describeOperatorApi(version: string): Promise<unknown> {
  const app = await createOperatorApp({ certificate: NO_CERTIFICATE }, uncalledContext(), version)
  await app.ready()
  const description = descriptionOf(app)
  await app.close()
  return description
}

/** The schemas that the routes check with, for whoever compares the description with them. */
export async function operatorSchemas(): Promise<readonly RouteSchemas[]> {
  const app = await createOperatorApp({ certificate: NO_CERTIFICATE }, uncalledContext(), '')
  await app.ready()
  const schemas = routeSchemas(app)
  await app.close()
  return schemas
}

function uncalledContext(): ApiContext {
  const uncalled = () => assert(false, 'nothing is called while the API is described')
  const never = async (): Promise<never> => {
    uncalled()
    throw new Error()
  }
  const sessions = createOperatorSessions(systemClock)
  return {
    fleet: 'fleet',
    store: { transaction: never, close: never },
    clock: systemClock,
    log: silentLog,
    random: size => new Uint8Array(size),
    newId: () => '',
    authorities: {
      current() {
        uncalled()
        throw new Error()
      },
      make: never,
    },
    refreshAuthorities: never,
    sealing: {
      seal: () => '',
      open: () => new Secret(''),
    },
    publicRoots: { named: () => [] },
    acme: { states: () => [] },
    urls: { agent: '', enroll: '', operator: '' },
    runner: {
      create: never,
      plan: never,
      claim: never,
      abort: never,
      order: never,
      follow: never,
      view: never,
      isGrouped: never,
      groupsOf: never,
      viewGroups: never,
    },
    rotations: { create: never, request: never, look: never },
    wakeRotations: uncalled,
    trust: { wake: uncalled, look: never },
    presence: createPresence({ clock: systemClock }),
    previews: createPreviewBoard({ clock: systemClock, newId: () => '', wake: uncalled }),
    probes: createProbeBoard({ clock: systemClock, newId: () => '', wake: uncalled }),
    shownPlans: createShownPlans(systemClock),
    desiredWakes: createWakeBoard(),
    nudges: createNudges(createWakeBoard()),
    changes: createChangeFeed(systemClock),
    streams: createStreamLimits(),
    rolloutWakes: createWakeBoard(),
    authentication: { agent: never, operator: never, endsSoon: () => undefined, sessions },
    sessions,
    identityPolicy: IDENTITY_POLICY,
    refreshDenied: never,
    lockedOut: never,
    takeSnapshot: never,
    wakeRunner: uncalled,
    measures: createMeasures(),
    metrics: { text: never },
    noteDrift: never,
    closing: new AbortController().signal,
  }
}

const NO_CERTIFICATE = { chainPem: '', keyPem: '' }
