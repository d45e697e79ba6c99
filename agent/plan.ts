// Pure: what is on the node and what should be there give the difference as data. Same inputs, same
// plan. Nothing here reads or writes; applying is apply.ts.

import { X509Certificate } from 'node:crypto'
import { sha256 } from '../shared/digest.ts'
import type { Activation, ChangeSummary } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import { isSelfSigned } from '../shared/pki/facts.ts'
import { normalizeBundle } from '../shared/pki/trust.ts'
import { unifiedDiff } from './formats/unified-diff.ts'
import type { FileStat, Ownership, UnitState } from './host.ts'
import type { ServiceEntry } from './ledger.ts'
import type { NodeFacts, ServiceObservation } from './observation.ts'
import { NOTHING_OWED, type Owed, type ServedSummary, owedActivation } from './owed.ts'
import { renderFile } from './resources/managed-file.ts'
import { CHAIN_FILE, KEY_FILE, type MaterialDecision, decideMaterial, releaseDirectory } from './resources/material.ts'
import { judgeServed } from './served.ts'
import type { Compiled, FileIntent } from './services/service.ts'

/** What a plan shows where the name of a release is not known before its key is made. */
export const NEW_RELEASE = '(new)'

export type ServicePlan =
  /** Nothing can or must be done, and why. */
  | {
      readonly kind: 'blocked'
      readonly service: ServiceTls['service']
      readonly outcome: 'unsupported' | 'failed' | 'restored'
      readonly reason: Reason
      readonly unit: UnitState | undefined
      readonly version: string | undefined
    }
  | ActionablePlan

export interface ActionablePlan {
  readonly kind: 'actionable'
  readonly service: ServiceTls['service']
  readonly tls: ServiceTls
  readonly contentDigest: string
  readonly unit: UnitState
  readonly compiled: Compiled
  readonly facts: NodeFacts
  readonly material: Exclude<MaterialDecision, { kind: 'blocked' }>
  /** Name of the release that will be active, NEW_RELEASE when it is still to be made. */
  readonly release: string
  /** Files to replace, the trust bundle included. */
  readonly files: readonly PlannedFile[]
  /** Directories to make or correct, parents first. */
  readonly directories: readonly PlannedDirectory[]
  /** Owner and mode of release files that are right otherwise. */
  readonly permissions: readonly PlannedPermissions[]
  readonly owed: Owed
  readonly changes: readonly ChangeSummary[]
  /** Stopped by its operator: it is prepared, never started. */
  readonly isInactive: boolean
  /** It had converged to this content before: what is done now is a correction or a renewal. */
  readonly hasConverged: boolean
  readonly isCorrective: boolean
}

export interface PlannedFile {
  /** Where the intent came from; undefined: the trust bundle. */
  readonly intent: FileIntent | undefined
  readonly path: string
  /** Where it really lies: the target when `path` is a symlink. */
  readonly realPath: string
  /** Undefined: there is no file yet. */
  readonly before: { readonly sha256: string; readonly ownership: Ownership } | undefined
  /** With NEW_RELEASE in it where the release is not known yet: rendered again when it is. */
  readonly text: string
  readonly ownership: Ownership
  readonly summary: ChangeSummary
}

export interface PlannedDirectory {
  readonly path: string
  readonly ownership: Ownership
}

export interface PlannedPermissions {
  readonly path: string
  readonly from: Ownership
  readonly to: Ownership
}

export interface PlanInput {
  readonly observation: ServiceObservation
  readonly entry: ServiceEntry
  readonly contentDigest: string
  readonly nowMs: number
  /** The user that the agent runs as: owner of what belongs to nobody else. Root on a real node. */
  readonly self: { readonly uid: number }
  readonly isRenewalWanted?: boolean
}

export function planService(input: PlanInput): ServicePlan {
  const { observation, entry, contentDigest } = input
  const { service } = observation.tls
  if (observation.kind === 'not-installed') {
    const reason = { code: 'not-installed', message: `no unit of ${service} is installed on this node` }
    return { kind: 'blocked', service, outcome: 'unsupported', reason, unit: undefined, version: undefined }
  }
  const { unit, compilation, node } = observation
  if (compilation.kind === 'unsupported') {
    const { reason, version } = compilation
    return { kind: 'blocked', service, outcome: 'unsupported', reason, unit, version }
  }
  const { version } = compilation.compiled
  const blocked = (outcome: 'unsupported' | 'failed' | 'restored', reason: Reason): ServicePlan => ({
    kind: 'blocked',
    service,
    outcome,
    reason,
    unit,
    version,
  })
  if (node?.owner === undefined) {
    return blocked('unsupported', { code: 'service-user-unknown', message: `user ${unit.user} of ${unit.unit} does not exist` })
  }
  if (entry.held?.contentDigest === contentDigest) {
    return blocked(entry.held.broken ? 'failed' : 'restored', entry.held.reason)
  }
  return planObserved(input, unit, compilation.compiled, node, node.owner, blocked)
}

