// What happens in a rollout, one line an event.

import type { RolloutEventList, RolloutView } from '../../../shared/contract/operator-api.ts'
import type { Paint } from '../output.ts'
import { type Column, type Width, formatTable } from '../table.ts'
import { because, count } from './words.ts'

export type RolloutEventView = RolloutEventList['events'][number]
export type StepView = RolloutView['steps'][number]

export function eventLine(event: RolloutEventView, paint: Paint): string {
  const time = `${new Date(event.atMs).toISOString().slice(11, 19)}Z`
  // A newer controller may tell of kinds that this command does not know.
  const text = EVENT_TEXTS.get(event.kind) ?? event.kind.replaceAll('-', ' ')
  const subject = event.node === undefined ? '' : `${event.node}  `
  const reason = event.reason === undefined ? '' : `: ${because(event.reason)}`
  const colour = FAILURES.has(event.kind) ? paint.red : GOOD.has(event.kind) ? paint.green : plain
  return `${paint.dim(time)}  ${subject}${colour(text)}${reason}\n`
}

function plain(text: string): string {
  return text
}

const FAILURES: ReadonlySet<string> = new Set([
  'node-refused',
  'node-reverted',
  'node-broken',
  'draining',
])
const GOOD: ReadonlySet<string> = new Set(['node-done'])

const EVENT_TEXTS: ReadonlyMap<string, string> = new Map([
  ['planned', 'rollout planned'],
  ['started', 'rollout started'],
  ['node-assigned', 'preparing'],
  ['node-staged', 'prepared, nothing is live yet'],
  ['node-refused', 'refused'],
  ['node-deferred', 'deferred'],
  ['staged', 'all nodes are prepared'],
  ['node-permitted', 'may switch'],
  ['permit-claimed', 'switching'],
  ['node-held', 'waits for the other nodes of its group'],
  ['section-moved', 'all nodes are there'],
  ['downtime-acknowledged', 'the downtime is acknowledged'],
  ['permit-withdrawn', 'permit withdrawn'],
  ['node-suspected', 'not heard of while switching'],
  ['node-done', 'done'],
  ['node-reverted', 'failed, previous state restored'],
  ['node-broken', 'failed, previous state not restored'],
  ['draining', 'stopping, no further node starts'],
  ['node-released', 'gets its previous desired state back'],
  ['ended', 'rollout ended'],
])

/** Where a node stands, for the live view. */
export function stepText(step: StepView): string {
  const text = STEP_TEXTS[step.state]
  return step.reason === undefined ? text : `${text}: ${step.reason.message}`
}

const STEP_TEXTS = {
  waiting: 'waiting',
  assigned: 'preparing',
  staged: 'prepared',
  permitted: 'may switch',
  applying: 'switching',
  suspect: 'not heard of while switching',
  done: 'done',
  reverted: 'failed, previous state restored',
  refused: 'refused',
  broken: 'failed, previous state not restored',
  deferred: 'deferred',
  skipped: 'skipped',
} satisfies Record<StepView['state'], string>

const COLUMNS: readonly Column[] = [
  { title: 'ROLLOUT' },
  { title: 'REVISION', align: 'right' },
  { title: 'STATUS' },
  { title: 'NODES' },
  { title: 'STARTED' },
  { title: 'ENDED', wide: true },
  { title: 'AUTHOR', wide: true },
  { title: 'VERSION', align: 'right', wide: true },
  { title: 'REASON' },
]

export function rolloutsText(rollouts: readonly RolloutView[], width: Width): string {
  if (rollouts.length === 0) return 'no rollouts yet\n'
  const rows = rollouts.map(rollout => [
    rollout.id,
    String(rollout.revision),
    rollout.status,
    `${rollout.steps.filter(step => step.state === 'done').length} of ${rollout.steps.length}`,
    momentText(rollout.startedAtMs),
    momentText(rollout.endedAtMs),
    rollout.author ?? '-',
    String(rollout.version),
    reasonOf(rollout),
  ])
  return formatTable(COLUMNS, rows, width)
}

function momentText(atMs: number | undefined): string {
  return atMs === undefined ? '-' : new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')
}

// Nobody has started it: that is said with the reason.
function reasonOf({ author, reason, steps }: RolloutView): string {
  const message = reason?.message ?? waitText(steps.filter(isHeldUp))
  return author === 'system' ? `system: ${message}` : message
}

function waitText([first, ...more]: readonly StepView[]): string {
  if (first === undefined) return ''
  const others = more.length === 0 ? '' : ` and ${count(more.length, 'more node')}`
  return `waits for ${first.node}${others}: ${first.reason?.message}`
}

/** It says why it is not prepared yet. */
export function isHeldUp({ state, reason }: StepView): boolean {
  return state === 'assigned' && reason !== undefined
}

/** As an event, for whoever reads lines. */
export function heldUpLine({ node, reason, sinceMs }: StepView, paint: Paint): string {
  return eventLine({ version: 0, kind: 'node-assigned', atMs: sinceMs, node, reason }, paint)
}

export function startedLine(rollout: RolloutView): string {
  return `Rollout ${rollout.id} of revision ${rollout.revision}: ${count(rollout.steps.length, 'node')}\n`
}
