// What the controller keeps. Everything else in the controller sees this interface only;
// implementations are node:sqlite (sqlite.ts) and, later, PostgreSQL. test/contract/store.ts is the
// conformance suite that each of them passes.
//
// All reads and writes happen in a transaction: serializable, durable when `transaction` resolves.
// The work may run again after a conflict, so it has no other effect. Times are milliseconds since
// the epoch unless a name says `controllerTime`.

import type { Labels, Names, Reason } from '../../shared/contract/schema.ts'
import type { DesiredContent, DesiredState, Mode } from '../../shared/contract/desired-state.ts'
import type { Report } from '../../shared/contract/report.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import type { LabelCondition } from '../fleet/label-query.ts'
import type { Changes } from '../rollout/change-log.ts'
import type { Audit } from './audit-store.ts'
import type { Authorities } from './authorities-store.ts'
import type { Credentials, Operators } from './operators-store.ts'
import type { NodeHistory } from './node-history-store.ts'
import type { Notifications } from './notifications-store.ts'
import type { Debts } from './debts-store.ts'
import type { Previews } from './previews-store.ts'
import type { ControllerTime, Freezes } from './groups-store.ts'
import type { Idempotency } from './idempotency-store.ts'
import type { Leases, Rollouts } from './rollouts-store.ts'
import type { ProvidedPairs } from './provided-store.ts'
import type { SealedKeys } from './sealed-store.ts'
import type { Acme } from './acme-store.ts'
import type { CertificateRequests } from './requests-store.ts'
import type { Rotations } from './rotations-store.ts'
import type { Renewals, SelfSignedCertificates } from './self-signed-store.ts'

export type { Audit, AuditRecord } from './audit-store.ts'
export type {
  CredentialRecord,
  Credentials,
  OperatorRecord,
  Operators,
  Role,
} from './operators-store.ts'
export type { AcmeOrderRecord } from './acme-store.ts'
export type { AuthorityKind, AuthorityRecord, AuthorityState } from './authorities-store.ts'
export type { ProvidedRecord } from './provided-store.ts'

export type {
  LeaseRecord,
  Leases,
  ReportExcerpt,
  RolloutMember,
  RolloutSummary,
  Rollouts,
} from './rollouts-store.ts'

export interface Store {
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  close(): Promise<void>
}

export interface Transaction {
  readonly settings: Settings
  readonly authorities: Authorities
  readonly nodes: Nodes
  readonly tokens: EnrollmentTokens
  readonly identities: Identities
  readonly revisions: Revisions
  readonly desired: DesiredStates
  readonly reports: Reports
  readonly leaves: Leaves
  readonly provided: ProvidedPairs
  readonly sealed: SealedKeys
  readonly requests: CertificateRequests
  readonly acme: Acme
  readonly rollouts: Rollouts
  readonly nodeHistory: NodeHistory
  readonly previews: Previews
  readonly rotations: Rotations
  readonly selfSigned: SelfSignedCertificates
  readonly renewals: Renewals
  readonly leases: Leases
  readonly debts: Debts
  readonly controllerTime: ControllerTime
  readonly freezes: Freezes
  readonly idempotency: Idempotency
  readonly operators: Operators
  readonly credentials: Credentials
  readonly notifications: Notifications
  readonly audit: Audit
}

/** Small values by name: fleet name, public URLs, schema of nothing. Absent: undefined. */
export interface Settings {
  get(name: string): Promise<string | undefined>
  set(name: string, value: string): Promise<void>
}

export interface NodeRecord {
  readonly name: string
  readonly labels: Labels
  /** Names recorded by an operator; the only source of names in certificates. */
  readonly names: Names
  readonly createdAtMs: number
  /** When the node's current identity was enrolled; undefined: not enrolled yet. */
  readonly enrolledAtMs: number | undefined
  /** Last time that the agent was heard of. Updated in groups, may lag by some seconds. */
  readonly seenAtMs: number | undefined
}

/** Why a node has to be enrolled anew. */
export interface NodeLock {
  readonly reason: Reason
  readonly atMs: number
}

export interface NodePage {
  readonly after?: string
  readonly limit: number
  readonly labels?: readonly LabelCondition[]
  readonly names?: readonly string[]
}

