// An example of a schema: plausible words for the names of the API, and the first that fits for all
// others. What a schema has as an example itself comes first.

import { assert } from '../../../shared/assert.ts'
import type { Json } from '../../../shared/digest.ts'
import { isObject, type JsonObject, listOf, numberOf, objectOf, textOf } from './json-schema.ts'

const PEM = '-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n'
const DIGEST = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'
const TIME_MS = 1_795_392_000_000

const WORDS: Readonly<Record<string, string>> = {
  name: 'meta-1',
  node: 'meta-1',
  group: 'influxdb-meta',
  fleet: 'production',
  id: '7d3f0c1e-52b4-4a86-9d0e-6f1c2b3a4d5e',
  actor: 'ada',
  author: 'ada',
  reason: 'planned maintenance',
  label: 'role=meta',
  selector: 'role=meta,env!=prod',
  resources: 'nodes,rollouts',
  limit: '100',
  after: '0',
  wait: '25000',
  dns: 'meta-1.example.org',
  ip: '192.0.2.10',
  code: 'in-sync',
  message: 'the node is as the spec wants it',
  agentVersion: '1.0.0',
  unit: 'influxdb.service',
  subject: 'CN=meta-1.example.org',
  issuer: 'CN=tlsfleet services',
  number: '7',
  sequence: '4711',
  token: 'shown once, here',
  command: 'tlsfleet-agent enroll --token …',
  spec: 'version: 1\nfleet: production\nservices:\n  - name: influxdb\n',
  next: 'bm9kZXMKbWV0YS0x',
}
/** For texts that have no word of their own, or whose pattern it does not fit. */
const CANDIDATES = [
  'example',
  'meta-1',
  '7',
  DIGEST,
  DIGEST.slice(0, 16),
  'role=meta',
  PEM,
  `sha256:${DIGEST}`,
  `${DIGEST}@7`,
  `7:${DIGEST}`,
  'nodes',
  'https://ca.example.org/directory',
  'nodes,rollouts',
  DIGEST.slice(0, 40),
  '192.0.2.10',
]

export function exampleOf(schema: Json | undefined, name = ''): Json {
  const known = objectOf(schema)
  const [given] = listOf(known['examples'])
  const told = given ?? known['example'] ?? known['const'] ?? known['default']
  if (told !== undefined) return told
  const [option] = listOf(known['enum'])
  if (option !== undefined) return option
  const choices = [...listOf(known['anyOf']), ...listOf(known['oneOf'])]
  if (choices[0] !== undefined) return exampleOf(choices[0], name)
  const parts = listOf(known['allOf'])
  if (parts.length > 0) return Object.assign({}, ...parts.map(part => exampleOf(part, name)))
  switch (textOf(known['type']) ?? 'any') {
    case 'object':
      return objectExample(known, name)
    case 'array':
      return numberOf(known['maxItems']) === 0 ? [] : [exampleOf(known['items'], singular(name))]
    case 'integer':
    case 'number':
      return numberExample(known, name)
    case 'boolean':
      return true
    case 'null':
      return null
    case 'string':
      return textExample(known, name)
    default:
      return {}
  }
}

function objectExample(schema: JsonObject, name: string): Json {
  const { properties, additionalProperties } = schema
  const members = Object.entries(objectOf(properties)).flatMap(([key, value]) =>
    // The last page has none.
    key === 'next' || value === undefined ? [] : [[key, exampleOf(value, key)] as const],
  )
  if (members.length > 0 || !isObject(additionalProperties)) return Object.fromEntries(members)
  const keys = exampleOf(schema['propertyNames'] ?? { type: 'string' }, KEY_OF[name] ?? 'key')
  return { [textOf(keys) ?? 'key']: exampleOf(additionalProperties, name) }
}

const KEY_OF: Readonly<Record<string, string>> = { labels: 'name', facts: 'unit' }

function singular(name: string): string {
  return name === 'dns' ? name : name.replace(/s$/, '')
}

function numberExample(schema: JsonObject, name: string): number {
  const least = Math.max(
    numberOf(schema['minimum']) ?? -Infinity,
    (numberOf(schema['exclusiveMinimum']) ?? -Infinity) + 1,
  )
  const most = numberOf(schema['maximum']) ?? Infinity
  const wanted = /(At|Since|After|Before|not.*)Ms$/i.test(name)
    ? TIME_MS
    : DURATION.test(name)
      ? 60_000
      : 3
  return Math.min(most, Math.max(least, wanted))
}

const DURATION = /Ms$/

function textExample(schema: JsonObject, name: string): string {
  const pattern = textOf(schema['pattern'])
  const fits = (text: string) =>
    (pattern === undefined || new RegExp(pattern, 'u').test(text)) &&
    text.length >= (numberOf(schema['minLength']) ?? 0) &&
    text.length <= (numberOf(schema['maxLength']) ?? Infinity)
  const ownWord = Object.hasOwn(WORDS, name) ? WORDS[name] : undefined
  const found = [...(ownWord === undefined ? [] : [ownWord]), ...CANDIDATES].find(fits)
  assert(found !== undefined, `there is an example for ${name}, ${pattern ?? 'any text'}`)
  return found
}
