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

/** Of the measured processes: what the agent's unit sets, and nothing that would speed Node up. */
export const ENVIRONMENT = { PATH: process.env['PATH'], LC_ALL: 'C', MALLOC_ARENA_MAX: '1' }

/** Of one-shot commands, where they keep compiled code, as the installed program does. */
export function oneShotEnvironment(dir: string): NodeJS.ProcessEnv {
  return { ...ENVIRONMENT, NODE_COMPILE_CACHE: join(dir, 'compile-cache') }
}
