// What nodes have shown of their self-signed certificates. Judged before it is stored: from here it
// goes to clients as trust.

import type { ServiceName } from '../../shared/contract/service.ts'

export interface SelfSignedRecord {
  readonly node: string
  readonly service: ServiceName
  /** PEM, in use. Undefined: it is only prepared yet. */
  readonly current: string | undefined
  /** PEM, prepared to follow it. */
  readonly next: string | undefined
  /** Every client holds the next one: the node may use it. */
  readonly isNextGiven: boolean
  readonly changedAtMs: number
}

export interface SelfSignedCertificates {
  get(node: string, service: ServiceName): Promise<SelfSignedRecord | undefined>
  /** By node and service, ascending. */
  list(): Promise<readonly SelfSignedRecord[]>
  /** In place of what is there for the node and the service. */
  put(record: SelfSignedRecord): Promise<void>
  /** False: there was nothing. */
  remove(node: string, service: ServiceName): Promise<boolean>
}

/** When the leaf of a service that our CA issued last is renewed. */
export interface RenewalRecord {
  readonly node: string
  readonly service: ServiceName
  /** Those who are not to be renewed together. */
  readonly group: string
  readonly renewAtMs: number
}

export interface RenewalLoad {
  /** Number of the slot: the time divided by its length. */
  readonly slot: number
  /** Of the group. */
  readonly group: number
  /** Of the same product, in other groups. */
  readonly others: number
}

export interface Renewals {
  put(record: RenewalRecord): Promise<void>
  /** How many others are renewed in each slot between two times; slots without anybody are left out. */
  loads(question: {
    /** Not counted itself. */
    readonly node: string
    readonly service: ServiceName
    readonly group: string
    readonly fromMs: number
    readonly untilMs: number
    readonly slotMs: number
  }): Promise<readonly RenewalLoad[]>
}
