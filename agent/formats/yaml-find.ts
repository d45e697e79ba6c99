// Finds what a path stands for in a YAML document, and what lies in the way.

import { isAlias, isMap, isScalar, isSeq, type ParsedNode } from 'yaml'
import type { ConfigPath } from './edit.ts'
import { consumedBy, splitDots } from './lookup.ts'
import { hasProperties, isAbsent, type MapNode, type MapPair, type SeqNode } from './yaml-layout.ts'

export type Step =
  | { readonly kind: 'pair'; readonly map: MapNode; readonly pair: MapPair }
  | { readonly kind: 'item'; readonly seq: SeqNode; readonly index: number }

export interface Found {
  /** From the top of the document; empty for its root. */
  readonly steps: readonly Step[]
  readonly node: ParsedNode | null
  /** What of the path is missing below the node. */
  readonly rest: ConfigPath
}

export interface Search {
  readonly matches: readonly Found[]
  /** Where a missing key could be added, the best place last. */
  readonly parents: readonly Found[]
  /** Why an edit of this path would not be safe. */
  readonly obstacles: readonly string[]
}

export function findYaml(root: ParsedNode | null, path: ConfigPath, isFlat: boolean): Search {
  const matches: Found[] = []
  const parents: Found[] = []
  const obstacles: string[] = []

  const visit = (found: Found): void => {
    const { node, rest } = found
    if (hasProperties(node)) obstacles.push('an anchor, an alias or a tag is in the way')
    if (rest.length === 0) matches.push(found)
    else if (isNull(node)) parents.push(found)
    else if (isMap(node)) visitMap(node, found)
    else if (isSeq(node)) visitItem(node, found)
    else if (!isAlias(node)) obstacles.push('a part of the path has a plain value')
  }

  const visitMap = (map: MapNode, { steps, node, rest }: Found): void => {
    parents.push({ steps, node, rest })
    let isFound = false
    for (const pair of map.items) {
      const key = keyOf(pair)
      if (key === undefined) continue
      const used = consumedBy(key, rest, isFlat ? 'flat' : 'exact')
      if (used > 0) {
        isFound = true
        if (hasProperties(pair.key)) obstacles.push('an anchor or a tag is in the way')
        const step: Step = { kind: 'pair', map, pair }
        visit({ steps: [...steps, step], node: pair.value, rest: rest.slice(used) })
      } else if (isFlat && isBelow(key, rest)) {
        obstacles.push('parts of the value are written as keys of their own')
      }
    }
    const merges = map.items.some(pair => keyOf(pair) === '<<')
    if (merges && !isFound) obstacles.push('a merge key may supply the key')
  }

  const visitItem = (seq: SeqNode, { steps, rest }: Found): void => {
    const [index] = rest
    const item = typeof index === 'number' ? seq.items[index] : undefined
    if (typeof index !== 'number') obstacles.push('the path needs an index into a list')
    else if (item === undefined) obstacles.push('the list has no such item')
    else visit({ steps: [...steps, { kind: 'item', seq, index }], node: item, rest: rest.slice(1) })
  }

  visit({ steps: [], node: root, rest: isFlat ? splitDots(path) : path })
  return { matches, parents: parents.toSorted((a, b) => b.rest.length - a.rest.length), obstacles }
}

/** `undefined` for keys that no path can name. */
export function keyOf({ key }: MapPair): string | undefined {
  if (!isScalar(key)) return undefined
  const { value } = key
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

export function isNull(node: ParsedNode | null): boolean {
  return isAbsent(node) || (isScalar(node) && node.value === null)
}

/** The key stands for something inside of what the path stands for. */
function isBelow(key: string, rest: ConfigPath): boolean {
  const parts = key.split('.')
  return parts.length > rest.length && rest.every((step, index) => step === parts[index])
}
