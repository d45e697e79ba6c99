// Small pieces of text that several views share.

import type { Reason } from '../../../shared/contract/schema.ts'

export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

/** The sentence and its code, so that people can search for it. */
export function because(reason: Reason): string {
  return `${reason.message} (${reason.code})`
}

/** `in 12 d`, `3 min ago`: the largest unit alone, rounded down. */
export function relativeTime(atMs: number, nowMs: number): string {
  const text = roughDuration(Math.abs(atMs - nowMs))
  return atMs >= nowMs ? `in ${text}` : `${text} ago`
}

export function roughDuration(durationMs: number): string {
  for (const [unit, unitMs] of UNITS)
    if (durationMs >= UNITS_MIN * unitMs) return `${Math.floor(durationMs / unitMs)} ${unit}`
  return `${Math.floor(durationMs / 1_000)} s`
}

// `36 h` says more than `1 d`.
const UNITS_MIN = 2
const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
] as const
