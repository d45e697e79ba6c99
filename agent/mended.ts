// A service on which neither the new state nor the one before worked, and which somebody has mended since:
// from then on it is judged by what is seen of it again. Pure.

import type { Held } from './ledger.ts'
import { whyNotAsBefore } from './look-again.ts'
import { type ActionablePlan, isConverged } from './plan.ts'

/** `wanted`: on the content that failed. `before`: on what was there before. */
export type Mended = 'wanted' | 'before'

/** `plan`: made as if nothing had failed. Undefined: it is as broken as it was. */
export function mendedTo(plan: ActionablePlan, held: Held, nowMs: number): Mended | undefined {
  if (!isUp(plan, nowMs)) return undefined
  if (isConverged(plan)) return 'wanted'
  return isAsBefore(plan, held) ? 'before' : undefined
}

// One that dies again and again is up for moments.
function isUp({ unit, tls }: ActionablePlan, nowMs: number): boolean {
  const { activeState, busy, startedAtMs } = unit
  if (activeState !== 'active' || busy || startedAtMs === undefined) return false
  return nowMs - startedAtMs >= tls.verify.stableForMs
}

function isAsBefore({ facts }: ActionablePlan, { servedBefore }: Held): boolean {
  return servedBefore !== undefined && whyNotAsBefore(servedBefore, facts.served) === undefined
}
