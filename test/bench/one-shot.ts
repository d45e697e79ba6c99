// Whole processes, from their start to their end.

import { type Outcome, describeOutcome, runCommand } from '../lab/command.ts'
import { ENVIRONMENT } from './programs.ts'

export interface WholeProcess {
  readonly name: string
  readonly file: string
  readonly argv: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

export interface Cost {
  readonly wallMs: number
  /** Of the process and all that it started and waited for. */
  readonly cpuMs: number
}

/**
 * In turns, so that whatever else the machine does falls on all of them alike; a first turn that is
 * not counted fills the caches.
 */
export async function measureInTurns(
  processes: readonly WholeProcess[],
  turns: number,
): Promise<ReadonlyMap<string, readonly Cost[]>> {
  const costs = new Map<string, Cost[]>(processes.map(({ name }) => [name, []]))
  for (let turn = 0; turn <= turns; turn++) {
    for (const one of processes) {
      const cost = await measureOnce(one)
      if (turn > 0) costs.get(one.name)?.push(cost)
    }
  }
  return costs
}

// Bash's own `times` counts children in milliseconds; the ticks of proc(5) are too coarse.
const TIMED = 'TIMEFORMAT="%R %U %S"; exec 3>&2; time "$@" 2>&3'

async function measureOnce({ name, file, argv, env }: WholeProcess): Promise<Cost> {
  const outcome: Outcome = await runCommand('/bin/bash', ['-c', TIMED, 'bash', file, ...argv], {
    env: { ...ENVIRONMENT, ...env },
    timeoutMs: 120_000,
  })
  if (outcome.code !== 0) throw new Error(describeOutcome(name, outcome))
  const [wall, user, system] = (outcome.stderr.trimEnd().split('\n').at(-1) ?? '').split(' ')
  const milliseconds = (seconds: string | undefined) => Number(seconds) * 1000
  return { wallMs: milliseconds(wall), cpuMs: milliseconds(user) + milliseconds(system) }
}
