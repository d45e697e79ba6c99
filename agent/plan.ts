// Pure: what is on the node and what should be there give the difference as data. Same inputs, same
// plan. Nothing here reads or writes; applying is apply.ts.

import type { Activation, ChangeSummary } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import type { UnitState } from './host.ts'
import type { ServiceEntry } from './ledger.ts'
import type { NodeFacts, ServiceObservation } from './observation.ts'
import {
  LOADED_AT_START,
  NOTHING_OWED,
  type Owed,
  type ServedSummary,
  owedActivation,
} from './owed.ts'
import { NEW_RELEASE, type PlannedFile, plannedFiles } from './planned-files.ts'
import {
  type PlannedDirectory,
  type PlannedPermissions,
  permissionChange,
  plannedDirectories,
  plannedPermissions,
} from './planned-ownership.ts'
import { type MaterialDecision, decideMaterial } from './resources/material.ts'
import { judgeServed } from './served.ts'
import type { Compiled } from './services/service.ts'

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
  ): ServicePlan => ({
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
  const target = {
    spec: tls.certificate,
    clientUse: compiled.material.clientUse,
    trust,
    source: facts.source,
    isRenewalWanted,
  }
  const material = decideMaterial(target, facts.material, nowMs)
  if (material.kind === 'blocked') return blocked('failed', material.reason)
  const release = material.kind === 'new' ? NEW_RELEASE : material.release.id

  const files = plannedFiles({ tls, compiled, facts, release, owner, self, material })
  if (files.kind === 'refused') return blocked('failed', files.reason)
  const directories = plannedDirectories(compiled, facts, { uid: self.uid, gid: owner.gid })
  const permissions =
    material.kind === 'new' ? [] : plannedPermissions(compiled, material.release, owner, self)
  const willChange = material.kind !== 'keep' || files.list.length > 0
  const served = servedSummary(facts, material)
  const isStopped = unit.activeState === 'inactive' || unit.activeState === 'deactivating'
  const isInactive = isStopped && !facts.isOffline
  const owed = isInactive
    ? NOTHING_OWED
    : owedFor({
        compiled,
        release,
        entry,
        unit,
        facts,
        willChange,
        served,
        repairs: permissions.length > 0,
      })
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

const RENEWALS: readonly string[] = ['renewal-due', 'renewal-requested']

function isRenewal(material: MaterialDecision): boolean {
  return (
    material.kind !== 'keep' &&
    material.kind !== 'blocked' &&
    RENEWALS.includes(material.reason.code)
  )
}

function servedSummary(facts: NodeFacts, material: MaterialDecision): ServedSummary {
  if (facts.served.length === 0) return 'unknown'
  const expected = material.kind === 'keep' ? material.release.facts.fingerprint : undefined
  const words = facts.served.map(({ handshake }) => {
    if (handshake.kind !== 'tls') return handshake.kind
    return handshake.fingerprint === expected ? 'current' : 'stale'
  })
  for (const word of ['unreachable', 'plaintext', 'stale'] as const)
    if (words.includes(word)) return word
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

function owedChange(unit: UnitState, owed: Owed): readonly ChangeSummary[] {
  if (owed.verb === 'none') return []
  const activation = activationOf(owed)
  return [
    {
      resource: unit.unit,
      kind: 'activation',
      action: 'update',
      summary: `${activation} ${unit.unit}`,
      reason: owed.reason,
    },
  ]
}

/** Every listener of the plan as it was observed, judged against the leaf that is in use. */
export function servedOf(plan: ActionablePlan) {
  const expected =
    plan.material.kind === 'new' ? undefined : plan.material.release.facts.fingerprint
  return plan.facts.served.map(served => judgeServed(served, expected))
}
