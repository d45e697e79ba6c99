// How far two clocks are apart, as far as one answer with a `Date` header can say. Pure.

import { formatDuration } from './duration.ts'
import type { Finding } from './findings.ts'

/** The header has whole seconds (RFC 9110 section 6.6.1). */
const RESOLUTION_MS = 1_000

export interface DatedAnswer {
  /** The header as it came. */
  readonly date: string | undefined
  readonly askedAtMs: number
  readonly answeredAtMs: number
}

/**
 * Milliseconds by which the other clock is ahead, negative when behind; 0 when the difference is
 * within what cannot be told. Undefined without a date that can be read.
 */
export function clockDifferenceMs({
  date,
  askedAtMs,
  answeredAtMs,
}: DatedAnswer): number | undefined {
  const theirsMs = Date.parse(date ?? '')
  if (Number.isNaN(theirsMs)) return undefined
  // The answer was made between the two moments, in the second that the header names.
  if (theirsMs > answeredAtMs) return theirsMs - answeredAtMs
  if (theirsMs + RESOLUTION_MS < askedAtMs) return theirsMs + RESOLUTION_MS - askedAtMs
  return 0
}

/** Certificates are dated back by five minutes (security.md S08): beyond that a fresh one is refused. */
const DIFFERENCE_MS_MAX = 300_000
/** No running time service leaves this much. */
const DIFFERENCE_MS_NOTED = 10_000

/** Of this machine against its controller. */
export function clockFinding(differenceMs: number | undefined): Finding {
  const check = 'clock'
  if (differenceMs === undefined)
    return {
      check,
      state: 'warning',
      message: 'the controller does not say what time it has',
      fix: 'check that nothing between here and the controller rewrites its answers',
    }
  const far = Math.abs(differenceMs)
  if (far < DIFFERENCE_MS_NOTED)
    return { check, state: 'ok', message: 'agrees with that of the controller' }
  const side = differenceMs > 0 ? 'ahead of' : 'behind'
  return {
    check,
    state: far >= DIFFERENCE_MS_MAX ? 'failed' : 'warning',
    message: `that of the controller is ${formatDuration(Math.floor(far / 1_000) * 1_000)} ${side} this one`,
    fix: 'set both by NTP: timedatectl set-ntp true; certificates are dated back by 5 minutes only',
  }
}