export interface Nodes {
  /** Fails with `already-exists`. */
  insert(node: NodeRecord): Promise<void>
  get(name: string): Promise<NodeRecord | undefined>
  /** By name, ascending, starting after `after`; those that all conditions hold for, and of `names` when there are any. */
  list(page: NodePage): Promise<readonly NodeRecord[]>
  /** Reports of the newly enrolled agent count from the beginning; a lock is lifted. */
  setEnrolled(name: string, atMs: number): Promise<void>
  setSeen(names: readonly string[], atMs: number): Promise<void>
  /** What operators have recorded of it. Fails with `not-found`. */
  change(name: string, recorded: Pick<NodeRecord, 'labels' | 'names'>): Promise<void>
  /** Until it is enrolled anew the node shows this reason. Denying its identities is done apart. */
  lock(name: string, lock: NodeLock): Promise<void>
  lockOf(name: string): Promise<NodeLock | undefined>
  /** Removes the node with its tokens, desired state, report and leaves; its identities go to the denylist. False: no such node. */
  remove(name: string, atMs: number): Promise<boolean>
  /**
   * Nodes that may have been added, removed, labelled or renamed since `cursor` was given out, or whose
   * document may be of another revision; never too few. Undefined `nodes`: any may. What a transaction
   * wrote that came to nothing is told again.
   */
  changedSince(cursor: number | undefined): Promise<Changes>
}

export interface EnrollmentTokenRecord {
  readonly id: string
  readonly node: string
  /** SHA-256 of the secret; the secret itself is nowhere. */
  readonly secretHash: string
  readonly expiresAtMs: number
  /** SHA-256 of the SPKI that redeemed it; the same key may come again until it expires. */
  readonly redeemedBy: string | undefined
  readonly createdAtMs: number
  /** Of the identity root that it names. Undefined: the one that there was before roots followed one another. */
  readonly pin?: string | undefined
}

export interface EnrollmentTokens {
  insert(token: EnrollmentTokenRecord): Promise<void>
  get(id: string): Promise<EnrollmentTokenRecord | undefined>
  /** One atomic update: true when the token was unredeemed, or redeemed by this same key. */
  redeem(id: string, publicKeyDigest: string): Promise<boolean>
  /** None that was made before can be redeemed any more, not even by the key that did so already. */
  expireAll(atMs: number): Promise<void>
  /** Those that somebody may still come with for the first time: neither redeemed nor expired. */
  outstanding(nowMs: number): Promise<readonly EnrollmentTokenRecord[]>
  /** By id, starting after `after`; of one node, when one is named. */
  list(page: {
    readonly after?: string
    readonly limit: number
    readonly node?: string
  }): Promise<readonly EnrollmentTokenRecord[]>
  /** None that was given out for this node is good any more. */
  removeOf(node: string): Promise<void>
}

export interface IdentityRecord {
  /** SHA-256 of the certificate. */
  readonly fingerprint: string
  readonly node: string
  readonly publicKeyDigest: string
  readonly certificateChain: string
  /** Counts the identities of a node, starting at 1; the one issued last has the highest. */
  readonly generation: number
  readonly notAfterMs: number
  readonly issuedAtMs: number
  /** First use of it. Undefined: it may never have arrived. */
  readonly confirmedAtMs: number | undefined
  readonly deniedAtMs: number | undefined
  readonly deniedFor: DenialCause | undefined
}

/** `superseded`: another one was issued in its place before it was ever used. */
export type DenialCause = 'removed' | 'replaced' | 'revoked' | 'cloned' | 'superseded'

export interface Denial {
  readonly cause: DenialCause
  readonly atMs: number
}

export interface Identities {
  /** Numbers it: one above every generation that the node ever had, also under an earlier record. */
  insert(identity: Omit<IdentityRecord, 'generation'>): Promise<IdentityRecord>
  /** The newest certificate issued to this node for this key. */
  findByKey(node: string, publicKeyDigest: string): Promise<IdentityRecord | undefined>
  get(fingerprint: string): Promise<IdentityRecord | undefined>
  /** The newest certificate of a node that is not on the denylist. */
  latest(node: string): Promise<IdentityRecord | undefined>
  /** Whether another node was ever issued a certificate for this key. */
  keyUsedByOther(node: string, publicKeyDigest: string): Promise<boolean>
  /** Writes down the first use; later ones change nothing. */
  confirm(fingerprint: string, atMs: number): Promise<void>
  /** Of all that were ever used, the one with the highest generation. */
  newestConfirmed(node: string): Promise<IdentityRecord | undefined>
  /** Denies every identity of the node. Earlier denials stay, but for `superseded` ones, which take the new cause. */
  deny(node: string, denial: Denial): Promise<void>
  /** Denies what was issued after this generation and never used. False: there was nothing. */
  supersede(node: string, generation: number, atMs: number): Promise<boolean>
  /** The denylist: certificates that have not ended before `nowMs`. */
  denied(
    nowMs: number,
  ): Promise<readonly { readonly fingerprint: string; readonly cause: DenialCause }[]>
  /** Forgets certificates that ended before, denied or not; of each node the newest one stays. Gives how many. */
  prune(endedBeforeMs: number): Promise<number>
}

