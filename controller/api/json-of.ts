// A body that was parsed from JSON, as the type that says so.

import type { Json } from '../../shared/digest.ts'

/** Whatever JSON cannot hold is left out. */
export function jsonOf(value: unknown): Json {
  if (typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number')
    return value
  if (typeof value !== 'object' || value === null) return null
  if (Array.isArray(value)) return value.map(jsonOf)
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, one]) => (one === undefined ? [] : [[key, jsonOf(one)]])),
  )
}
