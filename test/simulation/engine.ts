// The production code that a simulation runs. A seeded bug is another copy of the same modules, one of
// which has been changed as it was loaded; see bugs.ts.

import * as children from '../../controller/rollout/children.ts'
import * as evolution from '../../controller/rollout/evolve.ts'
import * as plans from '../../controller/rollout/plan.ts'
import * as runners from '../../controller/rollout/runner.ts'
import * as steps from '../../controller/rollout/steps.ts'

export interface Engine {
  readonly createRunner: typeof runners.createRunner
  readonly evolveAll: typeof evolution.evolveAll
  readonly startRollout: typeof evolution.startRollout
  readonly publishes: typeof evolution.publishes
  readonly makePlan: typeof plans.makePlan
  readonly plannedNodes: typeof steps.plannedNodes
  readonly remainders: typeof children.remainders
}

export const soundEngine: Engine = {
  createRunner: runners.createRunner,
  evolveAll: evolution.evolveAll,
  startRollout: evolution.startRollout,
  publishes: evolution.publishes,
  makePlan: plans.makePlan,
  plannedNodes: steps.plannedNodes,
  remainders: children.remainders,
}
