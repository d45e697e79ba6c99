// docs/reference/api.md: every operation of the operators' API, from its OpenAPI document.

import {
  type JsonObject,
  isObject,
  listOf,
  objectOf,
  textOf,
} from '../../controller/api/openapi/json-schema.ts'
import { describeOperatorApi } from '../../controller/api/describe.ts'
import { jsonOf } from '../../controller/api/json-of.ts'
import { GENERATED, anchor, fence, type Page, page, table } from './markdown.ts'
import { schemaRows, typeOf } from './schema-rows.ts'

export async function apiPage(): Promise<Page> {
  const document = objectOf(jsonOf(await describeOperatorApi('')))
  const operations = Object.entries(objectOf(document['paths'])).flatMap(([path, item]) =>
    Object.entries(objectOf(item)).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation: objectOf(operation),
    })),
  )
  return page('docs/reference/api.md', [
    '# Operator API',
    GENERATED,
    "HTTPS with JSON on the operators' port (8443). A caller sends `Authorization: Bearer TOKEN` or a client certificate; each operation says which role it takes. Errors are `application/problem+json` with a stable `code`: [what each means](../troubleshooting.md). A running controller serves the same as `GET /v1/openapi.json` (OpenAPI 3.1) and as a page at `/v1/reference`; `tlsfleet-controller openapi` prints it.",
    table(
      ['operation', 'role', 'what it does'],
      operations.map(({ name, operation }) => [
        `[\`${name}\`](#${anchor(name)})`,
        textOf(operation['x-role']) ?? 'anybody',
        textOf(operation['summary']) ?? '',
      ]),
    ),
    ...operations.flatMap(({ name, operation }) => operationParts(name, operation)),
  ])
}

function operationParts(name: string, operation: JsonObject): readonly string[] {
  return [
    `## ${name}`,
    textOf(operation['description']) ?? '',
    roleOf(operation),
    parametersOf(operation),
    ...bodyOf(objectOf(operation['requestBody'])),
    ...answersOf(objectOf(operation['responses'])),
    errorsOf(objectOf(operation['responses'])),
  ]
}

function roleOf(operation: JsonObject): string {
  const role = textOf(operation['x-role'])
  if (role === undefined) return 'Role: none, anybody may ask.'
  const verbs = Object.entries(objectOf(operation['x-role-of-verb']))
  const others = verbs.map(([verb, other]) => `\`${verb}\`: ${textOf(other)}`)
  return `Role: ${role}${others.length === 0 ? '' : ` (${others.join(', ')})`}.`
}

function parametersOf(operation: JsonObject): string {
  return table(
    ['parameter', 'in', 'values', ''],
    listOf(operation['parameters']).map(one => {
      const parameter = objectOf(one)
      return [
        `\`${textOf(parameter['name'])}\``,
        textOf(parameter['in']) ?? '',
        `${typeOf(objectOf(parameter['schema']))}${parameter['required'] === true ? '; required' : ''}`,
        textOf(parameter['description']) ?? '',
      ]
    }),
  )
}

function bodyOf(body: JsonObject): readonly string[] {
  return Object.entries(objectOf(body['content'])).flatMap(([type, content]) => [
    `Body, \`${type}\`:`,
    fieldsOf(objectOf(objectOf(content)['schema'])),
    exampleOf(objectOf(content)),
  ])
}

function answersOf(responses: JsonObject): readonly string[] {
  return Object.entries(responses)
    .filter(([status]) => status.startsWith('2'))
    .flatMap(([status, response]) => {
      const contents = Object.entries(objectOf(objectOf(response)['content']))
      if (contents.length === 0) return [`Answer: \`${status}\` without a body.`]
      return contents.flatMap(([type, content]) => [
        `Answer: \`${status}\`, \`${type}\`:`,
        fieldsOf(objectOf(objectOf(content)['schema'])),
        exampleOf(objectOf(content)),
      ])
    })
}

function fieldsOf(schema: JsonObject): string {
  const isList = schema['type'] === 'array'
  const rows = schemaRows(isList ? objectOf(schema['items']) : schema, isList ? '[]' : '')
  return table(
    ['field', 'values', ''],
    rows.map(({ path, type, isRequired }) => [
      `\`${path}\``,
      type,
      isRequired ? '' : 'may be absent',
    ]),
  )
}

const EXAMPLE_LINES_MAX = 60

function exampleOf(content: JsonObject): string {
  const first = Object.values(objectOf(content['examples']))[0]
  const example = content['example'] ?? (isObject(first) ? first['value'] : undefined)
  if (example === undefined) return ''
  const lines = (JSON.stringify(example, undefined, 2) ?? '').split('\n')
  const shown = lines.slice(0, EXAMPLE_LINES_MAX)
  return fence('json', [...shown, ...(lines.length > shown.length ? ['…'] : [])].join('\n'))
}

function errorsOf(responses: JsonObject): string {
  const rows = Object.entries(responses)
    .filter(([status]) => /^[45]/.test(status))
    .map(([status, response]) => `${status} ${linked(textOf(objectOf(response)['description']))}`)
  return rows.length === 0 ? '' : `Errors: ${rows.join('; ')}.`
}

function linked(codes = ''): string {
  return codes.replaceAll(/`([a-z-]+)`/g, '[`$1`](../troubleshooting.md#$1)')
}
