// Reads the text format of Prometheus as strictly as its description is, and asks promtool.

import { spawnSync } from 'node:child_process'
import type { Test } from 'tap'
import { PROMTOOL, PROMTOOL_UNAVAILABLE } from './prometheus.ts'

export interface Metric {
  readonly type: string
  readonly help: string
  /** By name and labels as they are written. */
  readonly samples: Map<string, number>
}

/** Throws for whatever a scraper may refuse: undeclared, scattered or repeated samples, bad names. */
export function readMetrics(text: string): ReadonlyMap<string, Metric> {
  if (text !== '' && !text.endsWith('\n')) throw new Error('the last line has no end')
  const metrics = new Map<string, Metric>()
  let current: { name: string; metric: Metric } | undefined
  let help: { name: string; text: string } | undefined
  for (const line of text.split('\n').slice(0, -1)) {
    const [, helped, said] = /^# HELP ([a-z_]+) (.+)$/.exec(line) ?? []
    const [, typed, type] = /^# TYPE ([a-z_]+) (gauge|counter|histogram)$/.exec(line) ?? []
    if (helped !== undefined) help = { name: helped, text: said ?? '' }
    else if (typed !== undefined) {
      if (help?.name !== typed) throw new Error(`${typed} has no help`)
      if (metrics.has(typed)) throw new Error(`${typed} comes twice`)
      current = { name: typed, metric: { type: type ?? '', help: help.text, samples: new Map() } }
      metrics.set(typed, current.metric)
    } else readSample(line, current)
  }
  for (const [name, { samples }] of metrics)
    if (samples.size === 0) throw new Error(`${name} has no sample`)
  return metrics
}

const LABEL = String.raw`[a-z_]+="(?:[^"\\]|\\[\\n"])*"`
const SAMPLE = new RegExp(String.raw`^([a-z_]+)(\{${LABEL}(?:,${LABEL})*\})? (\S+)$`)

function readSample(line: string, current: { name: string; metric: Metric } | undefined): void {
  const [, name, labels = '', value] = SAMPLE.exec(line) ?? []
  if (name === undefined) throw new Error(`not a sample: ${line}`)
  const base =
    current?.metric.type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name
  if (current?.name !== base) throw new Error(`${name} stands outside of its family`)
  const number = value === '+Inf' ? Infinity : Number(value)
  if (Number.isNaN(number)) throw new Error(`not a number: ${line}`)
  if (current.metric.samples.has(name + labels)) throw new Error(`${name}${labels} comes twice`)
  current.metric.samples.set(name + labels, number)
}

/** The value of one sample, named as it is written; undefined: it is not there. */
export function valueOf(text: string, sample: string): number | undefined {
  const name = sample.replace(/\{.*$/, '')
  const metrics = readMetrics(text)
  const family = metrics.get(name) ?? metrics.get(name.replace(/_(bucket|sum|count)$/, ''))
  return family?.samples.get(sample)
}

export function askPromtool(
  argv: readonly string[],
  input = '',
): { readonly code: number | null; readonly said: string } {
  const { status, stdout, stderr } = spawnSync(PROMTOOL, argv, {
    input,
    encoding: 'utf8',
  })
  return { code: status, said: stdout + stderr }
}

/** What promtool finds fault with. */
export function lint(t: Test, text: string): void {
  readMetrics(text)
  if (PROMTOOL_UNAVAILABLE !== false) {
    t.comment(PROMTOOL_UNAVAILABLE)
    return
  }
  t.strictSame(askPromtool(['check', 'metrics'], text), { code: 0, said: '' })
}
