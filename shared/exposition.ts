// The text format that Prometheus scrapes (version 0.0.4), and what is counted between two scrapes.
// Both sides write it: the agent to a file, the controller as an answer.

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  /** Of a histogram: `_bucket`, `_sum`, `_count`. */
  readonly suffix?: string
}

/** All samples of one name. One that has none is left out of the text. */
export interface Family {
  readonly name: string
  readonly help: string
  readonly type: 'gauge' | 'counter' | 'histogram'
  readonly samples: readonly Sample[]
}

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export function exposition(families: readonly Family[]): string {
  return families.map(familyText).join('')
}

function familyText({ name, help, type, samples }: Family): string {
  if (samples.length === 0) return ''
  const lines = samples.map(
    ({ suffix = '', labels, value }) => `${name}${suffix}${labelsText(labels)} ${number(value)}\n`,
  )
  return `# HELP ${name} ${escaped(help, /[\\\n]/g)}\n# TYPE ${name} ${type}\n${lines.join('')}`
}

function labelsText(labels: Sample['labels']): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(value, /[\\\n"]/g)}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

function escaped(text: string, special: RegExp): string {
  return text.replace(special, one => (one === '\n' ? '\\n' : `\\${one}`))
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

export function gauge(name: string, help: string, samples: readonly Sample[]): Family {
  return { name, help, type: 'gauge', samples }
}

/** One sample without labels; none when the value is not known. */
export function single(
  type: 'gauge' | 'counter',
  name: string,
  help: string,
  value: number | undefined,
): Family {
  return { name, help, type, samples: value === undefined ? [] : [{ labels: {}, value }] }
}

/** Prometheus counts time in seconds. */
export function seconds(ms: number): number {
  return ms / 1000
}

export interface Counter {
  add(labels: Readonly<Record<string, string>>, amount?: number): void
  family(): Family
}

export function createCounter(name: string, help: string): Counter {
  const values = new Map<string, { readonly labels: Sample['labels']; value: number }>()
  return {
    add(labels, amount = 1) {
      const key = keyOf(labels)
      const known = values.get(key)
      if (known === undefined) values.set(key, { labels, value: amount })
      else known.value += amount
    },
    family: () => ({ name, help, type: 'counter', samples: [...values.values()] }),
  }
}

export interface Histogram {
  observe(labels: Readonly<Record<string, string>>, value: number): void
  family(): Family
}

interface Distribution {
  readonly labels: Sample['labels']
  /** How many fell into each bucket and into no lower one; the last is +Inf. */
  readonly counts: number[]
  sum: number
}

/** `bounds`: upper ends of the buckets, ascending, without +Inf. */
export function createHistogram(name: string, help: string, bounds: readonly number[]): Histogram {
  const values = new Map<string, Distribution>()
  return {
    observe(labels, value) {
      const key = keyOf(labels)
      const known = values.get(key) ?? {
        labels,
        counts: Array.from({ length: bounds.length + 1 }, () => 0),
        sum: 0,
      }
      const found = bounds.findIndex(bound => value <= bound)
      const bucket = found === -1 ? bounds.length : found
      known.counts[bucket] = (known.counts[bucket] ?? 0) + 1
      known.sum += value
      values.set(key, known)
    },
    family: () => ({
      name,
      help,
      type: 'histogram',
      samples: [...values.values()].flatMap(one => distributionSamples(one, bounds)),
    }),
  }
}

function distributionSamples(
  { labels, counts, sum }: Distribution,
  bounds: readonly number[],
): readonly Sample[] {
  let count = 0
  const buckets = counts.map((inBucket, index) => {
    count += inBucket
    const le = number(bounds[index] ?? Infinity)
    return { suffix: '_bucket', labels: { ...labels, le }, value: count }
  })
  return [
    ...buckets,
    { suffix: '_sum', labels, value: sum },
    { suffix: '_count', labels, value: count },
  ]
}

function keyOf(labels: Sample['labels']): string {
  return Object.values(labels).join('\0')
}
