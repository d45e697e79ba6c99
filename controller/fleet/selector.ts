// Which nodes an entry of the fleet spec means.

import type { NodeRecord } from '../store/store.ts'

/**
 * `all`, or conditions that must all hold: every label has one of its values, and the node's name
 * is listed. An absent condition holds.
 */
export type Selector =
  | 'all'
  | {
      readonly labels?: Readonly<Record<string, readonly string[]>> | undefined
      readonly names?: readonly string[] | undefined
    }

export function matches(node: Pick<NodeRecord, 'name' | 'labels'>, selector: Selector): boolean {
  if (selector === 'all') return true
  if (selector.names !== undefined && !selector.names.includes(node.name)) return false
  return Object.entries(selector.labels ?? {}).every(([label, values]) => {
    const value = Object.hasOwn(node.labels, label) ? node.labels[label] : undefined
    return value !== undefined && values.includes(value)
  })
}
