// docs/reference/agent-toml.md and controller-toml.md, from the schemas that check the files.

import * as z from 'zod/mini'
import { AgentToml } from '../../agent/config.ts'
import { ConfigFile } from '../../controller/config.ts'
import { jsonOf } from '../../controller/api/json-of.ts'
import { objectOf } from '../../controller/api/openapi/json-schema.ts'
import type { Json } from '../../shared/digest.ts'
import { GENERATED, fence, type Page, page, table } from './markdown.ts'
import { type SchemaRow, schemaRows } from './schema-rows.ts'
import { AGENT_TOML, CONTROLLER_TOML, type Meaning } from './setting-meanings.ts'

export function agentTomlPage(): Page {
  return page('docs/reference/agent-toml.md', [
    '# agent.toml',
    GENERATED,
    '`/etc/tlsfleet/agent.toml` (or `--config`), TOML, owned by root. No package contains it and tlsfleet never writes it; without the file everything is as below. It says what only the node can know, and narrows what the agent may do. The agent reads it at its start. Unknown keys are errors (`config-invalid`).',
    ...settings(AgentToml, AGENT_TOML),
  ])
}

export function controllerTomlPage(): Page {
  return page('docs/reference/controller-toml.md', [
    '# controller.toml',
    GENERATED,
    '`controller.toml` in the data directory (or `--config`), TOML. `tlsfleet init` writes it once; flags of `tlsfleet-controller` win over it. It is read at the start: restart the controller after a change. Unknown keys are errors (`config-invalid`). Files that it names are absolute paths, readable by the user `tlsfleet` and by nobody else where they hold secrets.',
    ...settings(ConfigFile, CONTROLLER_TOML),
  ])
}

function settings(
  schema: z.ZodMiniType,
  meanings: Readonly<Record<string, Meaning>>,
): readonly string[] {
  const document = jsonOf(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }))
  const rows = schemaRows(objectOf(document)).map(row => ({ row, about: meanings[row.path] }))
  const silent = rows.filter(({ about }) => about === undefined).map(({ row }) => row.path)
  const known = new Set(rows.map(({ row }) => row.path))
  const gone = Object.keys(meanings).filter(path => !known.has(path))
  if (silent.length + gone.length > 0)
    throw new Error(`setting-meanings.ts lacks ${silent.join()}, has no use for ${gone.join()}`)
  return [
    table(
      ['key', 'values', 'when absent', 'meaning'],
      rows.map(({ row, about }) => [
        `\`${row.path}\``,
        row.type,
        whenAbsent(row, about),
        about?.meaning ?? '',
      ]),
    ),
    '## Example',
    'Every key once, with a value that it takes.',
    fence('toml', exampleOf(rows)),
  ]
}

function whenAbsent(row: SchemaRow, about: Meaning | undefined): string {
  if (about?.whenAbsent !== undefined) return about.whenAbsent
  if (row.isRequired) return 'required'
  return row.byDefault === undefined || row.type === 'mapping' ? '' : shown(row.byDefault)
}

function shown(value: Json): string {
  if (Array.isArray(value)) return value.map(shown).join(', ')
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}

// What a table would be called that is named freely.
const NAMES: Readonly<Record<string, string>> = {
  'issuers.files.<name>': 'issuers.files.prometheus',
  'snapshots.<name>': 'snapshots.influxdb-meta',
  'acme.<name>': 'acme.corp',
}
// Alternatives of what the example shows already.
const LEFT_OUT: ReadonlySet<string> = new Set(['credentials.elasticsearch.apiKeyFile'])

function exampleOf(
  rows: readonly { readonly row: SchemaRow; readonly about: Meaning | undefined }[],
): string {
  const tables = new Map<string, string[]>()
  for (const { row, about } of rows) {
    if (about === undefined || about.example === '' || LEFT_OUT.has(row.path)) continue
    const [, above = '', key = row.path] = /^(.*)\.([^.]+)$/.exec(row.path) ?? []
    tables.set(above, [...(tables.get(above) ?? []), `${key} = ${about.example}`])
  }
  return [...tables]
    .toSorted(([a], [b]) => Number(a !== '') - Number(b !== ''))
    .map(([above, lines]) => [...headOf(above), ...lines].join('\n'))
    .join('\n\n')
}

function headOf(above: string): readonly string[] {
  if (above === '') return []
  if (above.endsWith('[]')) return [`[[${above.slice(0, -2)}]]`]
  const name = Object.keys(NAMES).find(one => above === one || above.startsWith(`${one}.`))
  return [`[${name === undefined ? above : above.replace(name, NAMES[name] ?? name)}]`]
}
