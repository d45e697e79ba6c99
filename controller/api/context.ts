// What routes work with. Made once, in controller.ts.

import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'node:https'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import type { RandomBytes } from '../../shared/pki/random.ts'
import type { CaCredential } from '../ca/authority.ts'
import type { ServiceCa } from '../fleet/compile.ts'
import type { Runner } from '../rollout/runner.ts'
import type { Store } from '../store/store.ts'
import type { Authentication } from './policy.ts'
import type { Presence } from './presence.ts'
import type { PreviewBoard } from './preview-board.ts'
import type { WakeBoard } from './wake-board.ts'

export interface ApiContext {
  readonly fleet: string
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly random: RandomBytes
  readonly newId: () => string
  readonly authorities: {
    readonly identity: {
      readonly issuer: CaCredential
      readonly root: string
      /** Of the root, for enrolment tokens. */
      readonly pin: string
    }
    readonly service: { readonly issuer: CaCredential; readonly ca: ServiceCa }
  }
  /** Base URLs as nodes and operators reach them. */
  readonly urls: { readonly agent: string; readonly enroll: string; readonly operator: string }
  readonly runner: Pick<Runner, 'create' | 'claim' | 'abort'>
  readonly presence: Presence
  readonly previews: PreviewBoard
  /** Keys are names of nodes. */
  readonly desiredWakes: WakeBoard
  /** Keys are ids of rollouts. */
  readonly rolloutWakes: WakeBoard
  readonly authentication: Authentication
  /** After identities were put on the denylist. */
  readonly refreshDenied: () => Promise<void>
  /** Rollouts may be able to move. */
  readonly wakeRunner: () => void
  /** Aborted when the controller closes: long polls answer. */
  readonly closing: AbortSignal
}

export type App = FastifyInstance<
  Server,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>
