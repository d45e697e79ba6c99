// Accounts at ACME directories, and how far the order of each request has come. An order outlives
// every crash: its URL is written down before it can lead to a certificate.

import type { Names, Reason } from '../../shared/contract/schema.ts'
import type { ServiceName } from '../../shared/contract/service.ts'

export interface AcmeAccountRecord {
  /** Name of the directory in the configuration. */
  readonly directory: string
  /** Of the directory: another URL under the same name is another account. */
  readonly directoryUrl: string
  /** Undefined until the directory has confirmed it. */
  readonly accountUrl: string | undefined
  /** Sealed private key (ca/sealed-key.ts). Never a plaintext key. */
  readonly keySealed: string
  readonly createdAtMs: number
}

/** A TXT record that was asked for and not known to be removed. */
export interface AcmeDnsRecord {
  /** With a dot at the end. */
  readonly fqdn: string
  readonly value: string
}

/**
 * `waiting`: nothing is ordered. `ordered`: the directory has an order. `finalizing`: the request may
 * be there, so a certificate may exist. `ended`: settled or no longer wanted; kept for a while to count
 * orders by, and while records of it are to be removed.
 */
export const ACME_ORDER_STATES = ['waiting', 'ordered', 'finalizing', 'ended'] as const
export type AcmeOrderState = (typeof ACME_ORDER_STATES)[number]

export interface AcmeOrderRecord {
  /** Id of the certificate request. */
  readonly request: string
  readonly directory: string
  readonly directoryUrl: string
  readonly node: string
  readonly service: ServiceName
  readonly names: Names
  readonly state: AcmeOrderState
  /** At the directory; set in every state but `waiting`, and in `ended` if there was one. */
  readonly orderUrl: string | undefined
  /** When the newest order of this request was placed. */
  readonly orderedAtMs: number | undefined
  readonly dnsRecords: readonly AcmeDnsRecord[]
  /** Failures in a row. */
  readonly attempts: number
  readonly nextAttemptAtMs: number
  /** What it waits for, or why the last attempt failed. */
  readonly reason: Reason | undefined
  readonly updatedAtMs: number
}

export interface Acme {
  account(directory: string, directoryUrl: string): Promise<AcmeAccountRecord | undefined>
  accounts(): Promise<readonly AcmeAccountRecord[]>
  /** Fails with `already-exists`. */
  insertAccount(account: AcmeAccountRecord): Promise<void>
  /** Undefined: the directory does not know it (any more). */
  setAccountUrl(directory: string, directoryUrl: string, url: string | undefined): Promise<void>
  order(request: string): Promise<AcmeOrderRecord | undefined>
  /** Inserts, or replaces the one of the same request. */
  putOrder(order: AcmeOrderRecord): Promise<void>
  /** All but those that have ended and left nothing behind; by time of the next attempt. */
  openOrders(): Promise<readonly AcmeOrderRecord[]>
  /** The same in pages, by id of the request, which does not change meanwhile. */
  listOrders(page: {
    readonly after?: string
    readonly limit: number
  }): Promise<readonly AcmeOrderRecord[]>
  /** Orders placed at a directory since then. */
  countOrdered(directory: string, sinceMs: number): Promise<number>
  /** Forgets orders that ended before. */
  pruneOrders(endedBeforeMs: number): Promise<void>
}
