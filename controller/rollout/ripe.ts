// Which steps that hold no permit have something to say, so that a decision need not ask all of a large
// fleet. It follows from the step and the view of its node alone, never from what has just happened:
// who forgets the answer works it out again. Pure.

import { isBack, judgeBeforePermit } from './judge.ts'
import type { NodeView, Rollout, Step } from './rollout.ts'

// Whether there is something to say does not depend on the time at which it is said.
const ANY_TIME = { atMs: 0, timeMs: 0 }

/** Steps that wait for their turn are found by their state. */
export function isRipe(rollout: Rollout, step: Step, view: NodeView | undefined): boolean {
  if (step.state === 'deferred') return isBack(view)
  return step.state === 'assigned' && judgeBeforePermit(rollout, step, view, ANY_TIME).length > 0
}
