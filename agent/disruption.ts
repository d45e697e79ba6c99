// What an act is for, and whether it may disturb those who count on this node. Pure.

import type { LeaseRequest } from '../shared/contract/agent-api.ts'
import { activationOf, inputDigests } from './owed.ts'
import { type ActionablePlan, isRenewalPlan } from './plan.ts'
import { servedSummary } from './served.ts'

export type Purpose = LeaseRequest['purpose']

/**
 * Why a lease is to be asked for before this plan is carried out; undefined: nobody has to be asked,
 * because what was proven on this node is put back, and nothing is activated.
 */
export function purposeOf(
  plan: ActionablePlan,
  { permit }: { readonly permit: boolean },
): Purpose | undefined {
  if (permit && !plan.hasConverged) return 'rollout'
  if (!isDisruptive(plan)) return undefined
  return isForRenewal(plan) ? 'renewal' : 'correction'
}

/** Activates a service, or puts content into live files that this node has not proven yet. */
export function isDisruptive(plan: ActionablePlan): boolean {
  return activationOf(plan.owed) !== 'none' || !isProven(plan)
}

// A product that reads certificates for every connection takes a new one without being told.
function isProven(plan: ActionablePlan): boolean {
  const { hasConverged, material, provenInputs, facts } = plan
  if (!hasConverged || material.kind === 'new') return false
  if (material.kind !== 'switch') return true
  const inputs = inputDigests(plan.compiled.loads, {
    release: plan.release,
    storePassword: facts.storePassword?.password,
  })
  return isSame(inputs, provenInputs)
}

function isSame(
  inputs: Readonly<Record<string, string>>,
  proven: ActionablePlan['provenInputs'],
): boolean {
  const names = Object.keys(inputs)
  return (
    proven !== undefined &&
    names.length === Object.keys(proven).length &&
    names.every(name => inputs[name] === proven[name])
  )
}

// A certificate that follows another, or one that lies there while its service shows the one before.
function isForRenewal(plan: ActionablePlan): boolean {
  const { hasConverged, material, facts, files, keystores } = plan
  if (!hasConverged) return false
  if (isRenewalPlan(plan)) return true
  const isSwitched = material.kind === 'new' || material.kind === 'switch'
  if (isSwitched) return material.reason.code === 'expired'
  const isWritten = files.length + keystores.length === 0
  return isWritten && servedSummary(facts, material) === 'stale'
}

/** When the certificate in use ends; undefined: there is none. */
export function endsAtMs({ facts: { material } }: ActionablePlan): number | undefined {
  return material.releases.find(({ id }) => id === material.current)?.facts.notAfterMs
}
