// What a rollout holds its node to: a digest over the change that this agent would make, so that what
// an operator has seen is what is done. Equal for two looks at a node on which nothing has changed.
// Not in it: bytes of certificates, names of releases, trust bundles and passwords, because making and
// renewing them is not the operator's decision and goes on between a plan and its execution; nor
// permissions, which are corrected while the change is prepared. Pure.

import { digestOf, type Json, sha256 } from '../shared/digest.ts'
import type { DisruptionClass, PlannedService } from '../shared/contract/planned.ts'
import type { Activation } from '../shared/contract/report.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { activationOf } from './owed.ts'
import { type ActionablePlan, isRenewalPlan } from './plan.ts'
import type { PlannedFile } from './planned-files.ts'

export function plannedService(plan: ActionablePlan): PlannedService {
  const { service, isInactive } = plan
  const bound = { service, digest: digestOf(effectOf(plan)) }
  return isInactive ? bound : { ...bound, disruption: disruptionOf(plan) }
}

const DISRUPTION = {
  none: 'none',
  reload: 'reload',
  restart: 'rolling',
} as const satisfies Record<Activation, DisruptionClass>

function disruptionOf({ coordinated, owed }: ActionablePlan): DisruptionClass {
  return coordinated === undefined ? DISRUPTION[activationOf(owed)] : 'coordinated'
}

/** Why the change is not the one that was planned; undefined: it is, or there is nothing left that anybody had to see. */
export function staleReason(
  plan: ActionablePlan,
  planned: PlannedService | undefined,
): Reason | undefined {
  const now = plannedService(plan)
  const places = [
    ...plan.files.filter(isSeen(plan)).map(({ path }) => path),
    ...plan.keystores.map(({ intent }) => intent.path),
  ]
  const isEffective = places.length > 0 || plan.tools.length > 0
  if (isEffective && now.digest !== planned?.digest) {
    const where = places.length === 0 ? plan.unit.unit : places.join(', ')
    const message = `plan is stale: what would be done to ${where} has changed since it was planned; plan again`
    return { code: STALE_PLAN, message: message.slice(0, MESSAGE_MAX) }
  }
  if (now.disruption === undefined || planned?.disruption === undefined || isRenewalPlan(plan))
    return undefined
  if (WEIGHT.indexOf(now.disruption) <= WEIGHT.indexOf(planned.disruption)) return undefined
  const message = `plan is stale: it needs a ${activationOf(plan.owed)} of ${plan.unit.unit} that was not planned (${plan.owed.reason.message}); plan again`
  return { code: STALE_PLAN, message: message.slice(0, MESSAGE_MAX) }
}

/** Code of the reason with which a node refuses a plan that it has changed since. */
const STALE_PLAN = 'stale-plan'

// Of a reason.
const MESSAGE_MAX = 4_096

// From the least to the most.
const WEIGHT: readonly DisruptionClass[] = ['none', 'reload', 'rolling', 'coordinated']

function effectOf(plan: ActionablePlan): Json {
  const { contentDigest, unit, files, keystores, tools } = plan
  return {
    content: contentDigest,
    unit: unit.unit,
    files: files.filter(isSeen(plan)).map(file => fileEffect(plan, file)),
    keystores: keystores.map(({ intent, set, remove }) => ({
      path: intent.path,
      set: set.map(({ name }) => name),
      remove: [...remove],
    })),
    tools: tools.map(({ intent }) => intent.argv.map(withoutRelease)),
  }
}

function fileEffect(plan: ActionablePlan, { path, realPath, ownership, text }: PlannedFile): Json {
  const { mode, uid, gid } = ownership
  return {
    path,
    realPath,
    before: textDigest(textBefore(plan, path)),
    after: textDigest(text),
    ownership: { mode, uid, gid },
  }
}

// The trust bundle is made of certificates, and a file in which only the release is another one is
// part of a renewal.
function isSeen(plan: ActionablePlan): (file: PlannedFile) => boolean {
  return ({ intent, path, text }) => {
    if (intent === undefined) return false
    const before = textBefore(plan, path)
    return textDigest(before) !== textDigest(text)
  }
}

function textBefore({ facts }: ActionablePlan, path: string): string | undefined {
  const observed = facts.files[path]
  return observed?.kind === 'text' ? observed.text : undefined
}

function textDigest(text: string | undefined): string | null {
  return text === undefined ? null : sha256(Buffer.from(withoutRelease(text)))
}

// A name in brackets is quoted where a real one is not.
const IN_RELEASE = /(["']?)([^\s"']*\/releases\/)(?:\(new\)|[^/\s"']+)(\/[^\s"']*)\1/g

function withoutRelease(text: string): string {
  return text.replaceAll(IN_RELEASE, '$2*$3')
}
