// Pure: what is on the node and what should be there give the difference as data. Same inputs, same
// plan. Nothing here reads or writes; applying is apply.ts.

import { unreachable } from '../shared/assert.ts'
import type { ChangeSummary } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import type { UnitState } from './host.ts'
import type { ServiceEntry } from './ledger.ts'
import type { NodeFacts, ServiceObservation } from './observation.ts'
import {
  LOADED_AT_START,
  NOTHING_OWED,
  type Owed,
  owedActivation,
  type ServedSummary,
} from './owed.ts'
import { certifiedTls } from './client-trust.ts'
import { materialChanges, owedChange, passwordChange } from './plan-changes.ts'
import { NEW_RELEASE, type PlannedFile, plannedFiles } from './planned-files.ts'
import { type PlannedKeystore, plannedKeystores } from './planned-keystores.ts'
import {
  type PlannedDirectory,
  type PlannedPermissions,
  permissionChange,
  plannedDirectories,
  plannedPasswordPermissions,
  plannedPermissions,
} from './planned-ownership.ts'
import { type PlannedTool, plannedTools } from './planned-tools.ts'
import { type MaterialDecision, decideMaterial } from './resources/material.ts'
import { successionNotices } from './self-signed.ts'
import { ANY_LEAF, judgeServed, servedSummary } from './served.ts'
import type { Compiled } from './services/service.ts'
import { snapshotNotices, type SnapshotPolicies } from './snapshot-policy.ts'

export type ServicePlan =
  /** Nothing can or must be done, and why. */
  | {
      readonly kind: 'blocked'
      readonly service: ServiceTls['service']
      readonly outcome: 'unsupported' | 'failed' | 'restored'
      readonly reason: Reason
      readonly unit: UnitState | undefined
      readonly version: string | undefined
      /** Held back, because neither the old state nor the new one is known to work. */
      readonly isBroken?: boolean
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
  /** Name of the release that will be active, NEW_RELEASE when it is still to be made, NO_RELEASE when none is wanted. */
  readonly release: string
  /** Files to replace, the trust bundle included. */
  readonly files: readonly PlannedFile[]
  /** Entries of stores of secrets to set and to remove. */
  readonly keystores: readonly PlannedKeystore[]
  /** Programs to run once the files are switched. */
  readonly tools: readonly PlannedTool[]
  /** Directories to make or correct, parents first. */
  readonly directories: readonly PlannedDirectory[]
  /** Owner and mode of release files that are right otherwise. */
  readonly permissions: readonly PlannedPermissions[]
  /** The password of the PKCS#12 file is to be kept from now on. */
  readonly isPasswordKept: boolean
  readonly owed: Owed
  /** Why it is made by a whole group at once; undefined: this node makes it alone. */
  readonly coordinated: Reason | undefined
  /** What the plan itself has to tell. */
  readonly notices: readonly Reason[]
  readonly changes: readonly ChangeSummary[]
  /** Stopped by its operator: it is prepared, never started. */
  readonly isInactive: boolean
  /** It had converged to this content before: what is done now is a correction or a renewal. */
  readonly hasConverged: boolean
  readonly isCorrective: boolean
  /** What the process had loaded that was proven last: digest by name of the input. */
  readonly provenInputs: Readonly<Record<string, string>> | undefined
}

export interface PlanInput {
  readonly observation: ServiceObservation
  readonly entry: ServiceEntry
  readonly contentDigest: string
  readonly nowMs: number
  /** The user that the agent runs as: owner of what belongs to nobody else. Root on a real node. */
  readonly self: { readonly uid: number; readonly gid: number }
  readonly isRenewalWanted?: boolean
  /** See MaterialTarget. */
  readonly isUncertified?: boolean
  /** Undefined: this agent changes nothing with others. */
  readonly policies?: SnapshotPolicies | undefined
}

