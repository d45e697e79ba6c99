// One seed of the second layer: a fleet of production agents under production controllers.

// oxlint-disable-next-line import/no-unassigned-import -- it must be evaluated before all others
import './keys-now.ts'
import { createHash } from 'node:crypto'
import { randomFrom } from '../random.ts'
import { type Product, soundProduct } from './product.ts'
import { createScenario } from './scenario.ts'
import { trustOnce } from './trust.ts'
import { openVault } from './vault.ts'
import { createWorld } from './world.ts'

export interface WholeOutcome {
  readonly ends: readonly string[]
  readonly trace: readonly string[]
  readonly counts: ReadonlyMap<string, number>
  /** Of the trace. */
  readonly hash: string
}

export interface WholeOptions {
  readonly product?: Product
  /** Of what happened, also when it throws. */
  readonly onTrace?: (trace: readonly string[]) => void
}

export async function runWhole(seed: number, options: WholeOptions = {}): Promise<WholeOutcome> {
  const { product = soundProduct, onTrace } = options
  const trust = await trustOnce()
  const random = randomFrom(seed)
  const scenario = createScenario(random.split('scenario'))
  const vault = await openVault(scenario.faults.restore > 0)
  const world = await createWorld({ product, random, scenario, vault, trust })
  try {
    await world.run()
    const hash = createHash('sha256').update(world.trace.join('\n')).digest('hex')
    return { ends: await world.ends(), counts: world.counts, trace: world.trace, hash }
  } finally {
    onTrace?.(world.trace)
    // Who died holds on to it and never comes back.
    await vault.close()
  }
}
