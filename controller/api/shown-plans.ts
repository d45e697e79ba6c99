// The plans that were shown lately, by digest: what was seen is carried out without asking all nodes
// again. In memory only; a plan that is lost is made again, and compared by its digest.

import type { Clock } from '../../shared/clock.ts'
import type { PlannedNodeView } from '../../shared/contract/operator-api.ts'
import type { Condition } from '../rollout/rollout.ts'

export interface ShownView {
  /** By node. */
  readonly nodes: ReadonlyMap<string, PlannedNodeView>
  readonly conditions: ReadonlyMap<string, Condition>
  /** Groups that are changed as a whole. */
  readonly together?: readonly string[] | undefined
}

export interface ShownPlans {
  keep(digest: string, view: ShownView): void
  find(digest: string): ShownView | undefined
}

const PLANS_MAX = 8
const KEPT_MS = 3_600_000

export function createShownPlans({ monotonic }: Pick<Clock, 'monotonic'>): ShownPlans {
  const plans = new Map<string, { readonly view: ShownView; readonly atMs: number }>()
  return {
    keep(digest, view) {
      plans.delete(digest)
      plans.set(digest, { view, atMs: monotonic() })
      const oldest = plans.size <= PLANS_MAX ? undefined : plans.keys().next().value
      if (oldest !== undefined) plans.delete(oldest)
    },
    find(digest) {
      const found = plans.get(digest)
      if (found === undefined || monotonic() - found.atMs <= KEPT_MS) return found?.view
      plans.delete(digest)
      return undefined
    },
  }
}