type Blocked = (outcome: 'unsupported' | 'failed' | 'restored', reason: Reason) => ServicePlan

function planObserved(
  { observation, entry, contentDigest, nowMs, self, isRenewalWanted = false }: PlanInput,
  unit: UnitState,
  compiled: Compiled,
  facts: NodeFacts,
  owner: { readonly uid: number; readonly gid: number },
  blocked: Blocked,
): ServicePlan {
  const { tls } = observation
  const trust = [...tls.trust, ...facts.issuerTrust]
  const target = { spec: tls.certificate, clientUse: compiled.material.clientUse, trust, source: facts.source, isRenewalWanted }
  const material = decideMaterial(target, facts.material, nowMs)
  if (material.kind === 'blocked') return blocked('failed', material.reason)
  const release = material.kind === 'new' ? NEW_RELEASE : material.release.id

  const files = plannedFiles({ tls, compiled, facts, release, owner, self, material })
  if (files.kind === 'refused') return blocked('failed', files.reason)
  const directories = plannedDirectories(compiled, facts, { uid: self.uid, gid: owner.gid })
  const permissions = material.kind === 'new' ? [] : plannedPermissions(compiled, material.release, owner, self)
  const willChange = material.kind !== 'keep' || files.list.length > 0
  const served = servedSummary(facts, material)
  const isInactive = unit.activeState === 'inactive' || unit.activeState === 'deactivating'
  const owed = isInactive
    ? NOTHING_OWED
    : owedFor({ compiled, release, entry, unit, facts, willChange, served, repairs: permissions.length > 0 })
  const changes = [
    ...materialChanges(compiled, material),
    ...files.list.map(file => file.summary),
    ...permissions.map(permissionChange),
    ...(willChange || permissions.length > 0 ? [] : owedChange(unit, owed)),
  ]
  return {
    kind: 'actionable',
    service: tls.service,
    tls,
    contentDigest,
    unit,
    compiled,
    facts,
    material,
    release,
    files: files.list,
    directories,
    permissions,
    owed,
    changes,
    isInactive,
    hasConverged: entry.convergedTo === contentDigest,
    isCorrective: entry.convergedTo === contentDigest && changes.length > 0 && !isRenewal(material),
  }
}

/** Is there anything that a pass has to do for this plan? Directories alone are made along with the rest. */
export function isConverged(plan: ActionablePlan): boolean {
  return plan.changes.length === 0
}

/** What an activation is called outside of the agent: a hang-up is a reload, a start a restart. */
export function activationOf(owed: Owed): Activation {
  switch (owed.verb) {
    case 'none':
      return 'none'
    case 'reload':
    case 'hangup':
      return 'reload'
    case 'restart':
    case 'start':
      return 'restart'
  }
}

/** CA certificates that clients of the service must trust once `chainPem` is served. */
export function clientTrust(tls: ServiceTls, issuerTrust: readonly string[], chainPem: string | undefined): string {
  const own = chainPem !== undefined && isOwnTrust(tls, chainPem) ? [chainPem] : []
  return normalizeBundle([...tls.trust, ...issuerTrust, ...own])
}

// A self-signed certificate is its own trust, also one that another tool has placed.
function isOwnTrust(tls: ServiceTls, chainPem: string): boolean {
  const { issuer } = tls.certificate
  return issuer === 'self-signed' || (issuer === 'files' && isSelfSigned(new X509Certificate(chainPem)))
}

function isRenewal(material: MaterialDecision): boolean {
  return material.kind !== 'keep' && material.kind !== 'blocked' && RENEWALS.includes(material.reason.code)
}

const RENEWALS: readonly string[] = ['renewal-due', 'renewal-requested']

interface FilesInput {
  readonly tls: ServiceTls
  readonly compiled: Compiled
  readonly facts: NodeFacts
  readonly release: string
  readonly owner: { readonly uid: number; readonly gid: number }
  readonly self: { readonly uid: number }
  readonly material: Exclude<MaterialDecision, { kind: 'blocked' }>
}

