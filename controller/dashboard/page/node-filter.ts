// The filter above the list of nodes, as text: `state:failed product:influxdb role=meta env!=prod db-1`.
// All words must hold; the same key of `state:` and `product:` twice means either. Pure.

import type { NodeRow } from './node-row.ts'

export interface NodeFilter {
  readonly states: readonly string[]
  readonly products: readonly string[]
  readonly labels: readonly LabelTerm[]
  readonly words: readonly string[]
}

export interface LabelTerm {
  readonly key: string
  readonly value: string
  readonly isNegated: boolean
}

export function parseFilter(text: string): NodeFilter {
  const terms = text.trim().split(/\s+/).filter(Boolean)
  const after = (prefix: string) =>
    terms.filter(term => term.startsWith(prefix)).map(term => term.slice(prefix.length))
  const plain = terms.filter(term => !/^(state|product):/.test(term))
  return {
    states: after('state:'),
    products: after('product:'),
    labels: plain.flatMap(term => labelTerm(term) ?? []),
    words: plain.filter(term => labelTerm(term) === undefined).map(term => term.toLowerCase()),
  }
}

function labelTerm(term: string): LabelTerm | undefined {
  const [, key, negation, value] = /^([^=!]+)(!?)=(.*)$/.exec(term) ?? []
  if (key === undefined || value === undefined) return undefined
  return { key, value, isNegated: negation === '!' }
}

export function matches(row: NodeRow, { states, products, labels, words }: NodeFilter): boolean {
  return (
    (states.length === 0 || states.includes(row.state)) &&
    (products.length === 0 || products.some(product => row.products.includes(product))) &&
    labels.every(({ key, value, isNegated }) => (row.labels[key] === value) !== isNegated) &&
    words.every(word => row.text.includes(word))
  )
}

/** The text with the term added, or without it where it was there. */
export function toggleTerm(text: string, term: string): string {
  const terms = text.trim().split(/\s+/).filter(Boolean)
  const others = terms.filter(one => one !== term)
  return (others.length === terms.length ? [...terms, term] : others).join(' ')
}

export function hasTerm(text: string, term: string): boolean {
  return text.trim().split(/\s+/).includes(term)
}
