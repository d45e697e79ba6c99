// The production code that a simulation of whole fleets runs and that a seeded bug may be in. Such a bug
// is another copy of its modules; see bugs.ts.

import * as agents from '../../../agent/agent.ts'
import * as standalone from '../../../agent/standalone.ts'
import * as wakes from '../../../agent/wake.ts'
import * as rotations from '../../../controller/rotation/runner.ts'

export interface Product {
  readonly runAgent: typeof agents.runAgent
  readonly createWake: typeof wakes.createWake
  readonly prepareState: typeof standalone.prepareState
  readonly createRotations: typeof rotations.createRotations
}

export const soundProduct: Product = {
  runAgent: agents.runAgent,
  createWake: wakes.createWake,
  prepareState: standalone.prepareState,
  createRotations: rotations.createRotations,
}
