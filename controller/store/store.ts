// What the controller keeps. Everything else in the controller sees this interface only;
// implementations are node:sqlite (sqlite.ts) and, later, PostgreSQL. test/contract/store.ts is the
// conformance suite that each of them passes.
//
// All reads and writes happen in a transaction: serializable, durable when `transaction` resolves.
// The work may run again after a conflict, so it has no other effect. Times are milliseconds since
// the epoch unless a name says `controllerTime`.

import type { Labels, Names, Reason } from '../../shared/contract/schema.ts'
import type { DesiredContent, DesiredState } from '../../shared/contract/desired-state.ts'
import type { Report, ServiceReport } from '../../shared/contract/report.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import type { RolloutEvent, Rollout, RolloutPlan } from '../rollout/rollout.ts'

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
  readonly rollouts: Rollouts
  readonly leases: Leases
  readonly credentials: Credentials
  readonly audit: Audit
}

/** Small values by name: fleet name, public URLs, schema of nothing. Absent: undefined. */
export interface Settings {
  get(name: string): Promise<string | undefined>
  set(name: string, value: string): Promise<void>
}

export interface AuthorityRecord {
  readonly kind: 'identity' | 'service'
  readonly rootCertificate: string
  readonly intermediateCertificate: string
  /** Sealed private keys (ca/sealed-key.ts), text. Never a plaintext key. */
  readonly rootKeySealed: string
  readonly intermediateKeySealed: string
  readonly createdAtMs: number
}

export interface Authorities {
  get(kind: 'identity' | 'service'): Promise<AuthorityRecord | undefined>
  /** Fails with `already-exists` when there is one of this kind. */
  insert(record: AuthorityRecord): Promise<void>
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

export interface Nodes {
  /** Fails with `already-exists`. */
  insert(node: NodeRecord): Promise<void>
  get(name: string): Promise<NodeRecord | undefined>
  /** By name, ascending, starting after `after`. */
  list(page: { readonly after?: string; readonly limit: number }): Promise<readonly NodeRecord[]>
  /** Reports of the newly enrolled agent count from the beginning. */
  setEnrolled(name: string, atMs: number): Promise<void>
  setSeen(names: readonly string[], atMs: number): Promise<void>
  /** Removes the node with its tokens, desired state, report and leaves; its identities go to the denylist. False: no such node. */
  remove(name: string, atMs: number): Promise<boolean>
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
}

export interface EnrollmentTokens {
  insert(token: EnrollmentTokenRecord): Promise<void>
  get(id: string): Promise<EnrollmentTokenRecord | undefined>
  /** One atomic update: true when the token was unredeemed, or redeemed by this same key. */
  redeem(id: string, publicKeyDigest: string): Promise<boolean>
}

export interface IdentityRecord {
  /** SHA-256 of the certificate. */
  readonly fingerprint: string
  readonly node: string
  readonly publicKeyDigest: string
  readonly certificateChain: string
  readonly notAfterMs: number
  readonly issuedAtMs: number
  readonly deniedAtMs: number | undefined
}

export interface Identities {
  insert(identity: IdentityRecord): Promise<void>
  /** The newest certificate issued to this node for this key. */
  findByKey(node: string, publicKeyDigest: string): Promise<IdentityRecord | undefined>
  get(fingerprint: string): Promise<IdentityRecord | undefined>
  /** Whether another node was ever issued a certificate for this key. */
  keyUsedByOther(node: string, publicKeyDigest: string): Promise<boolean>
  deny(node: string, atMs: number): Promise<void>
  /** Fingerprints on the denylist whose certificates have not ended before `nowMs`. */
  denied(nowMs: number): Promise<readonly string[]>
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

export interface DesiredStates {
  get(node: string): Promise<DesiredRecord | undefined>
  /** Fails with `generation-conflict` unless the generation is above every one this node ever had. */
  put(record: DesiredRecord): Promise<void>
  /** The highest generation this node ever had, 0 for none. Survives removal of nodes of the same name. */
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

/** What the store knows of a node of a rollout: the part that deciding needs, read at once. */
export interface RolloutMember {
  readonly node: string
  readonly enrolledAtMs: number | undefined
  readonly seenAtMs: number | undefined
  readonly desired: Pick<DesiredState, 'generation' | 'digest' | 'contentDigest'> | undefined
  /** As `DesiredStates.highestGeneration`. */
  readonly highestGeneration: number
  readonly report: ReportExcerpt | undefined
}

export type ReportExcerpt = Pick<
  Report,
  'observedGeneration' | 'observedDigest' | 'refusedGeneration' | 'problem'
> & {
  readonly receivedAtMs: number
  readonly services: readonly Pick<
    ServiceReport,
    'service' | 'outcome' | 'reason' | 'activations'
  >[]
}

export interface Rollouts {
  /**
   * Stores the plan and the first events (version 0). Fails with `overlapping-rollout` when a node of
   * the plan is in a rollout that has not ended.
   */
  insert(rollout: {
    readonly id: string
    readonly plan: RolloutPlan
    readonly events: readonly RolloutEvent[]
    readonly atMs: number
  }): Promise<Rollout>
  get(id: string): Promise<Rollout | undefined>
  /** Newest first. */
  list(page: { readonly limit: number }): Promise<readonly Rollout[]>
  /** Rollouts that have not ended. */
  active(): Promise<readonly Rollout[]>
  events(
    id: string,
    page: { readonly after: number; readonly limit: number },
  ): Promise<
    readonly { readonly version: number; readonly atMs: number; readonly event: RolloutEvent }[]
  >
  /** The nodes of a rollout that are still in the fleet, in plan order. */
  members(id: string): Promise<readonly RolloutMember[]>
  /**
   * Appends with an expected version; throws `version-conflict` (retryable) when somebody was first.
   * The folded state is stored with it. Each event is also an audit entry.
   */
  append(
    id: string,
    expectedVersion: number,
    events: readonly RolloutEvent[],
    atMs: number,
  ): Promise<Rollout>
}

export interface LeaseRecord {
  readonly group: string
  readonly node: string
  readonly purpose: 'rollout' | 'renewal' | 'correction'
  readonly generation: number
  readonly takenAtMs: number
}

export interface Leases {
  /** One per (group, node); taking it again for the same generation changes nothing. */
  take(lease: LeaseRecord): Promise<void>
  release(group: string, node: string): Promise<void>
  list(group: string): Promise<readonly LeaseRecord[]>
}

export interface CredentialRecord {
  readonly id: string
  readonly name: string
  readonly role: 'viewer' | 'operator' | 'admin'
  readonly secretHash: string
  readonly createdAtMs: number
  readonly expiresAtMs: number | undefined
}

export interface Credentials {
  insert(credential: CredentialRecord): Promise<void>
  get(id: string): Promise<CredentialRecord | undefined>
  list(): Promise<readonly CredentialRecord[]>
  remove(id: string): Promise<boolean>
}

export interface AuditRecord {
  readonly sequence: number
  readonly atMs: number
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly reason: Reason | undefined
  /** SHA-256 over the previous record's hash and this record's canonical JSON. */
  readonly hash: string
}

export interface Audit {
  append(entry: {
    readonly atMs: number
    readonly actor: string
    readonly action: string
    readonly subject: string
    readonly reason?: Reason
  }): Promise<void>
  /** Oldest first, after a sequence number. */
  list(page: { readonly after: number; readonly limit: number }): Promise<readonly AuditRecord[]>
}
