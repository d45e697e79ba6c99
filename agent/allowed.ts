// What this node's own configuration lets the agent do to its services. Pure.

import type { Activation } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { activationOf } from './owed.ts'
import type { ActionablePlan, ServicePlan } from './plan.ts'

export interface Limits {
  readonly activations: readonly Activation[]
  /** Below these it may write; undefined: wherever the product keeps its things. */
  readonly paths?: readonly string[] | undefined
}

/** Said before anything is prepared, so that a rollout ends at its beginning and not half-way. */
export function forbiddenBy(
  limits: Limits | undefined,
  plan: ActionablePlan,
): ServicePlan | undefined {
  const reason = limits === undefined ? undefined : whyForbidden(limits, plan)
  if (reason === undefined) return undefined
  return {
    kind: 'blocked',
    service: plan.service,
    outcome: 'unsupported',
    reason,
    unit: plan.unit,
    version: plan.compiled.version,
  }
}

function whyForbidden({ activations, paths }: Limits, plan: ActionablePlan): Reason | undefined {
  const activation = activationOf(plan.owed)
  if (!activations.includes(activation)) {
    const message = `this node's own configuration does not allow a ${activation} of ${plan.unit.unit}`
    return { code: 'activation-not-allowed', message }
  }
  const outside = writtenBy(plan).find(path => paths?.every(below => !isBelow(path, below)))
  if (outside === undefined) return undefined
  const message = `this node's own configuration does not allow ${outside} to be written`
  return { code: 'write-not-allowed', message }
}

/** Where a plan writes: files where they really lie, so that no symlink leads out of what is allowed. */
function writtenBy(plan: ActionablePlan): readonly string[] {
  const { material, compiled, files, keystores, directories, permissions } = plan
  const isSwitched = material.kind === 'new' || material.kind === 'switch'
  return [
    ...(isSwitched ? [compiled.material.directory] : []),
    ...files.map(({ realPath }) => realPath),
    ...keystores.map(({ intent }) => intent.path),
    ...directories.map(({ path }) => path),
    ...permissions.map(({ path }) => path),
  ]
}

function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}
