// docs/fleet-spec.md against the schema: every key and no other, with its values and its default.

import t from 'tap'
import * as z from 'zod/mini'
import { rankOf } from '../../controller/fleet/edges.ts'
import { parseFleetSpec } from '../../controller/fleet/spec.ts'
import { FleetDocument, isClient } from '../../controller/fleet/spec-schema.ts'
import { DEFAULT_PORTS, SERVICE_NAMES } from '../../shared/contract/service.ts'
import { codesIn, readText, tableBelow } from './tables.ts'

const TEXT = readText('docs/fleet-spec.md')

/** JSON Schema, as far as it is looked at here. */
const Schema = z.object({
  properties: z.optional(z.record(z.string(), z.unknown())),
  items: z.optional(z.unknown()),
  anyOf: z.optional(z.array(z.unknown())),
  oneOf: z.optional(z.array(z.unknown())),
  enum: z.optional(z.array(z.union([z.string(), z.number()]))),
  const: z.optional(z.union([z.string(), z.number()])),
  required: z.optional(z.array(z.string())),
  default: z.optional(z.unknown()),
})
type Schema = z.infer<typeof Schema>

const DOCUMENT = Schema.parse(
  z.toJSONSchema(FleetDocument, { io: 'input', unrepresentable: 'any' }),
)
const ENTRIES = (child(child(DOCUMENT, 'services')?.items)?.oneOf ?? []).map(one =>
  Schema.parse(one),
)
const DEFAULTS = child(DOCUMENT, 'defaults')

await t.test('every key of the document is described, and no other', async t => {
  const rows = tableBelow(TEXT, '## Document')

  t.strictSame(keysOf(rows), Object.keys(DOCUMENT.properties ?? {}))
  for (const row of rows) {
    const key = keyOf(row)
    const isRequired = DOCUMENT.required?.includes(key) === true
    t.equal(row.get('when absent') === 'required', isRequired, key)
  }
})

await t.test(
  'every key of an entry is described, and no other, and where it may stand',
  async t => {
    const rows = tableBelow(TEXT, '## Entries')
    const inDefaults = new Set(pathsOf(DEFAULTS))

    const paths = new Set(ENTRIES.flatMap(pathsOf).filter(path => !path.startsWith('options.')))
    t.strictSame(keysOf(rows).toSorted(), [...paths].toSorted())
    for (const row of rows) {
      const key = keyOf(row)
      const services = ENTRIES.filter(entry => pathsOf(entry).includes(key)).map(serviceOf)
      const meant = SERVICE_NAMES.filter(one => row.get('products') === 'all' || !isClient(one))
      t.strictSame(services.toSorted(), meant, `products of ${key}`)
      t.equal(row.get('defaults'), inDefaults.has(key) ? 'yes' : 'no', `defaults: ${key}`)
      const values = codesIn(row.get('values') ?? '')
      for (const value of valuesAt(key)) t.ok(values.includes(value), `${key}: ${value}`)
    }
  },
)

await t.test('every option is described with its values and its default', async t => {
  const rows = tableBelow(TEXT, '## Options').map(row => [
    /^\[([\w-]+)\]/.exec(row.get('product') ?? '')?.[1],
    keyOf(row),
    codesIn(row.get('values') ?? ''),
    codesIn(row.get('when absent') ?? '').join(),
  ])

  const options = ENTRIES.flatMap(entry => {
    const found = Object.entries(child(entry, 'options')?.properties ?? {})
    return found.map(([key, value]) => {
      const schema = Schema.parse(value)
      return [serviceOf(entry), key, (schema.enum ?? []).map(String), String(schema.default)]
    })
  })
  t.strictSame(rows, options)
})

await t.test('the example is accepted, ports and order are those of the product', async t => {
  const example = /```yaml\n([^]*?)```/.exec(TEXT)?.[1] ?? ''
  t.equal(parseFleetSpec(example).kind, 'ok')

  for (const [service, port] of Object.entries(DEFAULT_PORTS))
    if (port !== undefined) t.match(unwrapped(TEXT), `${service} ${port}`)
  for (const [words, tls] of [
    ['Towards TLS', 'on'],
    ['Back to plaintext', 'off'],
  ] as const) {
    const order = SERVICE_NAMES.toSorted((a, b) => rankOf(a, tls) - rankOf(b, tls))
    t.match(unwrapped(TEXT), `${words}: ${order.join(', ')}.`)
  }
})

function child(schema: unknown, key?: string): Schema | undefined {
  const parsed = Schema.safeParse(schema)
  if (!parsed.success || key === undefined) return parsed.data
  const found = parsed.data.properties?.[key]
  return found === undefined ? undefined : Schema.parse(found)
}

/** Dotted paths of all keys; those of lists are their items'. */
function pathsOf(schema: Schema | undefined): readonly string[] {
  const branches = [schema, ...(schema?.anyOf ?? []).map(one => Schema.parse(one))]
  return branches.flatMap(branch =>
    Object.entries(branch?.properties ?? {}).flatMap(([key, value]) => [
      key,
      ...pathsOf(Schema.parse(value)).map(path => `${key}.${path}`),
    ]),
  )
}

function valuesAt(path: string): readonly string[] {
  return [...new Set(ENTRIES.flatMap(entry => valuesIn(schemaAt(entry, path))))]
}

function schemaAt(schema: Schema, path: string): Schema | undefined {
  const [key = '', ...rest] = path.split('.')
  const branches = [schema, ...(schema.anyOf ?? []).map(one => Schema.parse(one))]
  const found = branches.map(branch => child(branch, key)).find(one => one !== undefined)
  return found === undefined || rest.length === 0 ? found : schemaAt(found, rest.join('.'))
}

function valuesIn(schema: Schema | undefined): readonly string[] {
  if (schema === undefined) return []
  const own = [...(schema.enum ?? []), ...(schema.const === undefined ? [] : [schema.const])]
  const others = (schema.anyOf ?? []).flatMap(one => valuesIn(Schema.parse(one)))
  return [...own.map(String), ...others]
}

function serviceOf(entry: Schema): string {
  return String(child(entry, 'service')?.const)
}

function keysOf(rows: readonly ReadonlyMap<string, string>[]): readonly string[] {
  return rows.map(keyOf)
}

function keyOf(row: ReadonlyMap<string, string>): string {
  return codesIn(row.get('key') ?? '').join()
}

function unwrapped(text: string): string {
  return text.replaceAll(/\s+/g, ' ')
}