export function planService(input: PlanInput): ServicePlan {
  const { observation, entry, contentDigest } = input
  const { service } = observation.tls
  if (observation.kind === 'not-installed') {
    const reason = {
      code: 'not-installed',
      message: `no unit of ${service} is installed on this node`,
    }
    return {
      kind: 'blocked',
      service,
      outcome: 'unsupported',
      reason,
      unit: undefined,
      version: undefined,
    }
  }
  const { unit, compilation, node } = observation
  if (compilation.kind === 'unsupported') {
    const { reason, version } = compilation
    return { kind: 'blocked', service, outcome: 'unsupported', reason, unit, version }
  }
  const { version } = compilation.compiled
  const blocked = (
    outcome: 'unsupported' | 'failed' | 'restored',
    reason: Reason,
  ): BlockedPlan => ({
    kind: 'blocked',
    service,
    outcome,
    reason,
    unit,
    version,
  })
  if (node?.owner === undefined) {
    return blocked('unsupported', {
      code: 'service-user-unknown',
      message: `user ${unit.user} of ${unit.unit} does not exist`,
    })
  }
  if (entry.held?.contentDigest === contentDigest) {
    const { broken, reason } = entry.held
    const held = blocked(broken ? 'failed' : 'restored', reason)
    return broken ? { ...held, isBroken: true } : held
  }
  return planObserved(input, unit, compilation.compiled, node, node.owner, blocked)
}

type BlockedPlan = Extract<ServicePlan, { kind: 'blocked' }>
type Blocked = (outcome: BlockedPlan['outcome'], reason: Reason) => BlockedPlan

function planObserved(
  input: PlanInput,
  unit: UnitState,
  compiled: Compiled,
  facts: NodeFacts,
  owner: { readonly uid: number; readonly gid: number },
  blocked: Blocked,
): ServicePlan {
  const { observation, entry, contentDigest, self } = input
  const { tls } = observation
  const material = materialFor(input, compiled, facts)
  if (material.kind === 'blocked') return blocked('failed', material.reason)
  const release = releaseName(material)

  const files = plannedFiles({ tls, compiled, facts, release, owner, self, material })
  if (files.kind === 'refused') return blocked('failed', files.reason)
  const keystores = plannedKeystores({ compiled, facts, owner, self, material })
  if (keystores.kind === 'refused') return blocked('failed', keystores.reason)
  const tools = plannedTools(compiled, files.list, facts)
  const permissions = permissionsFor({ compiled, facts, material, owner, self })
  const isSwitched = material.kind === 'new' || material.kind === 'switch'
  const willChange = isSwitched || files.list.length + keystores.list.length + tools.list.length > 0
  const isStopped = unit.activeState === 'inactive' || unit.activeState === 'deactivating'
  const isInactive = isStopped && !facts.isOffline
  const isPasswordKept = isPasswordToKeep(compiled, facts)
  const hasConverged = entry.convergedTo === contentDigest
  const coordinated = coordinatedFor(compiled, { isInactive, hasConverged, facts })
  const owing = isInactive
    ? NOTHING_OWED
    : owedFor({
        compiled,
        release,
        entry,
        unit,
        facts,
        willChange,
        served: servedSummary(facts, material),
        repairs: permissions.length > 0,
      })
  const owed = coordinated === undefined ? owing : { ...owing, reason: coordinated }
  const prepared = [
    ...materialChanges(compiled, material),
    ...(isPasswordKept && !isSwitched ? [passwordChange(compiled)] : []),
    ...files.list.map(file => file.summary),
    ...tools.list.map(tool => tool.summary),
    ...keystores.list.map(keystore => keystore.summary),
    ...permissions.map(permissionChange),
  ]
  const changes = prepared.length > 0 ? prepared : owedChange(unit, owed)
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
    keystores: keystores.list,
    tools: tools.list,
    directories: plannedDirectories(compiled, facts, owner, self),
    permissions,
    isPasswordKept,
    owed,
    coordinated,
    notices: [
      ...tools.notices,
      ...successionNotices(tls, compiled, facts, material),
      ...snapshotNotices(tls.service, { coordinated, compiled }, input.policies),
    ],
    changes,
    isInactive,
    hasConverged,
    isCorrective: hasConverged && changes.length > 0 && !isRenewal(material),
    provenInputs: entry.loaded?.inputs,
  }
}

/**
 * A node that was there before is brought back to the others, and so is alone in it. Where nothing runs
 * nothing is cut off.
 */
