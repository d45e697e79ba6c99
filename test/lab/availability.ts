// Whether a lab can run on this machine, asked once a process: the answer takes 0.2 s to find.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'

export const LAB_SCRIPT = join(import.meta.dirname, 'lab.sh')

/** How every reason of a test that was skipped for want of the lab begins. */
export const LAB_UNAVAILABLE = 'lab not possible here'

// lab.sh check: the failing step is on standard error.
const NOT_POSSIBLE = 77

let answer: { readonly why: string | undefined } | undefined

/** Why a lab cannot run here, or undefined where it can. */
export function labUnavailable(): string | undefined {
  answer ??= { why: findOut() }
  return answer.why
}

function findOut(): string | undefined {
  if (process.platform !== 'linux') return `${LAB_UNAVAILABLE}: needs Linux`
  if (process.getuid?.() !== 0) return `${LAB_UNAVAILABLE}: needs root`
  const check = spawnSync('bash', [LAB_SCRIPT, 'check'], { encoding: 'utf8', timeout: 180_000 })
  if (check.status === 0) return undefined
  const said = check.stderr.trim().replace(/^lab: (not possible here: )?/, '')
  if (check.status === NOT_POSSIBLE) return `${LAB_UNAVAILABLE}: ${said}`
  return `${LAB_UNAVAILABLE}: the check itself failed: ${said || String(check.error)}`
}

/** For tests that look again after the packages were installed. */
export function forgetLabAvailability(): void {
  answer = undefined
}
