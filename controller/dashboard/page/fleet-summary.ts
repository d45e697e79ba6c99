// The fleet at a glance: how many nodes are in which state, in all, by product and by label. Pure.

import type { NodeState } from '../../../shared/contract/operator-api.ts'
import type { NodeRow } from './node-row.ts'
import { NODE_STATES } from './words.ts'

export type StateCounts = ReadonlyMap<NodeState, number>

export interface Part {
  readonly name: string
  /** What the filter calls it. */
  readonly term: string
  readonly total: number
  readonly states: StateCounts
}

export const STATE_ORDER: readonly NodeState[] = [
  'failed',
  'locked',
  'drifting',
  'offline',
  'waiting',
  'converging',
  'pending',
  'idle',
  'converged',
]

// These are shown at all times; the others when there are some.
const MAIN: readonly NodeState[] = ['converged', 'drifting', 'failed', 'offline']

export function shownStates(counts: StateCounts): readonly NodeState[] {
  const rest = STATE_ORDER.filter(state => !MAIN.includes(state) && (counts.get(state) ?? 0) > 0)
  return [...MAIN, ...rest]
}

export function countStates(rows: readonly NodeRow[]): StateCounts {
  const counts = new Map<NodeState, number>()
  for (const { state } of rows) counts.set(state, (counts.get(state) ?? 0) + 1)
  return counts
}

export function byProduct(rows: readonly NodeRow[]): readonly Part[] {
  return partsOf(rows, ({ products }) => [...new Set(products)], 'product:')
}

export function byLabel(rows: readonly NodeRow[], key: string): readonly Part[] {
  return partsOf(rows, ({ labels }) => labels[key] ?? [], `${key}=`)
}

/** Keys of labels: those that most nodes have first, and of these the one with the most values that fit a short list. */
export function labelKeys(rows: readonly NodeRow[]): readonly string[] {
  const values = new Map<string, { nodes: number; readonly values: Set<string> }>()
  for (const { labels } of rows)
    for (const [key, value] of Object.entries(labels)) {
      const known = values.get(key) ?? { nodes: 0, values: new Set() }
      known.nodes++
      known.values.add(value)
      values.set(key, known)
    }
  return [...values]
    .toSorted(([a, x], [b, y]) => y.nodes - x.nodes || partsIn(y) - partsIn(x) || order(a, b))
    .map(([key]) => key)
}

const PARTS_MAX = 12
function partsIn({ values }: { readonly values: ReadonlySet<string> }): number {
  return values.size > PARTS_MAX ? 0 : values.size
}

function partsOf(
  rows: readonly NodeRow[],
  namesOf: (row: NodeRow) => string | readonly string[],
  prefix: string,
): readonly Part[] {
  const parts = new Map<string, NodeRow[]>()
  for (const row of rows)
    for (const name of [namesOf(row)].flat()) {
      const members = parts.get(name)
      if (members === undefined) parts.set(name, [row])
      else members.push(row)
    }
  return [...parts]
    .toSorted(([a, x], [b, y]) => y.length - x.length || order(a, b))
    .map(([name, members]) => ({
      name,
      term: `${prefix}${name}`,
      total: members.length,
      states: countStates(members),
    }))
}

/** The nodes that need somebody first, then by name. */
export function inOrder(rows: readonly NodeRow[]): readonly NodeRow[] {
  return rows.toSorted(
    (a, b) => STATE_ORDER.indexOf(a.state) - STATE_ORDER.indexOf(b.state) || order(a.name, b.name),
  )
}

/** Numbers in names count as numbers: `n2` before `n10`. */
const collator = new Intl.Collator('en', { numeric: true })
function order(a: string, b: string): number {
  return collator.compare(a, b)
}

/** For one line about the whole fleet. */
export function inWords(counts: StateCounts): string {
  return STATE_ORDER.filter(state => (counts.get(state) ?? 0) > 0)
    .map(state => `${counts.get(state) ?? 0} ${NODE_STATES[state].label.toLowerCase()}`)
    .join(', ')
}
