// JSON Schema as rows for a table: every key with its type, limits and default.

import {
  isObject,
  type JsonObject,
  listOf,
  numberOf,
  objectOf,
  textOf,
} from '../../controller/api/openapi/json-schema.ts'
import type { Json } from '../../shared/digest.ts'

export interface SchemaRow {
  /** `services[].names.dns`; `<name>` for keys that are chosen freely. */
  readonly path: string
  readonly type: string
  readonly isRequired: boolean
  readonly byDefault: Json | undefined
}

/** Keys of an object, those inside of it right below it; the same key of several alternatives once. */
export function schemaRows(schema: JsonObject, above = ''): readonly SchemaRow[] {
  const rows = new Map<string, SchemaRow>()
  for (const one of objectsIn(schema)) {
    const required = new Set(listOf(one['required']).map(textOf))
    for (const [key, value] of Object.entries(objectOf(one['properties']))) {
      const path = above === '' ? key : `${above}.${key}`
      const row = rowOf(path, objectOf(value), required.has(key))
      const known = rows.get(path)
      rows.set(path, known === undefined ? row : together(known, row))
      for (const below of rowsBelow(path, objectOf(value)))
        if (!rows.has(below.path)) rows.set(below.path, below)
    }
  }
  return [...rows.values()]
}

function rowsBelow(path: string, value: JsonObject): readonly SchemaRow[] {
  return branchesOf(value).flatMap(branch => {
    if (branch['type'] === 'array') return schemaRows(objectOf(branch['items']), `${path}[]`)
    const free = objectOf(branch['additionalProperties'])
    return [
      ...schemaRows(branch, path),
      ...(objectsIn(free).length === 0 ? [] : schemaRows(free, `${path}.<name>`)),
    ]
  })
}

function rowOf(path: string, value: JsonObject, isRequired: boolean): SchemaRow {
  return { path, type: typeOf(value), isRequired, byDefault: value['default'] }
}

function together(a: SchemaRow, b: SchemaRow): SchemaRow {
  const types = [...new Set([...a.type.split(', or '), ...b.type.split(', or ')])]
  return { ...a, type: types.join(', or '), isRequired: a.isRequired && b.isRequired }
}

function branchesOf(schema: JsonObject): readonly JsonObject[] {
  const branches = [...listOf(schema['anyOf']), ...listOf(schema['oneOf'])]
  return branches.length === 0 ? [schema] : branches.flatMap(one => branchesOf(objectOf(one)))
}

function objectsIn(schema: JsonObject): readonly JsonObject[] {
  return branchesOf(schema).filter(one => isObject(one['properties']))
}

// Patterns that have a name; all others are shown.
const PATTERNS: Readonly<Record<string, string>> = {
  '^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$': 'name',
  '^\\/.*': 'absolute path',
  '^\\/.+\\.prom$': 'absolute path of a file `….prom`',
}

export function typeOf(schema: JsonObject): string {
  const branches = branchesOf(schema)
  if (branches.length > 1) return [...new Set(branches.map(typeOf))].join(', or ')
  if (schema['const'] !== undefined) return code(schema['const'])
  if (schema['enum'] !== undefined) return listOf(schema['enum']).map(code).join(', ')
  switch (textOf(schema['type']) ?? '') {
    case 'array':
      return `list of ${itemsOf(schema)}${sizeOf(schema, 'minItems', 'maxItems')}`
    case 'object': {
      const free = objectOf(schema['additionalProperties'])
      return Object.keys(free).length > 0 ? `mapping of ${typeOf(free)}` : 'mapping'
    }
    case 'boolean':
      return '`true`, `false`'
    case 'integer':
    case 'number':
      return rangeOf(schema)
    case 'string':
      return textTypeOf(schema)
    default:
      return 'any'
  }
}

function itemsOf(schema: JsonObject): string {
  const type = typeOf(objectOf(schema['items']))
  return type === 'mapping' ? 'mappings' : type.startsWith('`') ? `these: ${type}` : type
}

function textTypeOf(schema: JsonObject): string {
  const pattern = textOf(schema['pattern'])
  const format = textOf(schema['format'])
  if (pattern === undefined) {
    const word = format === undefined ? 'text' : format
    return `${word}${sizeOf(schema, 'minLength', 'maxLength')}`
  }
  const known = PATTERNS[pattern]
  return known ?? `text like \`${pattern.replaceAll('|', '\\|')}\``
}

const UNBOUNDED = Number.MAX_SAFE_INTEGER

function rangeOf(schema: JsonObject): string {
  const low = numberOf(schema['minimum'])
  const high = numberOf(schema['maximum'])
  const isOpen = high === undefined || high >= UNBOUNDED
  if (low === undefined || low <= -UNBOUNDED) return isOpen ? 'number' : `number up to ${high}`
  return isOpen ? `number from ${low} on` : `${low} to ${high}`
}

function sizeOf(schema: JsonObject, least: string, most: string): string {
  const low = numberOf(schema[least])
  const high = numberOf(schema[most])
  if (low !== undefined && low > 1) return `, ${low} to ${high ?? 'any number'}`
  const some = low === 1 && least === 'minItems' ? ', at least 1' : ''
  return `${some}${high === undefined ? '' : `, at most ${high}`}`
}

function code(value: Json): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}
