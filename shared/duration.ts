// Durations as people write them: `90s`, `5m`, `12h`, `30d`; several units from large to small: `1h30m`.

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
  ['ms', 1],
] as const

const PATTERN = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?$/

/** Milliseconds, or undefined when the text is no duration. Days are 86,400 seconds. */
export function parseDuration(text: string): number | undefined {
  const match = PATTERN.exec(text)
  if (match === null || text === '') return undefined
  let totalMs = 0
  for (const [index, [, unitMs]] of UNITS.entries())
    totalMs += Number(match[index + 1] ?? 0) * unitMs
  return Number.isSafeInteger(totalMs) ? totalMs : undefined
}

/** The shortest exact text, `0s` for none; parseDuration gives the same number back. */
export function formatDuration(durationMs: number): string {
  let restMs = Math.round(Math.max(0, durationMs))
  let text = ''
  for (const [unit, unitMs] of UNITS) {
    const count = Math.floor(restMs / unitMs)
    restMs -= count * unitMs
    if (count > 0) text += `${count}${unit}`
  }
  return text === '' ? '0s' : text
}
