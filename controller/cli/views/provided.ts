// Uploaded pairs as a list, one in full, and what an upload means for nodes.

import type { ProvidedStored, ProvidedView } from '../../../shared/contract/provided.ts'
import { type Column, formatTable } from '../table.ts'
import type { StatusViewOptions } from './status.ts'
import { because, count, relativeTime } from './words.ts'

const COLUMNS: readonly Column[] = [
  { title: 'PAIR' },
  { title: 'STATE' },
  { title: 'ENDS' },
  { title: 'NODES', align: 'right' },
  { title: 'NAMES' },
]

export function pairsText(pairs: readonly ProvidedView[], options: StatusViewOptions): string {
  const { width, nowMs } = options
  if (pairs.length === 0) return 'no pairs\n'
  const rows = pairs.map(pair => [
    pair.name,
    stateText(pair, options),
    relativeTime(pair.notAfterMs, nowMs),
    String(nodesOf(pair).length),
    namesOf(pair),
  ])
  return formatTable(COLUMNS, rows, width)
}

function stateText(
  { problems, warnings }: ProvidedView,
  { paint }: Pick<StatusViewOptions, 'paint'>,
): string {
  const [problem] = problems
  if (problem !== undefined) return paint.red(problem.code)
  const [warning] = warnings
  return warning === undefined ? paint.green('ok') : paint.yellow(warning.code)
}

export function pairText(pair: ProvidedView, { paint, nowMs }: StatusViewOptions): string {
  const entries: readonly (readonly [string, string])[] = [
    ['names', namesOf(pair)],
    ['subject', pair.subject],
    ['issuer', `${pair.issuer}${pair.isPublic ? ' (public CA)' : ''}`],
    ['key', pair.keyType],
    ['begins', timeText(pair.notBeforeMs, nowMs)],
    ['ends', timeText(pair.notAfterMs, nowMs)],
    ['fingerprint', pair.fingerprint],
    ['uploaded', `${timeText(pair.uploadedAtMs, nowMs)} by ${pair.uploadedBy}`],
    ...pair.problems.map(one => ['problem', paint.red(because(one))] as const),
    ...pair.warnings.map(one => ['warning', paint.yellow(because(one))] as const),
    ...pair.usedBy.map(
      ({ node, service, fingerprint }) =>
        ['used by', `${node} ${service}${versionText(pair, fingerprint)}`] as const,
    ),
    ...pair.previous.map(
      one =>
        [
          'previous',
          `${one.fingerprint.slice(0, SHORT)}, ends ${timeText(one.notAfterMs, nowMs)}`,
        ] as const,
    ),
  ]
  const lines = entries.map(([key, value]) => `  ${key.padEnd(13)}${value}\n`)
  return `${paint.bold(pair.name)}\n${lines.join('')}`
}

export function storedText(stored: ProvidedStored, options: StatusViewOptions): string {
  const { provided, isUnchanged, outdated } = stored
  const { paint, nowMs } = options
  const what = isUnchanged ? 'is there already' : 'uploaded'
  const nodes = [...new Set(outdated.map(({ node }) => node))]
  return [
    `pair ${provided.name} ${what}: ${namesOf(provided)}, ends ${timeText(provided.notAfterMs, nowMs)}`,
    ...provided.warnings.map(one => `${paint.yellow('warning:')} ${because(one)}`),
    nodes.length === 0
      ? `select it in the fleet spec with issuer: provided, provided: ${provided.name}`
      : `${count(nodes.length, 'node')} still ${nodes.length === 1 ? 'has' : 'have'} another version (${shortList(nodes)}): tlsfleet plan -f shows the change, tlsfleet apply -f rolls it out`,
  ]
    .map(line => `${line}\n`)
    .join('')
}

function nodesOf({ usedBy }: ProvidedView): readonly string[] {
  return [...new Set(usedBy.map(({ node }) => node))]
}

function namesOf({ names }: ProvidedView): string {
  return [...names.dns, ...names.ip].join(' ')
}

const SHORT = 16
const LISTED_MAX = 5

function versionText(pair: ProvidedView, fingerprint: string): string {
  return fingerprint === pair.fingerprint ? '' : `, version ${fingerprint.slice(0, SHORT)}`
}

function shortList(nodes: readonly string[]): string {
  const more = nodes.length - LISTED_MAX
  return `${nodes.slice(0, LISTED_MAX).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function timeText(atMs: number, nowMs: number): string {
  return `${new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')} (${relativeTime(atMs, nowMs)})`
}
