// Finds a key in a parsed file in every spelling that the product accepts.

import type { ConfigPath, ConfigValue, KeyMatch } from './edit.ts'
import { isList, isTable } from './edit.ts'

export interface Match {
  /** The keys as the file spells them. */
  readonly path: ConfigPath
  readonly value: ConfigValue
}

/** All matches, in the order of the file; none when the key is absent. */
export function lookup(
  value: ConfigValue,
  path: ConfigPath,
  options: { readonly keys?: KeyMatch } = {},
): readonly Match[] {
  const keys = options.keys ?? 'exact'
  return find(value, keys === 'flat' ? splitDots(path) : path, [], keys)
}

function find(
  value: ConfigValue,
  rest: ConfigPath,
  path: ConfigPath,
  keys: KeyMatch,
): readonly Match[] {
  const [wanted] = rest
  if (wanted === undefined) return [{ path, value }]
  if (typeof wanted === 'number') {
    const item = isList(value) ? value[wanted] : undefined
    return item === undefined ? [] : find(item, rest.slice(1), [...path, wanted], keys)
  }
  if (!isTable(value)) return []
  return Object.entries(value).flatMap(([key, child]) => {
    const used = consumedBy(key, rest, keys)
    return used === 0 ? [] : find(child, rest.slice(used), [...path, key], keys)
  })
}

/** How many steps of the path the key stands for, 0 when it is another key. */
export function consumedBy(key: string, rest: ConfigPath, keys: KeyMatch): number {
  const [wanted] = rest
  if (typeof wanted !== 'string') return 0
  if (keys === 'exact') return key === wanted ? 1 : 0
  if (keys === 'case-insensitive') return key.toLowerCase() === wanted.toLowerCase() ? 1 : 0
  const parts = key.split('.')
  return parts.every((part, index) => part === rest[index]) ? parts.length : 0
}

export function splitDots(path: ConfigPath): ConfigPath {
  return path.flatMap<string | number>(step => (typeof step === 'string' ? step.split('.') : step))
}
