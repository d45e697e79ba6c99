// What routes work with. Made once, in controller.ts.

import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import type { Clock } from '../../shared/clock.ts'
import type { Logger } from '../../shared/log.ts'
import type { RandomBytes } from '../../shared/pki/random.ts'
import type { Snapshot } from '../backup/snapshot.ts'
import type { CurrentAuthorities } from '../authorities.ts'
import type { Sealing } from '../ca/sealed-key.ts'
import type { IdentityPolicy } from '../ca/succession.ts'
import type { PublicRoots } from '../certificates/provided-pair.ts'
import type { AcmeIssuer } from '../issuers/acme/issuer.ts'
import type { Measures } from '../metrics/measures.ts'
import type { MetricsPage } from '../metrics/page.ts'
import type { NoteReport } from './report-writer.ts'
import type { Runner } from '../rollout/runner.ts'
import type { Rotations } from '../rotation/runner.ts'
import type { ChangeFeed } from './change-feed.ts'
import type { StreamLimits } from './event-stream.ts'
import type { AuthorityKind, AuthorityRecord, Store } from '../store/store.ts'
import type { Nudges } from './nudges.ts'
import type { OperatorSessions } from './operator-sessions.ts'
import type { Authentication } from './policy.ts'
import type { Presence } from './presence.ts'
import type { PreviewBoard } from './preview-board.ts'
import type { ShownPlans } from './shown-plans.ts'
import type { ProbeBoard } from './probe-board.ts'
import type { TrustRefresh } from './trust-refresh.ts'
import type { WakeBoard } from './wake-board.ts'

export interface ApiContext {
  readonly fleet: string
  readonly store: Store
  readonly clock: Clock
  readonly log: Logger
  readonly random: RandomBytes
  readonly newId: () => string
  readonly authorities: {
    /** Of now: not to be kept beyond a request. */
    current(): CurrentAuthorities
    /** The next CA of the kind, in state `prepared`; in no store yet. Throws `root-offline`. */
    make(kind: AuthorityKind): Promise<AuthorityRecord>
  }
  /**
   * After a transaction that changed CAs: signs with them, trusts by them, tells agents. Connections of
   * agents whose CA is trusted no more are cut, all others stay.
   */
  readonly refreshAuthorities: () => Promise<void>
  /** For private keys that the store keeps. */
  readonly sealing: Sealing
  /** Roots of the public CAs. */
  readonly publicRoots: PublicRoots
  /** Directories that certificates are ordered at. */
  readonly acme: Pick<AcmeIssuer, 'states'>
  /** Base URLs as nodes and operators reach them. */
  readonly urls: { readonly agent: string; readonly enroll: string; readonly operator: string }
  readonly runner: Pick<
    Runner,
    | 'create'
    | 'plan'
    | 'claim'
    | 'abort'
    | 'order'
    | 'follow'
    | 'view'
    | 'viewGroups'
    | 'isGrouped'
    | 'groupsOf'
  >
  readonly rotations: Pick<Rotations, 'create' | 'request' | 'look'>
  /** A rotation may be able to move. */
  readonly wakeRotations: () => void
  /** Certificates that nodes have shown go to their clients. */
  readonly trust: TrustRefresh
  readonly presence: Presence
  readonly previews: PreviewBoard
  readonly shownPlans: ShownPlans
  readonly probes: ProbeBoard
  /** Keys are names of nodes. */
  readonly desiredWakes: WakeBoard
  /** What nodes wait for has happened: their poll says so. */
  readonly nudges: Nudges
  /** What has changed, for those who watch. */
  readonly changes: ChangeFeed
  readonly streams: StreamLimits
  /** Keys are ids of rollouts. */
  readonly rolloutWakes: WakeBoard
  readonly authentication: Authentication
  /** Requests of operators that are under way. */
  readonly sessions: OperatorSessions
  readonly identityPolicy: IdentityPolicy
  /** After identities were put on the denylist. One connection may be spared, for the answer on it. */
  readonly refreshDenied: (spared?: Socket) => Promise<void>
  /** A node was locked: its connections are cut, and nobody waits for it. */
  readonly lockedOut: (node: string, spared?: Socket) => Promise<void>
  /** All that this controller keeps, as of now. */
  readonly takeSnapshot: () => Promise<Snapshot>
  /** Rollouts may be able to move. */
  readonly wakeRunner: () => void
  /** What is counted between two scrapes. */
  readonly measures: Measures
  /** What a scrape answers. */
  readonly metrics: MetricsPage
  /** Writes down what webhooks are to be told of a report. */
  readonly noteDrift: NoteReport
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
