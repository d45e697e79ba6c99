// A figure taken while products still start says more about them than about the agent: they share its CPUs.

import { cpus } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { say } from './metric.ts'

// Of all CPUs together, over a second.
const BUSY_SHARE_MAX = 0.03
const QUIET_SECONDS = 3
// A machine that others use as well may never be at rest.
const PATIENCE_SECONDS = 30

/** Resolves when the machine has had next to nothing to do for three seconds; tells when it never has. */
export async function untilMachineRests(): Promise<void> {
  let quiet = 0
  let share = 0
  for (let second = 0; second < PATIENCE_SECONDS && quiet < QUIET_SECONDS; second++) {
    const before = times()
    await sleep(1000)
    const after = times()
    share = (after.busy - before.busy) / (after.all - before.all)
    quiet = share <= BUSY_SHARE_MAX ? quiet + 1 : 0
  }
  if (quiet < QUIET_SECONDS)
    say(`the machine does not rest: ${(share * 100).toFixed(0)} % of its CPUs are in use`)
}

/** Of all CPUs since the machine started, milliseconds. */
function times(): { readonly busy: number; readonly all: number } {
  const all = cpus().flatMap(({ times }) => Object.values(times))
  const idle = cpus().map(({ times }) => times.idle)
  return { busy: sum(all) - sum(idle), all: sum(all) }
}

function sum(list: readonly number[]): number {
  return list.reduce((total, one) => total + one, 0)
}
