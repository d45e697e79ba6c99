// The second opinion on every edit: the parsed file before and after may differ in the owned key only.
// It knows nothing of ranges and splices, so a fault of an editor does not repeat itself here.

import type { ConfigEdit, ConfigPath, KeyMatch } from './edit.ts'
import { splitDots } from './lookup.ts'

interface Leaf {
  readonly path: ConfigPath
  /** Type and value, so that `1` and `"1"` differ. */
  readonly value: string
}

/** What is wrong with the edit, or `undefined`. Values are as an independent parser gives them. */
export function findDamage(question: {
  readonly before: unknown
  readonly after: unknown
  readonly edit: ConfigEdit
  readonly keys: KeyMatch
  /** The wanted value as the parser would give it. */
  readonly wanted: unknown
}): string | undefined {
  const { edit, keys } = question
  const owned = normalize(edit.path, keys)
  const before = leavesOf(question.before, keys)
  const after = leavesOf(question.after, keys)

  const last = edit.path.at(-1)
  if (edit.value === undefined && typeof last === 'number') {
    const foreign = before.flatMap(leaf => withoutItem(leaf, owned, keys))
    return sameLeaves(
      foreign.filter(leaf => !isHollow(leaf, owned, keys)),
      after.filter(leaf => !isHollow(leaf, owned, keys)),
    )
      ? undefined
      : 'other items would change'
  }

  const isForeign = (leaf: Leaf) => !isOwned(leaf, owned, keys) && !isHollow(leaf, owned, keys)
  if (!sameLeaves(before.filter(isForeign), after.filter(isForeign)))
    return 'other keys would change'
  return wrongValue(
    after.filter(leaf => isOwned(leaf, owned, keys)),
    question,
    owned,
  )
}

function wrongValue(
  found: readonly Leaf[],
  { edit, keys, wanted }: { edit: ConfigEdit; keys: KeyMatch; wanted: unknown },
  owned: ConfigPath,
): string | undefined {
  if (edit.value === undefined) return found.length === 0 ? undefined : 'the key would remain'
  if (found.length === 0) return 'the key would not be found'
  const relativeTo = (depth: number) => (leaf: Leaf) => ({
    ...leaf,
    path: normalize(leaf.path.slice(depth), keys),
  })
  const expected = leavesOf(wanted, keys).map(relativeTo(0))
  const spellings = Map.groupBy(found, leaf => JSON.stringify(leaf.path.slice(0, owned.length)))
  for (const leaves of spellings.values()) {
    if (!sameLeaves(leaves.map(relativeTo(owned.length)), expected)) {
      return 'the key would have another value'
    }
  }
  return undefined
}

function normalize(path: ConfigPath, keys: KeyMatch): ConfigPath {
  if (keys === 'flat') return splitDots(path)
  if (keys === 'exact') return path
  return path.map(step => (typeof step === 'string' ? step.toLowerCase() : step))
}

function isOwned(leaf: Leaf, owned: ConfigPath, keys: KeyMatch): boolean {
  const path = normalize(leaf.path, keys)
  return owned.every((step, index) => path[index] === step)
}

/** An empty table on the way to the owned key comes and goes with it. */
function isHollow(leaf: Leaf, owned: ConfigPath, keys: KeyMatch): boolean {
  if (!HOLLOW.has(leaf.value)) return false
  const path = normalize(leaf.path, keys)
  return path.length < owned.length && path.every((step, index) => owned[index] === step)
}

const HOLLOW = new Set(['{}', '[]', 'null'])

function withoutItem(leaf: Leaf, owned: ConfigPath, keys: KeyMatch): readonly Leaf[] {
  if (isOwned(leaf, owned, keys)) return []
  const path = normalize(leaf.path, keys)
  const depth = owned.length - 1
  const index = path[depth]
  const removed = owned[depth]
  const isInList = owned.slice(0, depth).every((step, at) => path[at] === step)
  if (!isInList || typeof index !== 'number' || typeof removed !== 'number') return [leaf]
  if (index < removed) return [leaf]
  return [{ ...leaf, path: leaf.path.with(depth, index - 1) }]
}

function sameLeaves(a: readonly Leaf[], b: readonly Leaf[]): boolean {
  if (a.length !== b.length) return false
  const left = a.map(toText).sort()
  const right = b.map(toText).sort()
  return left.every((text, index) => text === right[index])
}

function toText(leaf: Leaf): string {
  return `${JSON.stringify(leaf.path)} ${leaf.value}`
}

function leavesOf(value: unknown, keys: KeyMatch): readonly Leaf[] {
  const leaves: Leaf[] = []
  collect(value, [], leaves)
  if (keys !== 'flat') return leaves
  return leaves.map(leaf => ({ ...leaf, path: splitDots(leaf.path) }))
}

function collect(value: unknown, path: ConfigPath, leaves: Leaf[]): void {
  if (typeof value !== 'object' || value === null || value instanceof Date) {
    leaves.push({ path, value: describeScalar(value) })
  } else if (Array.isArray(value)) {
    if (value.length === 0) leaves.push({ path, value: '[]' })
    for (const [index, item] of value.entries()) collect(item, [...path, index], leaves)
  } else {
    const entries = Object.entries(value)
    if (entries.length === 0) leaves.push({ path, value: '{}' })
    for (const [key, child] of entries) collect(child, [...path, key], leaves)
  }
}

function describeScalar(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'string') return JSON.stringify(value)
  if (value instanceof Date) return `date ${value.toISOString()}`
  if (typeof value === 'bigint') return `integer ${value}`
  if (typeof value === 'number') return `number ${value}`
  return value === true ? 'true' : 'false'
}
