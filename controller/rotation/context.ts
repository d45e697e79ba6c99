// What rotations need of the controller around them.

import type { Clock } from '../../shared/clock.ts'
import type { CompiledFleet, ServiceCa } from '../fleet/compile.ts'
import type { FleetSpec } from '../fleet/intent.ts'
import type { AskNodes } from '../rollout/follow.ts'
import type { Runner, RunnerLog } from '../rollout/runner.ts'
import type { AuthorityKind, AuthorityRecord, Store, Transaction } from '../store/store.ts'

export interface CompiledText {
  readonly spec: FleetSpec
  readonly digest: string
  readonly fleet: Pick<CompiledFleet, 'nodes'>
}

export interface RotationsContext {
  readonly store: Store
  readonly clock: Clock
  readonly log: RunnerLog
  /** Names a new rotation; unique for ever. */
  readonly newId: () => string
  readonly runner: Pick<Runner, 'create' | 'abort'>
  /** What the nodes of a step would change, in bounded time; who does not answer is held to nothing. Throws `closing`. */
  readonly askNodes: AskNodes
  readonly isOnline: (node: {
    readonly node: string
    readonly seenAtMs: number | undefined
  }) => boolean
  /** A fleet spec for the nodes that there are. Throws `invalid-spec`, `wrong-fleet`. */
  readonly compile: (
    tx: Transaction,
    text: string,
    world: { readonly ca: ServiceCa; readonly isStored: boolean },
  ) => Promise<CompiledText>
  /** As ordinary contents are compiled with it now. */
  readonly serviceCa: () => ServiceCa
  /** The next one, with new keys, in state `prepared`; in no store yet. Throws `root-offline`. */
  readonly makeAuthority: (kind: AuthorityKind) => Promise<AuthorityRecord>
  /** CAs have changed in the store: what was read of them is read again, and agents learn of it. */
  readonly onAuthorities: () => Promise<void>
  /** Rollouts may be able to move. */
  readonly wakeRunner: () => void
}
