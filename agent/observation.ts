// What was observed of one service: the input of the plan. Data only.

import type { Handshake, UnitState } from './host.ts'
import type { MaterialObservation, SourcePair } from './resources/material.ts'
import type { TextFile } from './resources/text-file.ts'
import type { Compilation, ListenerIntent } from './services/service.ts'
import type { ServiceTls } from '../shared/contract/service.ts'

export type ServiceObservation =
  | { readonly kind: 'not-installed'; readonly tls: ServiceTls }
  | {
      readonly kind: 'observed'
      readonly tls: ServiceTls
      readonly unit: UnitState
      readonly compilation: Compilation
      readonly node: NodeFacts | undefined
    }

/** Present when the driver could compile. */
export interface NodeFacts {
  /** Ids of the unit's user and group; undefined: the node does not know them. */
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  readonly material: MaterialObservation
  /** By path: the files that the driver wants edited, and the trust bundle. */
  readonly files: Readonly<Record<string, TextFile>>
  /** CA certificates that the issuer brings along (local-ca), and what `files` was given. */
  readonly issuerTrust: readonly string[]
  readonly source: SourcePair | undefined
  readonly served: readonly ServedListener[]
  /** See Host.isOffline. */
  readonly isOffline: boolean
  /** Newest change of the files above, milliseconds since the epoch. */
  readonly inputsChangedAtMs: number
}

export interface ServedListener {
  readonly listener: ListenerIntent
  readonly handshake: Handshake
}
