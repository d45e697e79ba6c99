// Rollouts as this process has read or folded them last. Only an optimisation: a fold counts only for
// the version that the database has, and what a transaction wrote is forgotten with it.

import { hasEnded } from '../rollout/evolve.ts'
import type { Plan, Rollout } from '../rollout/rollout.ts'
import type { RolloutSummary } from './rollouts-store.ts'

export interface RolloutCache {
  planOf(id: string): Plan | undefined
  keepPlan(id: string, plan: Plan): void
  /** The fold, if it is that of this version. */
  find(id: string, version: number): Rollout | undefined
  keep(rollout: Rollout): void
  /** Of one that has ended, if it is that of this version. */
  summaryOf(id: string, version: number): RolloutSummary | undefined
  keepSummary(summary: RolloutSummary): void
  /** A transaction is about to write this one. */
  touch(id: string): void
  /** A transaction begins. */
  begin(): void
  /** It has come to nothing. */
  rollBack(): void
  clear(): void
}

// Of ended rollouts people read some; of a large fleet each is some ten megabytes.
const PLANS_MAX = 64
const FOLDS_MAX = 16
const SUMMARIES_MAX = 512

export function createRolloutCache(): RolloutCache {
  const plans = new Map<string, Plan>()
  const folds = new Map<string, Rollout>()
  const summaries = new Map<string, RolloutSummary>()
  const touched = new Set<string>()
  return {
    planOf: id => plans.get(id),
    keepPlan: (id, plan) => keep(plans, id, plan, PLANS_MAX),
    find(id, version) {
      const fold = folds.get(id)
      return fold?.version === version ? fold : undefined
    },
    keep(rollout) {
      // Who leafs through the past must not push out what moves.
      if (hasEnded(rollout)) folds.delete(rollout.id)
      else keep(folds, rollout.id, rollout, FOLDS_MAX)
    },
    summaryOf(id, version) {
      const summary = summaries.get(id)
      return summary?.version === version ? summary : undefined
    },
    keepSummary: summary => keep(summaries, summary.id, summary, SUMMARIES_MAX),
    touch: id => void touched.add(id),
    begin: () => touched.clear(),
    rollBack() {
      for (const id of touched) {
        plans.delete(id)
        folds.delete(id)
        summaries.delete(id)
      }
      touched.clear()
    },
    clear() {
      plans.clear()
      folds.clear()
      summaries.clear()
    },
  }
}

// What was kept longest ago goes first.
function keep<T>(kept: Map<string, T>, id: string, value: T, most: number): void {
  kept.delete(id)
  const oldest = kept.size < most ? undefined : kept.keys().next().value
  if (oldest !== undefined) kept.delete(oldest)
  kept.set(id, value)
}
