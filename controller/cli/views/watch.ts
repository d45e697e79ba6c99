// One screen of a rollout: its batches, the nodes that matter now, the budgets that hold them up, and
// what happened last. Pure; never more lines than the terminal has.

import type { RolloutView } from '../../../shared/contract/operator-api.ts'
import type { GroupBudget, StepList } from '../../../shared/contract/rollout-verbs.ts'
import { formatDuration } from '../../../shared/duration.ts'
import type { Paint } from '../output.ts'
import { formatTable, widthOf } from '../table.ts'
import { type RolloutEventView, eventLine } from './rollout.ts'
import { count } from './words.ts'

export interface Watched {
  readonly rollout: RolloutView
  readonly steps: StepList
  readonly groups: readonly GroupBudget[]
  /** The newest last. */
  readonly events: readonly RolloutEventView[]
  /** What keeps the screen from being up to date. */
  readonly problem: string | undefined
}

export interface Screen {
  readonly columns: number
  readonly rows: number
  readonly paint: Paint
}

type Step = StepList['steps'][number]

export function watchText(watched: Watched, screen: Screen): string {
  const { steps, events, rollout } = watched
  const head = [headLine(watched, screen), ...batchLines(steps, screen), '']
  const groups = groupLines(watched, screen)
  const told = events.slice(-EVENTS_MAX).map(event => eventLine(event, screen.paint).trimEnd())
  const foot = [
    ...(told.length === 0 ? [] : ['', ...told]),
    '',
    screen.paint.dim(
      watched.problem ?? `Ctrl-C leaves, the rollout goes on: tlsfleet rollout pause ${rollout.id}`,
    ),
  ]
  const room = screen.rows - head.length - groups.length - foot.length
  const lines = [...head, ...nodeLines(watched, screen, room), ...groups, ...foot]
  return lines
    .slice(0, screen.rows)
    .map(line => clip(line, screen.columns))
    .join('\n')
}

const EVENTS_MAX = 4

function headLine({ rollout, steps }: Watched, { paint }: Screen): string {
  const paused = steps.pausedBy.length === 0 ? '' : ` (paused: ${steps.pausedBy.join(', ')})`
  const done = steps.steps.filter(({ state }) => state === 'done').length
  const failed = steps.steps.filter(({ state }) => FAILED.has(state)).length
  const failures = failed === 0 ? '' : `, ${paint.red(`${failed} failed`)}`
  const status = paused === '' ? steps.status : paint.yellow(`${steps.status}${paused}`)
  return `${paint.bold(`Rollout ${rollout.id}`)} of revision ${rollout.revision}: ${status}; ${done} of ${count(steps.steps.length, 'node')} done${failures}`
}

const FAILED: ReadonlySet<string> = new Set(['reverted', 'refused', 'broken'])
const MOVING: ReadonlySet<string> = new Set(['permitted', 'applying', 'suspect'])

const BATCHES_MAX = 6
const BAR = 20

/** The batches around the current one. */
function batchLines(list: StepList, screen: Screen): readonly string[] {
  const first = Math.max(0, Math.min(list.batch - 1, list.batches - BATCHES_MAX))
  const last = Math.min(list.batches, first + BATCHES_MAX)
  const counts = new Map<number, Map<string, number>>()
  for (const { batch, state } of list.steps) {
    const states = counts.get(batch) ?? new Map<string, number>()
    counts.set(batch, states.set(state, (states.get(state) ?? 0) + 1))
  }
  return Array.from({ length: last - first }, (_, index) => {
    const batch = first + index
    const line = batchLine(batch, counts.get(batch) ?? new Map<string, number>(), list, screen)
    return batch === list.batch ? line : screen.paint.dim(line)
  })
}

function batchLine(
  batch: number,
  states: ReadonlyMap<string, number>,
  list: StepList,
  { paint }: Screen,
): string {
  const total = [...states.values()].reduce((sum, one) => sum + one, 0)
  const done = states.get('done') ?? 0
  const cells = total === 0 ? 0 : Math.floor((done * BAR) / total)
  const bar = `${paint.green('━'.repeat(cells))}${paint.dim('╌'.repeat(BAR - cells))}`
  const parts = STATES.filter(state => states.has(state)).map(
    state => `${states.get(state)} ${state}`,
  )
  const soak =
    batch === list.batch && list.soakLeftMs !== undefined && list.soakLeftMs > 0
      ? `, soak: ${formatDuration(Math.ceil(list.soakLeftMs / 1000) * 1000)} left`
      : ''
  const mark = batch === list.batch ? '▸' : ' '
  const name = `batch ${batch + 1} of ${list.batches}`.padEnd(`batch 99 of ${list.batches}`.length)
  return `${mark} ${name}  ${bar}  ${parts.join(', ')}${soak}`
}