function coordinatedFor(
  { coordinated }: Compiled,
  {
    isInactive,
    hasConverged,
    facts,
  }: {
    readonly isInactive: boolean
    readonly hasConverged: boolean
    readonly facts: NodeFacts
  },
): Reason | undefined {
  return isInactive || hasConverged || facts.isOffline ? undefined : coordinated
}

/** Stands for the name of a release where none is wanted. */
const NO_RELEASE = '(none)'

function releaseName(material: Exclude<MaterialDecision, { kind: 'blocked' }>): string {
  switch (material.kind) {
    case 'none':
      return NO_RELEASE
    case 'new':
      return NEW_RELEASE
    case 'keep':
    case 'switch':
      return material.release.id
    default:
      return unreachable(material)
  }
}

function materialFor(
  { observation, nowMs, isRenewalWanted = false, isUncertified = false }: PlanInput,
  compiled: Compiled,
  facts: NodeFacts,
): MaterialDecision {
  const certified = certifiedTls(observation.tls, compiled)
  if (certified === undefined) return { kind: 'none' }
  const target = {
    spec: certified.certificate,
    clientUse: compiled.material.clientUse,
    trust: [...certified.trust, ...facts.issuerTrust],
    source: facts.source,
    isRenewalWanted,
    isUncertified,
  }
  return decideMaterial(target, facts.material, nowMs)
}

function permissionsFor(question: {
  readonly compiled: Compiled
  readonly facts: NodeFacts
  readonly material: MaterialDecision
  readonly owner: { readonly uid: number; readonly gid: number }
  readonly self: { readonly uid: number; readonly gid: number }
}): readonly PlannedPermissions[] {
  const { compiled, facts, material, owner, self } = question
  switch (material.kind) {
    case 'keep':
    case 'switch':
      return [
        ...plannedPermissions(compiled, material.release, owner, self),
        ...plannedPasswordPermissions(compiled, facts, self),
      ]
    case 'new':
      return plannedPasswordPermissions(compiled, facts, self)
    case 'none':
    case 'blocked':
      return []
    default:
      return unreachable(material)
  }
}

function isPasswordToKeep({ material }: Compiled, { storePassword }: NodeFacts): boolean {
  return material.isWanted && material.store !== undefined && storePassword?.stat === undefined
}

/** Is there anything that a pass has to do for this plan? Directories alone are made along with the rest. */
export function isConverged(plan: ActionablePlan): boolean {
  return plan.changes.length === 0
}

const RENEWALS: readonly string[] = ['renewal-due', 'renewal-requested', 'certificate-requested']

/** Is a new certificate part of it that nobody has to ask for? */
export function isRenewalPlan({ material }: ActionablePlan): boolean {
  return isRenewal(material)
}

function isRenewal(material: MaterialDecision): boolean {
  const isSwitched = material.kind === 'new' || material.kind === 'switch'
  return isSwitched && RENEWALS.includes(material.reason.code)
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

function owedFor({
  compiled,
  release,
  entry,
  unit,
  facts,
  willChange,
  served,
  repairs,
}: OwedFor): Owed {
  if (facts.isOffline) return LOADED_AT_START
  const owed = owedActivation({
    loads: compiled.loads,
    release,
    storePassword: facts.storePassword?.password,
    entry,
    unit,
    served,
    inputsChangedAtMs: willChange ? undefined : facts.inputsChangedAtMs,
  })
  // A service that died, of a key that it could not read for example, is started again once there
  // is something that may have cured it. A stopped one is its operator's business.
  if (unit.activeState === 'failed' && (willChange || repairs || owed.verb !== 'none')) {
    return {
      verb: 'start',
      reason: {
        code: 'unit-failed',
        message: `${unit.unit} has failed (${unit.result}) and is started with the new state`,
      },
    }
  }
  return owed
}

/** Every listener of the plan as it was observed, judged against the leaf that is in use. */
export function servedOf(plan: ActionablePlan) {
  const expected = expectedLeaf(plan.material)
  return plan.facts.served.map(served => judgeServed(served, expected))
}

function expectedLeaf(material: ActionablePlan['material']): string | undefined {
  switch (material.kind) {
    case 'new':
      return undefined
    case 'none':
      return ANY_LEAF
    case 'keep':
    case 'switch':
      return material.release.facts.fingerprint
    default:
      return unreachable(material)
  }
}
