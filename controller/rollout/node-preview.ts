// What a plan keeps of what a node said that it would change: what is done, not how things are now, so
// that two looks at a node on which nothing has changed make the same plan. Pure.

import { digestOf, type Json } from '../../shared/digest.ts'
import type { DisruptionClass } from '../../shared/contract/planned.ts'
import type { ChangeSummary, ServiceReport } from '../../shared/contract/report.ts'
import type { NodePreview, UnheldNode } from '../../shared/contract/rollout-plan.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { PlannedNode } from './rollout.ts'

// Of all diffs of one node; what is beyond it is cut, and the digest of the change still covers it.
const DIFF_CHARACTERS_MAX = 64 * 1024

/** Nodes with the digests of what they said; one that did not answer is held to nothing. Views are by node. */
export function heldNodes(
  moving: readonly PlannedNode[],
  views: ReadonlyMap<string, NodePreview>,
): { readonly nodes: readonly PlannedNode[]; readonly previews: ReadonlyMap<string, NodePreview> } {
  const previews = new Map<string, NodePreview>()
  const nodes = moving.map((planned): PlannedNode => {
    const view = views.get(planned.node)
    if (view === undefined || view.result === 'unreachable') return planned
    const kept = keptPreview(view)
    const preview = previewDigest(kept)
    previews.set(preview, kept)
    return { ...planned, preview }
  })
  return { nodes, previews }
}

/** Who is held to nothing, and why. */
export function unheldNodes(
  nodes: readonly PlannedNode[],
  views: ReadonlyMap<string, Pick<NodePreview, 'reason'>>,
): readonly UnheldNode[] {
  return nodes.flatMap(({ node, preview }) =>
    preview === undefined ? [{ node, reason: views.get(node)?.reason ?? NOT_ASKED }] : [],
  )
}

const NOT_ASKED: Reason = { code: 'not-asked', message: 'the node was not asked' }

export function keptPreview({ result, reason, services }: NodePreview): NodePreview {
  let left = DIFF_CHARACTERS_MAX
  const kept = (change: ChangeSummary): ChangeSummary => {
    const { diff, ...rest } = change
    if (diff === undefined) return rest
    left -= diff.length
    return left < 0 ? rest : change
  }
  return {
    result,
    reason,
    services: services.map((report): ServiceReport => {
      const { service, unit, version, outcome, corrective, activation, activationReason } = report
      return {
        service,
        ...(unit === undefined ? {} : { unit }),
        ...(version === undefined ? {} : { version }),
        outcome,
        reason: report.reason,
        corrective,
        activation,
        activationReason,
        changes: report.changes.map(kept),
        served: [],
        notices: [],
        activations: 0,
        ...(report.planned === undefined ? {} : { planned: report.planned }),
      }
    }),
  }
}

export function previewDigest(preview: NodePreview): string {
  const json: Json = JSON.parse(JSON.stringify(preview))
  return digestOf(json)
}

// From the least to the most.
const CLASSES: readonly DisruptionClass[] = ['none', 'reload', 'rolling', 'coordinated']

/** The most that a service is disturbed; undefined where one could not say. */
export function disruptionOf({ services }: NodePreview): DisruptionClass | undefined {
  let most = 0
  for (const report of services) {
    const disruption = isCoordinated(report) ? 'coordinated' : report.planned?.disruption
    if (disruption === undefined) return undefined
    most = Math.max(most, CLASSES.indexOf(disruption))
  }
  return CLASSES[most]
}

/** Its driver says that a whole cluster has to be stopped for it. */
export function isCoordinated({ outcome, reason }: ServiceReport): boolean {
  return outcome === 'unsupported' && reason.code === 'coordinated-change'
}
