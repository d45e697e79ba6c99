// Requests for certificates that others sign: people outside (issuer `csr`) or a directory (`acme`).

import type { Names, Reason } from '../../shared/contract/schema.ts'
import type { ServiceName } from '../../shared/contract/service.ts'

/** Issuers whose certificates are asked for here and signed elsewhere. */
export const REQUEST_ISSUERS = ['csr', 'acme'] as const
export type RequestIssuer = (typeof REQUEST_ISSUERS)[number]

/** `withdrawn`: nobody wants the answer any more, because the node asked anew or wants something else. */
export const REQUEST_STATES = ['pending', 'signed', 'refused', 'withdrawn'] as const
export type RequestState = (typeof REQUEST_STATES)[number]

export interface CertificateRequestRecord {
  /** Rises with time; lists are in this order. */
  readonly sequence: number
  readonly id: string
  readonly node: string
  readonly service: ServiceName
  readonly issuer: RequestIssuer
  /** Issuer `acme`: name of the directory. */
  readonly directory: string | undefined
  readonly publicKeyDigest: string
  /** `ec-p256`, `rsa-3072` … */
  readonly keyType: string
  /** PKCS#10, PEM, self-signature verified. */
  readonly csr: string
  /** Normalized; those of the document, and of the request. */
  readonly names: Names
  readonly clientUse: boolean
  /** The lifetime that the document asks for; who signs decides. */
  readonly lifetimeMs: number
  /** Of the document that it was asked for first. */
  readonly generation: number
  readonly createdAtMs: number
  readonly state: RequestState
  /** State `signed`: leaf first, then its issuers. */
  readonly certificateChain: string | undefined
  /** Why it was refused or withdrawn; of a pending one what it waits for. */
  readonly reason: Reason | undefined
  readonly settledAtMs: number | undefined
}

export type NewCertificateRequest = Omit<
  CertificateRequestRecord,
  'sequence' | 'state' | 'certificateChain' | 'settledAtMs'
>

export type RequestSettlement =
  | { readonly state: 'signed'; readonly certificateChain: string }
  | { readonly state: 'refused' | 'withdrawn'; readonly reason: Reason }

export interface CertificateRequests {
  /** State `pending`. */
  insert(request: NewCertificateRequest): Promise<void>
  get(id: string): Promise<CertificateRequestRecord | undefined>
  /** That is its id, or those whose id begins so: two of them at most. */
  findById(prefix: string): Promise<readonly CertificateRequestRecord[]>
  /** The newest one of this node, service and key, whatever its state. */
  findByKey(
    node: string,
    service: ServiceName,
    publicKeyDigest: string,
  ): Promise<CertificateRequestRecord | undefined>
  /** The newest one for this key, whoever asked. */
  findByAnyKey(publicKeyDigest: string): Promise<CertificateRequestRecord | undefined>
  /** Whether another node or another service asked with this key. */
  keyUsedByOther(node: string, service: ServiceName, publicKeyDigest: string): Promise<boolean>
  /** By sequence, ascending, starting after `after`. */
  list(page: RequestPage): Promise<readonly CertificateRequestRecord[]>
  /** Pending ones of a node, of all its services. */
  countPending(node: string): Promise<number>
  /** Of a node, made at this time or later, whatever their state. */
  countSince(node: string, sinceMs: number): Promise<number>
  /** What a pending one waits for. Nothing happens to one that is settled. */
  note(id: string, reason: Reason): Promise<void>
  /** False: it was settled before, and stays as it is. */
  settle(id: string, settlement: RequestSettlement, atMs: number): Promise<boolean>
  /** Forgets those that were settled before; what is signed is in `leaves`. Gives how many. */
  prune(settledBeforeMs: number): Promise<number>
}

export interface RequestPage {
  readonly after?: number
  readonly limit: number
  readonly state?: RequestState
  readonly issuer?: RequestIssuer
  readonly node?: string
  readonly service?: ServiceName
}