function plannedFiles(
  input: FilesInput,
): { readonly kind: 'planned'; readonly list: readonly PlannedFile[] } | { readonly kind: 'refused'; readonly reason: Reason } {
  const list: PlannedFile[] = []
  const trustFile = plannedTrust(input)
  if (trustFile !== undefined) list.push(trustFile)
  for (const intent of input.compiled.files) {
    const observed = input.facts.files[intent.path] ?? { kind: 'missing' }
    if (observed.kind === 'unreadable') return { kind: 'refused', reason: observed.reason }
    const before = observed.kind === 'text' ? observed : undefined
    const rendered = renderFile(intent, before?.text, input.release)
    if (rendered.kind === 'refused') return rendered
    if (rendered.text === before?.text || (before === undefined && rendered.text === '')) continue
    const ownership =
      before === undefined
        ? { mode: intent.createMode ?? 0o640, uid: input.self.uid, gid: input.owner.gid }
        : ownershipOf(before.stat)
    list.push(plannedFile({ intent, path: intent.path, before, text: rendered.text, ownership, reason: intent.reason }))
  }
  return { kind: 'planned', list }
}

// The bundle is public and owned whole. For a self-signed certificate that is still to be made its
// text is not known yet; it is rendered again when it is.
function plannedTrust({ tls, compiled, facts, material, owner, self }: FilesInput): PlannedFile | undefined {
  const path = compiled.material.trustFile
  const chain = material.kind === 'new' ? undefined : material.release.chainPem
  const text =
    material.kind === 'new' && tls.certificate.issuer === 'self-signed'
      ? `${clientTrust(tls, facts.issuerTrust, undefined)}${NEW_RELEASE}\n`
      : clientTrust(tls, facts.issuerTrust, chain)
  if (text === '') return undefined
  const observed = facts.files[path]
  const before = observed?.kind === 'text' ? observed : undefined
  if (before?.text === text) return undefined
  const reason = { code: 'trust-changed', message: 'the CA certificates that clients must trust have changed' }
  return plannedFile({
    intent: undefined,
    path,
    before,
    text,
    ownership: { mode: 0o644, uid: self.uid, gid: owner.gid },
    reason: before === undefined ? { code: 'trust-missing', message: 'the trust bundle is not there yet' } : reason,
  })
}

function plannedFile(file: {
  readonly intent: FileIntent | undefined
  readonly path: string
  readonly before: { readonly text: string; readonly realPath: string; readonly sha256: string; readonly stat: FileStat } | undefined
  readonly text: string
  readonly ownership: Ownership
  readonly reason: Reason
}): PlannedFile {
  const { intent, path, before, text, ownership, reason } = file
  const action = before === undefined ? 'create' : 'update'
  return {
    intent,
    path,
    realPath: before?.realPath ?? path,
    before: before === undefined ? undefined : { sha256: before.sha256, ownership: ownershipOf(before.stat) },
    text,
    ownership,
    summary: {
      resource: path,
      kind: intent === undefined ? 'file' : 'config-file',
      action,
      summary: `${action} ${path}`,
      reason,
      diff: limited(unifiedDiff(before?.text ?? '', text, { path })),
    },
  }
}

// Longer diffs are cut: a report is bounded, and nobody reads more.
const DIFF_CHARACTERS_MAX = 16 * 1024

function limited(diff: string): string {
  if (diff.length <= DIFF_CHARACTERS_MAX) return diff
  return `${diff.slice(0, DIFF_CHARACTERS_MAX)}\n… cut after ${DIFF_CHARACTERS_MAX} of ${diff.length} characters\n`
}

function ownershipOf(stat: FileStat): Ownership {
  return { mode: stat.mode, uid: stat.uid, gid: stat.gid }
}

function isSameOwnership(a: Ownership, b: Ownership): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid
}

function plannedDirectories(
  compiled: Compiled,
  facts: NodeFacts,
  owner: { readonly uid: number; readonly gid: number },
): readonly PlannedDirectory[] {
  const ownership = { mode: 0o750, ...owner }
  const wanted = [
    { path: compiled.material.directory, stat: facts.material.directory },
    { path: `${compiled.material.directory}/releases`, stat: facts.material.releasesDirectory },
  ]
  return wanted
    .filter(({ stat }) => stat === undefined || !isSameOwnership(ownershipOf(stat), ownership))
    .map(({ path }) => ({ path, ownership }))
}

/** Owner and mode that the files of a release must have: what the service user can read and every product version accepts. */
export function releaseOwnership(
  compiled: Compiled,
  owner: { readonly uid: number; readonly gid: number },
  self: { readonly uid: number },
): { readonly directory: Ownership; readonly key: Ownership; readonly chain: Ownership } {
  return {
    directory: { mode: 0o750, uid: self.uid, gid: owner.gid },
    key: { mode: compiled.material.keyMode, uid: owner.uid, gid: owner.gid },
    chain: { mode: compiled.material.chainMode, uid: owner.uid, gid: owner.gid },
  }
}

