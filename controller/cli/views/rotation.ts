// Where a rotation is, what keeps it there, and where every node is.

import type { RotationSummary, RotationView } from '../../../shared/contract/rotations.ts'
import type { Paint } from '../output.ts'
import { type Column, formatTable, type Width } from '../table.ts'
import { because, count } from './words.ts'

export interface RotationViewOptions {
  readonly paint: Paint
  readonly width: Width
}

const KINDS = {
  service: 'service CA',
  identity: 'identity CA',
  issuer: 'issuers, revision',
} as const satisfies Record<RotationSummary['kind'], string>

/** In one line. */
export function rotationLine(rotation: RotationSummary | RotationView): string {
  const { id, kind, from, to, status, phase, direction, stopped, isTainted } = rotation
  const undoing = direction === 'reverse' ? 'taking back ' : ''
  const where = status === 'running' ? `${undoing}${phase}` : status
  const waits = 'waitsFor' in rotation ? waitText(rotation) : ''
  const tainted = isTainted ? ', compromised' : ''
  const why = stopped === undefined ? '' : `; stopped: ${because(stopped)}`
  return `rotation ${id} (${KINDS[kind]} ${from} to ${to}${tainted}): ${where}${waits}${why}`
}

function waitText({ id, waitsFor, barrier, needsOthers, author }: RotationView): string {
  switch (waitsFor) {
    case 'nothing':
      return ''
    case 'rollout':
      return ', a rollout is under way'
    case 'barrier':
      return `, waits for ${count(barrier.total, 'hindrance')}`
    case 'advance':
      return needsOthers > 0
        ? `, waits for ${count(needsOthers, 'operator')} other than ${author}: tlsfleet ca advance ${id}`
        : `, waits for you: tlsfleet ca advance ${id}`
    case 'resume':
      return `, stopped; when that is settled: tlsfleet ca resume ${id}`
  }
}

const NODES: readonly Column[] = [{ title: 'NODE' }, { title: 'PLACE' }, { title: 'WHY NOT' }]

const PLACES = {
  there: 'there',
  'on-its-way': 'on its way',
  behind: 'behind',
  silent: 'silent',
  elsewhere: 'not concerned',
} as const satisfies Record<RotationView['nodes'][number]['place'], string>

export function rotationText(view: RotationView, { paint, width }: RotationViewOptions): string {
  const rows = view.nodes.flatMap(({ node, place }) => {
    const found = view.barrier.blockers.filter(blocker => blocker.node === node)
    const first = [node, PLACES[place]]
    if (found.length === 0) return [[...first, '']]
    return found.map(({ service, listener, reason }, index) => [
      ...(index === 0 ? first : ['', '']),
      [service, listener, because(reason)].filter(part => part !== undefined).join(': '),
    ])
  })
  const hidden = view.barrier.total - view.barrier.blockers.length
  const more = hidden > 0 ? `${count(hidden, 'more hindrance')}\n` : ''
  const history = view.history.map(event => rotationEventLine(event, paint)).join('')
  const table = rows.length === 0 ? '' : `${formatTable(NODES, rows, width)}${more}\n`
  return `${history}\n${table}${paint.bold(rotationLine(view))}`
}

export function rotationEventLine(event: RotationView['history'][number], paint: Paint): string {
  const { atMs, kind, phase, rollout, reason, actor } = event
  const time = new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')
  const what = [EVENTS.get(kind) ?? kind.replaceAll('-', ' '), phase, rollout]
    .filter(part => part !== undefined)
    .join(' ')
  const text = kind === 'stopped' || kind === 'reversed' ? paint.red(what) : what
  const why = reason === undefined ? '' : `: ${because(reason)}`
  const by = actor === 'controller' || reason !== undefined ? '' : ` by ${actor}`
  return `${paint.dim(time)}  ${text}${by}${why}\n`
}

const EVENTS: ReadonlyMap<string, string> = new Map([
  ['created', 'begun'],
  ['entered', 'phase'],
  ['rollout-started', 'rollout started'],
  ['rollout-ended', 'rollout ended'],
  ['confirmed', 'confirmed'],
  ['reversed', 'taken back'],
  ['tainted', 'compromised'],
  ['stopped', 'stopped'],
  ['resumed', 'resumed'],
  ['ended', 'ended'],
])
