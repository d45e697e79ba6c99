// One seed: a world, some hundred actions, then everything heals. Throws what is violated.

import { soundEngine, type Engine } from './engine.ts'
import { randomFrom } from './random.ts'
import { createWorld } from './world.ts'

const ACTIONS = 400

export interface Outcome {
  readonly ends: readonly string[]
  readonly trace: readonly string[]
}

export interface RunOptions {
  readonly engine?: Engine
  readonly wallJumps?: boolean
  /** Of what happened, also when it throws. */
  readonly onTrace?: (trace: readonly string[]) => void
}

export async function runSeed(seed: number, options: RunOptions = {}): Promise<Outcome> {
  const { engine = soundEngine, wallJumps = false, onTrace } = options
  const random = randomFrom(seed)
  const world = createWorld({ engine, random, wallJumps })
  try {
    for (let action = 0; action < ACTIONS; action++) await world.act()
    await world.heal()
    world.checkEnd()
  } finally {
    onTrace?.(world.trace)
  }
  return { ends: world.rollouts().map(({ status }) => status), trace: world.trace }
}