// In the order of a step's life, which is also how a batch reads best.
const STATES: readonly string[] = [
  'done',
  'suspect',
  'applying',
  'permitted',
  'staged',
  'assigned',
  'waiting',
  'broken',
  'reverted',
  'refused',
  'deferred',
  'skipped',
]

function nodeLines({ steps, rollout }: Watched, screen: Screen, room: number): readonly string[] {
  const reasons = new Map(rollout.steps.map(step => [step.node, step.reason?.message]))
  const ranked = steps.steps
    .map((step, index) => ({ step, index, rank: rankOf(step) }))
    .toSorted((a, b) => a.rank - b.rank || a.index - b.index)
    .map(({ step }) => step)
  // The titles, and the line that says how many are not shown.
  const shown = ranked.slice(0, Math.max(1, ranked.length + 1 <= room ? ranked.length : room - 2))
  const rows = shown.map(step => [
    step.node,
    String(step.batch + 1),
    stateText(step, screen.paint),
    step.waiting?.message ?? reasons.get(step.node) ?? '',
  ])
  const table = formatTable(NODE_COLUMNS, rows, undefined).trimEnd().split('\n')
  const hidden = ranked.length - shown.length
  return hidden === 0 ? table : [...table, screen.paint.dim(`… and ${count(hidden, 'more node')}`)]
}

const NODE_COLUMNS = [
  { title: 'NODE' },
  { title: 'BATCH', align: 'right' as const },
  { title: 'STATE' },
  { title: 'REASON' },
]

/** What needs eyes comes first: failures, then what moves, then what waits, then what is done. */
function rankOf({ state }: Step): number {
  if (state === 'broken' || state === 'suspect') return 0
  if (FAILED.has(state)) return 1
  if (MOVING.has(state)) return 2
  return state === 'done' || state === 'skipped' ? 4 : 3
}

function stateText({ state }: Step, paint: Paint): string {
  if (FAILED.has(state) || state === 'suspect') return paint.red(state)
  if (MOVING.has(state)) return paint.cyan(state)
  return state === 'done' ? paint.green(state) : state
}

/** Groups of which somebody is out or holds a lease: the others hold nobody up. */
function groupLines({ groups }: Watched, { paint }: Screen): readonly string[] {
  const busy = groups.filter(({ out, leases }) => out.length + leases.length > 0)
  if (busy.length === 0) return []
  return [
    '',
    ...busy.slice(0, GROUPS_MAX).map(({ name, limit, members, leases, out }) => {
      const held = leases.map(({ node, purpose }) => `${node} (${purpose})`).join(', ')
      const holders = new Set(leases.map(({ node }) => node))
      const away = out
        .filter(({ node }) => !holders.has(node))
        .map(({ node, reason }) => `${node}: ${reason.message}`)
        .join('; ')
      const parts = [held === '' ? '' : `leases: ${held}`, away === '' ? '' : `out: ${away}`]
      return `${paint.bold(name)} may lose ${limit} of ${members.length}; ${parts.filter(part => part !== '').join('; ')}`
    }),
    ...(busy.length > GROUPS_MAX
      ? [paint.dim(`… and ${count(busy.length - GROUPS_MAX, 'more group')}`)]
      : []),
  ]
}

const GROUPS_MAX = 4

/** A longer line would be wrapped by the terminal, and the screen would scroll. */
function clip(line: string, columns: number): string {
  if (widthOf(line) <= columns) return line
  let width = 0
  let text = ''
  // Escape sequences take no cell and must not be cut in two.
  for (const piece of line.split(ESCAPES)) {
    if (piece.startsWith('\u001b')) text += piece
    else
      for (const character of piece) {
        if (width >= columns - 1) continue
        text += character
        width++
      }
  }
  return `${text}…`
}

const ESCAPES = /(\p{Cc}\[[0-9;]*m)/u
