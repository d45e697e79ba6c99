// A unit's properties as `systemctl show` prints them, and the UnitState that they mean. Pure.

import type { UnitState } from '../host.ts'
import { type Properties, splitQuoted } from './systemctl.ts'

export const UNIT_PROPERTIES = [
  'Id',
  'LoadState',
  'ActiveState',
  'SubState',
  'Result',
  'NRestarts',
  'InvocationID',
  'MainPID',
  'ExecMainStartTimestamp',
  'ExecMainStartTimestampMonotonic',
  'Job',
  'User',
  'Group',
  'Type',
  'CanReload',
  'NeedDaemonReload',
  'ExecStart',
  'Environment',
  'EnvironmentFiles',
  'FragmentPath',
  'DropInPaths',
] as const

/** Two clocks, read at the same moment, for systems whose systemctl prints local time only. */
export interface Now {
  readonly wallMs: number
  readonly monotonicMs: number
}

/** Undefined: no such unit. `group` stays empty where the unit names none. */
export function unitStateOf(
  asked: string,
  properties: Properties,
  now: Now,
): UnitState | undefined {
  const all = (name: (typeof UNIT_PROPERTIES)[number]) => properties.get(name) ?? []
  const one = (name: (typeof UNIT_PROPERTIES)[number]) => all(name)[0] ?? ''
  if (one('LoadState') === 'not-found') return undefined

  const activeState = activeStateOf(one('ActiveState'))
  const gone = activeState === 'inactive' || activeState === 'failed'
  const mainPid = Number(one('MainPID'))
  const running = !gone && mainPid > 0
  return {
    unit: one('Id') === '' ? asked : one('Id'),
    loaded: one('LoadState') === 'loaded',
    activeState,
    subState: one('SubState'),
    result: one('Result'),
    restarts: Number(one('NRestarts')) || 0,
    // systemd still tells the last one of a unit that has failed.
    invocationId: gone || one('InvocationID') === '' ? undefined : one('InvocationID'),
    mainPid: running ? mainPid : undefined,
    startedAtMs: running
      ? startOf(one('ExecMainStartTimestamp'), one('ExecMainStartTimestampMonotonic'), now)
      : undefined,
    busy: one('Job') !== '' && one('Job') !== '0',
    user: one('User') === '' ? 'root' : one('User'),
    group: one('Group'),
    type: one('Type'),
    canReload: one('CanReload') === 'yes',
    needsDaemonReload: one('NeedDaemonReload') === 'yes',
    execStart: argvOf(one('ExecStart')),
    environment: environmentOf(one('Environment')),
    environmentFiles: all('EnvironmentFiles').flatMap(environmentFileOf),
    fragmentPath: one('FragmentPath') === '' ? undefined : one('FragmentPath'),
    dropInPaths: splitQuoted(one('DropInPaths')),
  }
}

function activeStateOf(text: string): UnitState['activeState'] {
  switch (text) {
    case 'active':
    case 'reloading':
    case 'inactive':
    case 'failed':
    case 'activating':
    case 'deactivating':
      return text
    default:
      // `maintenance`, `refreshing`, and what later versions may add.
      return 'unknown'
  }
}

/**
 * `Sun 2026-11-22 10:56:49.074781 UTC`, the wall clock of the moment of the start, which is what the
 * times of files compare with. Where systemctl cannot print that (before systemd 248: whole seconds,
 * local time), it is counted back from now; a second too early would make inputs look newer.
 */
function startOf(wall: string, monotonicUs: string, now: Now): number | undefined {
  const parts = /(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d+) UTC$/.exec(wall)
  if (parts !== null) {
    const atMs = Date.parse(`${parts[1]}T${parts[2]}Z`)
    if (!Number.isNaN(atMs)) return atMs
  }
  const sinceBootUs = Number(monotonicUs)
  if (!(sinceBootUs > 0)) return undefined
  return Math.floor(now.wallMs - (now.monotonicMs - sinceBootUs / 1000))
}

/**
 * The first ExecStart: `{ path=/bin/x ; argv[]=/bin/x -a b ; ignore_errors=no ; … }`. Words are
 * joined by blanks without quoting, so one that holds a blank comes out as several.
 */
function argvOf(text: string): readonly string[] {
  const start = text.indexOf(ARGV)
  const end = text.lastIndexOf(AFTER_ARGV)
  if (start === -1 || end < start) return []
  return text
    .slice(start + ARGV.length, end)
    .split(/\s+/)
    .filter(word => word !== '')
}

const ARGV = ' argv[]='
const AFTER_ARGV = ' ; ignore_errors='

function environmentOf(text: string): Readonly<Record<string, string>> {
  const entries = splitQuoted(text).flatMap(word => {
    const equals = word.indexOf('=')
    return equals <= 0 ? [] : [[word.slice(0, equals), word.slice(equals + 1)] as const]
  })
  return Object.fromEntries(entries)
}

/** `/etc/default/x (ignore_errors=yes)`; the path may hold blanks. */
function environmentFileOf(text: string) {
  const parts = /^(.+) \(ignore_errors=(yes|no)\)$/.exec(text)
  if (parts?.[1] === undefined) return []
  return [{ path: parts[1], optional: parts[2] === 'yes' }]
}
