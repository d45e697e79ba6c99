// Which node is meant by a name or an address that a cluster has for one of its members. Kept up node by
// node, because clusters are asked again all the time and fleets are large. Pure but for what it keeps.

import type { ClusterView } from '../../shared/contract/cluster-view.ts'
import type { Names } from '../../shared/contract/schema.ts'

export interface KnownNode {
  readonly name: string
  readonly names: Names
}

export type ClusterMember = Pick<ClusterView['members'][number], 'name' | 'address'>

export interface Finder {
  /** By name or address as recorded, else by a first label that only one node has. */
  find(member: ClusterMember): string | undefined
}

export interface Directory extends Finder {
  /** What was known of a node, and what is known now; undefined: it is not there. */
  change(before: KnownNode | undefined, after: KnownNode | undefined): void
}

/** Read from the nodes when somebody is looked for first, as most fleets have nobody who looks. */
export function createDirectory(nodes: ReadonlyMap<string, KnownNode>): Directory {
  const exact: Shelf = new Map()
  const labels: Shelf = new Map()
  let isRead = false

  const add = (node: KnownNode) => {
    for (const key of exactKeys(node)) put(exact, key, node.name)
    for (const key of labelKeys(node)) put(labels, key, node.name)
  }
  const remove = (node: KnownNode) => {
    for (const key of exactKeys(node)) take(exact, key, node.name)
    for (const key of labelKeys(node)) take(labels, key, node.name)
  }
  return {
    find(member) {
      if (!isRead) for (const node of nodes.values()) add(node)
      isRead = true
      for (const key of askedKeys(member)) {
        // Of two that claim one name, always the same.
        const node = lastOf(exact.get(key))
        if (node !== undefined) return node
      }
      const alike = labels.get(labelOf(hostOf(member.name)))
      return alike instanceof Set ? undefined : alike
    },
    change(before, after) {
      if (!isRead) return
      if (before !== undefined) remove(before)
      if (after !== undefined) add(after)
    },
  }
}

/** Who asked for what, so that those are asked again for whom a change of a node makes a difference. */
export interface Interest {
  /** Of this one nothing is known any more. */
  forget(who: string): void
  /** The same finder, and it is noted for whom it was asked. */
  on(who: string, finder: Finder): Finder
  /** Who would have been told something else had this node not been there, or been. */
  in(node: KnownNode): ReadonlySet<string>
}

export function createInterest(): Interest {
  const asked = new Map<string, Set<string>>()
  const keysOf = new Map<string, Set<string>>()
  return {
    forget(who) {
      for (const key of keysOf.get(who) ?? []) {
        asked.get(key)?.delete(who)
        if (asked.get(key)?.size === 0) asked.delete(key)
      }
      keysOf.delete(who)
    },
    on: (who, finder) => ({
      find(member) {
        const keys = keysOf.get(who) ?? new Set()
        keysOf.set(who, keys)
        for (const key of [...askedKeys(member), labelOf(hostOf(member.name))]) {
          keys.add(key)
          asked.set(key, (asked.get(key) ?? new Set()).add(who))
        }
        return finder.find(member)
      },
    }),
    in: node =>
      new Set([...exactKeys(node), ...labelKeys(node)].flatMap(key => [...(asked.get(key) ?? [])])),
  }
}

// A name alone stands for a set of one: of a hundred thousand sets each would be larger than the name.
type Shelf = Map<string, string | Set<string>>

function put(shelf: Shelf, key: string, name: string): void {
  const there = shelf.get(key)
  if (there === undefined || there === name) shelf.set(key, name)
  else if (there instanceof Set) there.add(name)
  else shelf.set(key, new Set([there, name]))
}

function take(shelf: Shelf, key: string, name: string): void {
  const there = shelf.get(key)
  if (there === name) shelf.delete(key)
  if (!(there instanceof Set)) return
  there.delete(name)
  const [only] = there
  if (there.size === 1 && only !== undefined) shelf.set(key, only)
}

function lastOf(found: string | Set<string> | undefined): string | undefined {
  if (!(found instanceof Set)) return found
  return [...found].reduce((last, name) => (name > last ? name : last))
}

function exactKeys({ name, names }: KnownNode): readonly string[] {
  return [name, ...names.dns, ...names.ip].map(one => one.toLowerCase())
}

function labelKeys({ name, names }: KnownNode): readonly string[] {
  return [name, ...names.dns].map(labelOf)
}

function askedKeys({ name, address }: ClusterMember): readonly string[] {
  const texts = address === undefined ? [name] : [name, address]
  return texts.flatMap(text => [text.toLowerCase(), hostOf(text)])
}

// `m1:8089`, `[::1]:8089`, `m1.example.org`.
function hostOf(text: string): string {
  return text
    .toLowerCase()
    .replace(/:\d{1,5}$/, '')
    .replace(/^\[(.*)\]$/, '$1')
}

function labelOf(name: string): string {
  return name.toLowerCase().replace(/\..*$/, '')
}
