// CAs as a list: what each is good for now, and until when.

import { unreachable } from '../../../shared/assert.ts'
import type { AuthorityView } from '../../../shared/contract/authorities.ts'
import type { Paint } from '../output.ts'
import { type Column, formatTable, type Width } from '../table.ts'
import { relativeTime } from './words.ts'

const COLUMNS: readonly Column[] = [
  { title: 'CA' },
  { title: 'STATE' },
  { title: 'SINCE' },
  { title: 'SIGNS UNTIL' },
  { title: 'ROOT UNTIL' },
  { title: 'ROOT KEY' },
  { title: 'ROOT' },
  { title: 'SIGNED WITH' },
  { title: 'ZONES' },
]

export interface AuthoritiesViewOptions {
  readonly paint: Paint
  readonly width: Width
  readonly nowMs: number
}

export function authoritiesText(
  authorities: readonly AuthorityView[],
  { paint, width, nowMs }: AuthoritiesViewOptions,
): string {
  const rows = authorities.map(one => [
    one.id,
    stateText(one, paint),
    relativeTime(one.changedAtMs, nowMs),
    day(one.intermediate.notAfterMs),
    day(one.root.notAfterMs),
    one.rootKey,
    short(one.root.fingerprint),
    short(one.intermediate.fingerprint),
    zonesText(one),
  ])
  return formatTable(COLUMNS, rows, width)
}

function stateText({ state, taintedAtMs }: AuthorityView, paint: Paint): string {
  const text = taintedAtMs === undefined ? state : `${state}, tainted`
  if (taintedAtMs !== undefined && state !== 'denied') return paint.red(text)
  switch (state) {
    case 'active':
      return paint.green(text)
    case 'trusted':
    case 'outgoing':
      return paint.yellow(text)
    case 'prepared':
    case 'retired':
    case 'denied':
      return paint.dim(text)
    default:
      return unreachable(state)
  }
}

// An identity has no names that a zone could hold.
function zonesText({ kind, zones }: AuthorityView): string {
  if (zones === undefined) return kind === 'service' ? 'all names' : '-'
  return [...zones.dns, ...zones.ip].join(' ')
}

function day(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

/** Enough to tell them apart; all of it is in --json. */
function short(fingerprint: string): string {
  return fingerprint.slice(0, 12)
}
