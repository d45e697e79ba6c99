// The CAs that the controller has and had: of each kind one signs, others are on their way in or out.

import type { AuthorityKind, AuthorityState } from '../../shared/contract/authorities.ts'

export type { AuthorityKind, AuthorityState }

export interface AuthorityRecord {
  /** Kind and number, `service-2`: numbers rise and are never given twice. */
  readonly id: string
  readonly kind: AuthorityKind
  readonly state: AuthorityState
  readonly rootCertificate: string
  /** The one that signs, or would. */
  readonly intermediateCertificate: string
  /** Intermediates that signed before it, under the same root, oldest first. */
  readonly formerIntermediates: readonly string[]
  /** Sealed private keys (ca/sealed-key.ts), text. Never a plaintext key. Undefined: it is kept offline, or destroyed. */
  readonly rootKeySealed: string | undefined
  /** Undefined: destroyed. */
  readonly intermediateKeySealed: string | undefined
  /** Of the last of the former ones: it signs on for nodes whose documents name it. */
  readonly formerKeySealed: string | undefined
  /** Since when it is known to be in the wrong hands. */
  readonly taintedAtMs: number | undefined
  readonly createdAtMs: number
  /** Since when it is in this state. */
  readonly changedAtMs: number
}

export interface Authorities {
  /** By number, ascending: the order in which they were made. */
  list(kind: AuthorityKind): Promise<readonly AuthorityRecord[]>
  get(id: string): Promise<AuthorityRecord | undefined>
  /** The one that signs. */
  active(kind: AuthorityKind): Promise<AuthorityRecord | undefined>
  /** Fails with `already-exists` for an id that is taken, or a second `active` one of a kind. */
  insert(record: AuthorityRecord): Promise<void>
  /**
   * State `denied` destroys its keys. Fails with `not-found`, and with `authority-conflict` where another one of the kind is `active`: that
   * one goes first, in the same transaction. Which changes make sense, ca/generations.ts says.
   */
  setState(id: string, state: AuthorityState, atMs: number): Promise<void>
  /** Once; later times change nothing. Fails with `not-found`. */
  taint(id: string, atMs: number): Promise<void>
  /** Another intermediate under the same root signs from now on. Fails with `not-found`. */
  replaceIntermediate(id: string, next: NextIntermediate): Promise<void>
  /** For good; certificates stay. Fails with `not-found`. */
  destroyKeys(id: string): Promise<void>
}

export interface NextIntermediate {
  readonly certificate: string
  readonly keySealed: string
}
