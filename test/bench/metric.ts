// What the bench prints: one JSON line a metric. Medians, because a busy machine only adds.

export type Unit = 'ms' | 'mb' | 'kb' | 'count' | 'ratio' | 'load'

/** `n`: how many measurements the value was made from. */
export function printMetric(metric: string, value: number, unit: Unit, n: number): void {
  const rounded = Number(value.toPrecision(4))
  process.stdout.write(`${JSON.stringify({ metric, value: rounded, unit, n })}\n`)
}

/** What a reader should know beside the numbers; standard output stays JSON. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`)
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Of a small sample: the smallest value that at least this part of all values does not exceed. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? Number.NaN
}
