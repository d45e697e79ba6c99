// Is one of the nodes of a rollout in a scope, as freezes have them? Answered once a scope, by a node
// that is in it, and asked again of nobody but nodes that change.

import { matches, type Selector } from '../fleet/selector.ts'
import type { FrameNode } from './fleet-frame.ts'

export interface Scopes {
  /** `nodes`: of the rollout, as far as they are in the fleet; looked at when the scope is new. */
  holds(scope: Selector, nodes: () => Iterable<FrameNode>): boolean
  /** A node of the rollout is another one now; undefined: it is not in the fleet any more. */
  change(name: string, node: FrameNode | undefined): void
}

export function createScopes(): Scopes {
  const answers = new Map<
    string,
    { readonly scope: Selector; readonly found: string | undefined }
  >()
  return {
    holds(scope, nodes) {
      const key = JSON.stringify(scope)
      const known = answers.get(key)
      if (known !== undefined) return known.found !== undefined
      const found = first(nodes(), node => matches(node, scope))?.name
      answers.set(key, { scope, found })
      return found !== undefined
    },
    change(name, node) {
      for (const [key, { scope, found }] of answers) {
        if (node !== undefined && matches(node, scope)) answers.set(key, { scope, found: name })
        else if (found === name) answers.delete(key)
      }
    },
  }
}

function first<T>(all: Iterable<T>, is: (one: T) => boolean): T | undefined {
  for (const one of all) if (is(one)) return one
  return undefined
}
