// docs/reference/fleet-spec.md: every key of the fleet spec with what the schema says of it. What keys
// mean is said once, in the tables of docs/fleet-spec.md and docs/rollouts.md, and taken from there.

import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as z from 'zod/mini'
import { jsonOf } from '../../controller/api/json-of.ts'
import { objectOf } from '../../controller/api/openapi/json-schema.ts'
import { FleetDocument } from '../../controller/fleet/spec-schema.ts'
import { GENERATED, fence, type Page, page, table } from './markdown.ts'
import { type SchemaRow, schemaRows } from './schema-rows.ts'

const DOCS = dirname(import.meta.dirname)

interface Guide {
  readonly values: string
  readonly whenAbsent: string
  readonly meaning: string
}

// Keys that the guides explain in sentences and not in tables.
const IN_WORDS: Readonly<Record<string, string>> = {
  'groups[].name': 'how plans and messages call it',
  'groups[].nodes': 'who is in it: `labels` and `names` as in an entry',
  'groups[].nodes.labels': 'one of the values is the node’s',
  'groups[].nodes.names': 'names of nodes',
  'groups[].kind': 'what it may lose: [groups](../rollouts.md#groups)',
  'groups[].replication': 'copies that there are, for `replicated`',
  'groups[].percent': 'part that may be down, for `pool`',
  'groups[].maxUnavailable': 'at most so many down at once, whatever the kind allows',
  'groups[].acceptQuorumLoss': 'its outage is known and accepted',
  'rollout.gates': 'who judges batches: [gates](../rollouts.md#gates)',
  'rollout.gates[].webhook': 'URL that is asked after each batch',
  'rollout.gates[].promql': 'a query that must hold',
  'rollout.gates[].promql.server': 'URL of Prometheus',
  'rollout.gates[].promql.query': 'the query',
  'rollout.gates[].promql.expect': 'what must hold of its samples',
  'maintenance[].days': 'of the week; all when absent',
  'maintenance[].from': 'time of day, `22:00`',
  'maintenance[].to': 'time of day; before `from` it is the next day',
  'maintenance[].timezone': 'name of a time zone',
}

export function fleetSpecPage(): Page {
  const guide = readFileSync(join(DOCS, 'fleet-spec.md'), 'utf8')
  const rollouts = readFileSync(join(DOCS, 'rollouts.md'), 'utf8')
  const known = new Map([
    ...guideRows(guide, '## Document', ''),
    ...guideRows(guide, '## Entries', 'services[].'),
    ...guideRows(guide, '## Entries', 'defaults.'),
    ...guideRows(guide, '## Options', 'services[].options.'),
    ...guideRows(rollouts, '## Settings', 'rollout.'),
  ])
  const schema = jsonOf(z.toJSONSchema(FleetDocument, { io: 'input', unrepresentable: 'any' }))
  const rows = schemaRows(objectOf(schema)).map(row => rowOf(row, known.get(row.path)))
  return page('docs/reference/fleet-spec.md', [
    '# Keys of the fleet spec',
    GENERATED,
    'Every key that `fleet.yaml` may have, with the types and limits that the schema checks. How to write one, rules between keys, and options by product: [the fleet spec](../fleet-spec.md). `tlsfleet plan -f fleet.yaml` checks a file and changes nothing. Durations are `90s`, `5m`, `12h`, `30d` or `1h30m`.',
    table(['key', 'type', 'values', 'when absent', 'meaning'], rows),
    '## Example',
    fence('yaml', firstYaml(guide)),
  ])
}

function rowOf(row: SchemaRow, guide: Guide | undefined): readonly string[] {
  const fallback = row.byDefault === undefined ? '' : `\`${JSON.stringify(row.byDefault)}\``
  return [
    `\`${row.path}\``,
    row.type,
    guide?.values ?? '',
    row.isRequired ? 'required' : (guide?.whenAbsent ?? fallback),
    guide?.meaning ?? IN_WORDS[row.path] ?? '',
  ]
}

function guideRows(
  text: string,
  heading: string,
  above: string,
): readonly (readonly [string, Guide])[] {
  const lines = text.split('\n')
  const from = lines.indexOf(heading) + 1
  const rest = lines.slice(from)
  const end = rest.findIndex(line => line.startsWith('## '))
  const rows = rest.slice(0, end === -1 ? undefined : end).filter(line => line.startsWith('|'))
  const [head = [], , ...body] = rows.map(cellsOf)
  const at = (name: string) => head.findIndex(cell => cell.startsWith(name))
  return body.map(cells => {
    const key = (cells[at('key')] ?? '').replaceAll('`', '')
    const small = at('fewer than')
    const whenAbsent =
      small === -1
        ? (cells[at('when absent')] ?? '')
        : `${cells[small]}; from 10 nodes on ${cells[small + 1]}`
    const values = at('values') === -1 ? '' : (cells[at('values')] ?? '')
    return [
      `${above}${key}`,
      { values, whenAbsent, meaning: relinked(cells[at('meaning')] ?? '') },
    ] as const
  })
}

// The page is one folder below the guides.
function relinked(text: string): string {
  return text
    .replaceAll(/\]\((?!https?:|#)([^)]+)\)/g, '](../$1)')
    .replaceAll('](#', '](../fleet-spec.md#')
}

function cellsOf(row: string): readonly string[] {
  return row
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map(cell => cell.trim())
}

function firstYaml(text: string): string {
  return /```yaml\n([^]*?)```/.exec(text)?.[1] ?? ''
}
