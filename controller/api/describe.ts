// The API description without a running controller: routes are declared and never called.

import { assert } from '../../shared/assert.ts'
import { systemClock } from '../../shared/clock.ts'
import { silentLog } from '../../shared/log.ts'
import { Secret } from '../../shared/secret.ts'
import type { ApiContext } from './context.ts'
import { createPresence } from './presence.ts'
import { createPreviewBoard } from './preview-board.ts'
import { createOperatorApp } from './server.ts'
import { createWakeBoard } from './wake-board.ts'

export async function describeOperatorApi(version: string): Promise<unknown> {
  const app = await createOperatorApp(NO_CERTIFICATE, uncalledContext(), version)
  await app.ready()
  const description: unknown = app.swagger({ yaml: false })
  await app.close()
  return description
}

function uncalledContext(): ApiContext {
  const uncalled = () => assert(false, 'nothing is called while the API is described')
  const never = async (): Promise<never> => {
    uncalled()
    throw new Error()
  }
  const issuer = { fleet: 'fleet', certificatePem: '', keyPem: new Secret('') }
  return {
    fleet: 'fleet',
    store: { transaction: never, close: never },
    clock: systemClock,
    log: silentLog,
    random: size => new Uint8Array(size),
    newId: () => '',
    authorities: {
      identity: { issuer: { kind: 'identity', ...issuer }, root: '', pin: '' },
      service: { issuer: { kind: 'service', ...issuer }, ca: { trust: [], issuedBy: '' } },
    },
    urls: { agent: '', enroll: '', operator: '' },
    runner: { create: never, claim: never, abort: never },
    presence: createPresence(systemClock),
    previews: createPreviewBoard({ clock: systemClock, newId: () => '', wake: uncalled }),
    desiredWakes: createWakeBoard(),
    rolloutWakes: createWakeBoard(),
    authentication: { agent: never, operator: never },
    refreshDenied: never,
    wakeRunner: uncalled,
    closing: new AbortController().signal,
  }
}

const NO_CERTIFICATE = { chainPem: '', keyPem: '' }