function plannedPermissions(
  compiled: Compiled,
  release: { readonly id: string; readonly stats: { readonly directory: FileStat; readonly key: FileStat; readonly chain: FileStat } },
  owner: { readonly uid: number; readonly gid: number },
  self: { readonly uid: number },
): readonly PlannedPermissions[] {
  const path = releaseDirectory(compiled.material.directory, release.id)
  const wanted = releaseOwnership(compiled, owner, self)
  return [
    { path, from: ownershipOf(release.stats.directory), to: wanted.directory },
    { path: `${path}/${KEY_FILE}`, from: ownershipOf(release.stats.key), to: wanted.key },
    { path: `${path}/${CHAIN_FILE}`, from: ownershipOf(release.stats.chain), to: wanted.chain },
  ].filter(({ from, to }) => !isSameOwnership(from, to))
}

function servedSummary(facts: NodeFacts, material: MaterialDecision): ServedSummary {
  if (facts.served.length === 0) return 'unknown'
  const expected = material.kind === 'keep' ? material.release.facts.fingerprint : undefined
  const words = facts.served.map(({ handshake }) => {
    if (handshake.kind !== 'tls') return handshake.kind
    return handshake.fingerprint === expected ? 'current' : 'stale'
  })
  for (const word of ['unreachable', 'plaintext', 'stale'] as const) if (words.includes(word)) return word
  return 'current'
}

interface OwedFor {
  readonly compiled: Compiled
  readonly release: string
  readonly entry: ServiceEntry
  readonly unit: UnitState
  readonly facts: NodeFacts
  readonly willChange: boolean
  readonly served: ServedSummary
  readonly repairs: boolean
}

function owedFor({ compiled, release, entry, unit, facts, willChange, served, repairs }: OwedFor): Owed {
  const owed = owedActivation({
    loads: compiled.loads,
    release,
    entry,
    unit,
    served,
    inputsChangedAtMs: willChange ? undefined : facts.inputsChangedAtMs,
  })
  // A service that died, of a key that it could not read for example, is started again once there
  // is something that may have cured it. A stopped one is its operator's business.
  if (unit.activeState === 'failed' && (willChange || repairs || owed.verb !== 'none')) {
    return { verb: 'start', reason: { code: 'unit-failed', message: `${unit.unit} has failed (${unit.result}) and is started with the new state` } }
  }
  return owed
}

function materialChanges(compiled: Compiled, material: MaterialDecision): readonly ChangeSummary[] {
  if (material.kind === 'keep' || material.kind === 'blocked') return []
  const isFirst = material.reason.code === 'certificate-missing'
  return [
    {
      resource: `${compiled.material.directory}/current`,
      kind: 'certificate',
      action: isFirst ? 'create' : 'update',
      summary:
        material.kind === 'new'
          ? isFirst
            ? 'make a key and get a certificate'
            : 'make a new key and get a new certificate'
          : `switch to the prepared certificate ${material.release.facts.fingerprint.slice(0, 16)}`,
      reason: material.reason,
    },
  ]
}

function permissionChange({ path, from, to }: PlannedPermissions): ChangeSummary {
  return {
    resource: path,
    kind: 'permissions',
    action: 'update',
    summary: `${path}: ${ownershipText(from)} becomes ${ownershipText(to)}`,
    reason: { code: 'wrong-permissions', message: 'the service user must be able to read it, and nobody else' },
  }
}

function ownershipText({ mode, uid, gid }: Ownership): string {
  return `${uid}:${gid} ${mode.toString(8).padStart(4, '0')}`
}

function owedChange(unit: UnitState, owed: Owed): readonly ChangeSummary[] {
  if (owed.verb === 'none') return []
  const activation = activationOf(owed)
  return [
    { resource: unit.unit, kind: 'activation', action: 'update', summary: `${activation} ${unit.unit}`, reason: owed.reason },
  ]
}

/** Every listener of the plan as it was observed, judged against the leaf that is in use. */
export function servedOf(plan: ActionablePlan) {
  const expected = plan.material.kind === 'new' ? undefined : plan.material.release.facts.fingerprint
  return plan.facts.served.map(served => judgeServed(served, expected))
}

/** Digest of a text as it would be on disk. */
export function textDigest(text: string): string {
  return sha256(Buffer.from(text))
}
