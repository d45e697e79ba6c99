// What is measured: the programs as they ship, not the sources, which would have their types stripped
// at every start.

import { join } from 'node:path'
import { bundle } from '../../systemd/bundle.ts'

export interface Programs {
  readonly agent: string
  readonly controller: string
  readonly cli: string
}

export async function buildPrograms(dir: string): Promise<Programs> {
  const dist = join(dir, 'dist')
  await bundle(dist)
  return {
    agent: join(dist, 'tlsfleet-agent.mjs'),
    controller: join(dist, 'tlsfleet-controller.mjs'),
    cli: join(dist, 'tlsfleet.mjs'),
  }
}

/**
 * How the agent is started. Optimising compilers do not pay for a process that works for milliseconds
 * a minute, but their code stays in memory once it has run: 8 MiB. No helper threads of the engine and
 * tables in their small form: 3 MiB more.
 */
export const AGENT_FLAGS = [
  '--expose-gc',
  '--max-opt=1',
  '--v8-pool-size=0',
  '--optimize-for-size',
] as const

/** Of the measured processes: what the agent's unit sets, and nothing that would speed Node up. */
export const ENVIRONMENT = { PATH: process.env['PATH'], LC_ALL: 'C', MALLOC_ARENA_MAX: '1' }
