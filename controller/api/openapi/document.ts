// The description as it is served: what is generated from the routes, and what no schema says — headers,
// the errors of each operation, and examples.

import { STATUS_CODES } from 'node:http'
import type { Json } from '../../../shared/digest.ts'
import { statusOfCode } from '../errors.ts'
import { ANY, ANY_BODY, ANY_CALLER, ANY_CHANGE, ERRORS_OF } from './error-codes.ts'
import { exampleOf } from './examples.ts'
import { isObject, type JsonObject, listOf, objectOf, textOf } from './json-schema.ts'

/** `generated`: OpenAPI 3.1 with the schemas of requests and answers. */
export function completeDescription(generated: Json): JsonObject {
  const document = objectOf(generated)
  const paths = Object.entries(objectOf(document['paths'])).map(([path, item]) => {
    const operations = Object.entries(objectOf(item)).map(
      ([method, operation]) =>
        [method, completeOperation({ path, method, operation: objectOf(operation) })] as const,
    )
    return [path, Object.fromEntries(operations)] as const
  })
  const components = objectOf(document['components'])
  return {
    ...document,
    components: {
      ...components,
      schemas: { ...objectOf(components['schemas']), Problem: problemSchema(document) },
    },
    paths: Object.fromEntries(paths),
  }
}

interface Operation {
  readonly path: string
  readonly method: string
  readonly operation: JsonObject
}

function completeOperation(given: Operation): JsonObject {
  const { path, method, operation } = given
  const codes = errorCodesOf(given)
  const summary = textOf(operation['summary']) ?? ''
  const body = objectOf(operation['requestBody'])
  return {
    operationId: `${method}${path.replaceAll(/[^A-Za-z]+(.)?/g, (_, next = '') => String(next).toUpperCase())}`,
    ...operation,
    description: textOf(operation['description']) ?? `${summary}.`,
    tags: [path.split('/')[2] ?? 'controller'],
    parameters: [
      ...listOf(operation['parameters']).map(withParameterExample),
      ...headersOf(method, codes),
    ],
    ...(isObject(operation['requestBody'])
      ? { requestBody: { ...body, content: withExamples(body['content']) } }
      : {}),
    responses: { ...answersOf(operation), ...errorsOf(codes) },
  }
}

/** Every code that the operation can answer with. */
export function errorCodesOf({ path, method, operation }: Operation): readonly string[] {
  const isOpen = operation['security'] === undefined
  return [
    ...new Set([
      ...ANY,
      ...(isOpen ? [] : ANY_CALLER),
      ...(!isOpen && method !== 'get' ? ANY_CHANGE : []),
      ...(operation['requestBody'] === undefined ? [] : ANY_BODY),
      ...(path.includes('{') ? ['not-found'] : []),
      ...(ERRORS_OF[`${method.toUpperCase()} ${path}`] ?? []),
    ]),
  ].toSorted()
}

function withParameterExample(parameter: Json): Json {
  const { schema, name, ...rest } = objectOf(parameter)
  const example = exampleOf(schema, textOf(name))
  return {
    description: PARAMETERS[textOf(name) ?? ''] ?? `The ${textOf(name)}.`,
    ...rest,
    name,
    schema,
    example,
  }
}

const PARAMETERS: Readonly<Record<string, string>> = {
  id: 'As its list has it.',
  name: 'As its list has it.',
  node: 'Name of a node.',
  verb: 'What to do.',
  number: 'As its list has it.',
  reason: 'For the audit log.',
  service: 'A product.',
}

function headersOf(method: string, codes: readonly string[]): readonly Json[] {
  const headers: Json[] = []
  if (codes.includes('idempotency-mismatch'))
    headers.push({
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description:
        'The same request with the same key happens once: its answer is given again for 24 hours, with `idempotent-replayed: true`.',
      schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,128}$' },
      example: '0f8e4b0c-6d0b-4c0e-9a57-3f6c8b1f2a10',
    })
  if (method !== 'get' && codes.includes('version-mismatch'))
    headers.push({
      name: 'If-Match',
      in: 'header',
      required: false,
      description: 'The `ETag` of what was looked at; `version-mismatch` when it has moved on.',
      schema: { type: 'string' },
      example: '"7"',
    })
  return headers
}

function answersOf(operation: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(objectOf(operation['responses'])).map(([status, response]) => {
      const { description, content, ...rest } = objectOf(response)
      const told = textOf(description) ?? ''
      const words = told === '' || told === 'Default Response' ? STATUS_CODES[status] : told
      const examples = isObject(content) ? { content: withExamples(content) } : {}
      return [status, { description: words ?? 'Success', ...rest, ...examples }]
    }),
  )
}

function withExamples(content: Json | undefined): JsonObject {
  return Object.fromEntries(
    Object.entries(objectOf(content)).map(([type, media]) => {
      const { schema } = objectOf(media)
      return [type, { ...objectOf(media), example: EXAMPLES[type] ?? exampleOf(schema) }]
    }),
  )
}

/** Of media types that are no JSON. */
const EXAMPLES: Readonly<Record<string, Json>> = {
  'text/event-stream':
    'retry: 2000\n\nevent: resync\ndata: {"resource":"nodes"}\n\nevent: change\ndata: {"resource":"nodes","ids":["meta-1"]}\n\n',
  'text/plain': '# TYPE tlsfleet_nodes gauge\ntlsfleet_nodes{state="converged"} 12\n',
  'text/html': '<!doctype html>…',
  'application/problem+json': problemOf('not-found'),
}

function errorsOf(codes: readonly string[]): JsonObject {
  const byStatus = new Map<number, string[]>()
  for (const code of codes) {
    const status = statusOfCode(code)
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, some]) => [
      String(status),
      {
        description: some.map(code => `\`${code}\``).join(', '),
        content: {
          'application/problem+json': {
            schema: { $ref: '#/components/schemas/Problem' },
            examples: Object.fromEntries(some.map(code => [code, { value: problemOf(code) }])),
          },
        },
      },
    ]),
  )
}

function problemOf(code: string): JsonObject {
  const status = statusOfCode(code)
  return {
    type: `urn:tlsfleet:problem:${code}`,
    title: STATUS_CODES[status] ?? 'Error',
    status,
    code,
    requestId: '2f1c7a8e-0b5d-4a43-8f8f-1f2e3d4c5b6a',
  }
}

// Each operation has it as `default`.
function problemSchema(document: JsonObject): Json {
  for (const item of Object.values(objectOf(document['paths'])))
    for (const operation of Object.values(objectOf(item))) {
      const { default: response } = objectOf(objectOf(operation)['responses'])
      const media = objectOf(objectOf(response)['content'])['application/problem+json']
      const { schema } = objectOf(media)
      if (schema !== undefined) return schema
    }
  return {}
}