export interface RevisionRecord {
  readonly number: number
  /** Digest of the parsed spec: formatting does not matter. */
  readonly digest: string
  /** The YAML text as it was given. */
  readonly text: string
  readonly author: string
  readonly createdAtMs: number
}

export interface Revisions {
  /** Numbers are consecutive, starting at 1. */
  insert(revision: Omit<RevisionRecord, 'number'>): Promise<RevisionRecord>
  latest(): Promise<RevisionRecord | undefined>
  get(number: number): Promise<RevisionRecord | undefined>
  /** Newest first. */
  list(page: {
    readonly before?: number
    readonly limit: number
  }): Promise<readonly RevisionRecord[]>
}

export interface DesiredRecord {
  readonly state: DesiredState
  readonly revision: number | undefined
}

export interface PublishedContent {
  readonly content: DesiredContent
  readonly revision: number | undefined
}

/** A desired state without its content, which is large. */
export interface DesiredHead {
  readonly node: string
  readonly mode: Mode
  readonly contentDigest: string
}

export interface DesiredStates {
  get(node: string): Promise<DesiredRecord | undefined>
  /** By name of the node, ascending, starting after `after`. */
  heads(page: { readonly after?: string; readonly limit: number }): Promise<readonly DesiredHead[]>
  /**
   * Fails with `generation-conflict` unless the generation is above every one this node ever had, and
   * with `epoch-outdated` unless the document is of the current epoch.
   */
  put(record: DesiredRecord): Promise<void>
  /** By node, the revision that its document is of, of these nodes when they are named; nodes without one are absent. */
  revisions(nodes?: readonly string[]): Promise<ReadonlyMap<string, number>>
  /** 0 until the store is restored from a backup for the first time. */
  epoch(): Promise<number>
  /**
   * After a restore: this epoch, above the one before, and every generation of every node that ever
   * was is raised to at least its number. No generation of a later document is below it.
   */
  beginEpoch(epoch: number): Promise<void>
  /** The highest generation this node ever had, the epoch for none. Survives removal of nodes of the same name. */
  highestGeneration(node: string): Promise<number>
  /** A content that this node has or had, by its digest, and the revision it last came from. */
  published(node: string, contentDigest: string): Promise<PublishedContent | undefined>
}

export interface ReportRecord {
  readonly node: string
  readonly report: Report
  readonly receivedAtMs: number
}

export interface Reports {
  /** False: a report with this or a higher sequence is there already. */
  put(record: ReportRecord): Promise<boolean>
  get(node: string): Promise<ReportRecord | undefined>
  /** Of the last report, what the agent says of its identity; undefined: nothing. */
  identity(node: string): Promise<Report['identity']>
  /** The next report of every node counts, whatever its sequence is. */
  restartAll(): Promise<void>
  list(page: { readonly after?: string; readonly limit: number }): Promise<readonly ReportRecord[]>
}

export interface LeafRecord {
  readonly fingerprint: string
  readonly serial: string
  readonly node: string
  readonly service: ServiceName
  readonly publicKeyDigest: string
  readonly certificateChain: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly issuedAtMs: number
}

export interface Leaves {
  insert(leaf: LeafRecord): Promise<void>
  /** The newest leaf for this node, service and key: signing again gives the same certificate. */
  findByKey(
    node: string,
    service: ServiceName,
    publicKeyDigest: string,
  ): Promise<LeafRecord | undefined>
  /** Whether another node or another service has a leaf for this key. */
  keyUsedByOther(node: string, service: ServiceName, publicKeyDigest: string): Promise<boolean>
  listByNode(node: string): Promise<readonly LeafRecord[]>
}
