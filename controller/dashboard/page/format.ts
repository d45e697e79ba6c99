// Times, counts and names as people read them. Pure: `nowMs` is a parameter.

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1_000],
] as const

/** `3 d`, `5 h`, `12 min`, `4 s`: one unit, rounded down. */
export function duration(ms: number): string {
  const [name, size] = UNITS.find(([, unitMs]) => Math.abs(ms) >= unitMs) ?? ['s', 1_000]
  return `${Math.trunc(Math.abs(ms) / size)} ${name}`
}

/** `5 min ago`, `in 12 d`, `now`. */
export function relative(atMs: number, nowMs: number): string {
  const ms = atMs - nowMs
  if (Math.abs(ms) < 1_000) return 'now'
  return ms < 0 ? `${duration(ms)} ago` : `in ${duration(ms)}`
}

/** `2026-11-22 20:41:07 UTC`: the same for everybody who reads it, as in logs and on the command line. */
export function instant(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

export function day(atMs: number): string {
  return new Date(atMs).toISOString().slice(0, 10)
}

/** `2,000`. */
export function number(value: number): string {
  return value.toLocaleString('en')
}

/** `1 node`, `2,000 nodes`. */
export function count(value: number, one: string, many = `${one}s`): string {
  return `${number(value)} ${value === 1 ? one : many}`
}

/** The beginning of a digest or id: enough to tell it from others. */
export function short(id: string, length = 8): string {
  return id.length > length + 1 ? id.slice(0, length) : id
}

/** The common name of a distinguished name, or all of it. */
export function commonName(subject: string): string {
  return /CN=([^,\n]+)/.exec(subject)?.[1]?.trim() ?? subject
}
