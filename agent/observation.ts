// What was observed of one service: the input of the plan. Data only.

import type { Handshake, HttpAnswer, UnitState } from './host.ts'
import type { KeystoreFile } from './resources/keystore-file.ts'
import type { MaterialObservation, SourcePair } from './resources/material.ts'
import type { StorePassword } from './resources/store.ts'
import type { TextFile } from './resources/text-file.ts'
import type { Compilation, ListenerIntent } from './services/service.ts'
import type { Reason } from '../shared/contract/schema.ts'
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
  /** Directories that files to be made need and that are not there, parents first. */
  readonly missingDirectories: readonly string[]
  /** By path: the stores of secrets that the driver wants entries in. */
  readonly keystores: Readonly<Record<string, KeystoreFile>>
  /** Password of the PKCS#12 files; undefined: none is kept yet, and none can be adopted. */
  readonly storePassword: StorePassword | undefined
  /** CA certificates that the issuer brings along (local-ca), and what `files` was given. */
  readonly issuerTrust: readonly string[]
  readonly source: SourcePair | undefined
  readonly served: readonly ServedListener[]
  /** What is wrong with the listeners of others that the product connects to. */
  readonly upstreamNotices: readonly Reason[]
  /** See Host.isOffline. */
  readonly isOffline: boolean
  /** Newest change of the files above, milliseconds since the epoch. */
  readonly inputsChangedAtMs: number
}

export interface ServedListener {
  readonly listener: ListenerIntent
  readonly handshake: Handshake
  /** Answer to `membersPath` of the listener's cluster. */
  readonly members?: HttpAnswer | undefined
}
