// Where flags are written: into the variable that has them or has room for them, else into the
// drop-in.

import type { Reason } from '../../../shared/contract/schema.ts'
import type { FileVariable, Flag } from '../command-line.ts'
import type { DriverContext, EnvironmentEdit, FileIntent, Seen } from '../service.ts'
import { dropIn, hasDropIn, ownExecStart, withoutDropIn } from './drop-in.ts'
import type { FlagValue, Unclear } from './exec-start.ts'

export interface WantedFlag extends FlagValue {
  readonly current: Flag | undefined
}

export interface FlagFiles {
  readonly kind: 'flag-files'
  readonly files: readonly FileIntent[]
  /** Every flag stands there already. */
  readonly isDone: boolean
}

export function flagFiles(
  wanted: readonly WantedFlag[],
  room: FileVariable | undefined,
  seen: Seen,
  context: DriverContext,
  reason: Reason,
): FlagFiles | Unclear {
  const edits: { readonly path: string; readonly edit: EnvironmentEdit }[] = []
  const fixed: FlagValue[] = []
  let isDone = true
  for (const { name, value, current } of wanted) {
    if (current === undefined && value === undefined) continue
    const variable = current === undefined ? room : current.variable
    const isRight = current !== undefined && current.value === value
    if (variable === undefined) {
      if (!isRight) fixed.push({ name, value })
      continue
    }
    // Ours for as long as it is there: a flag that stands right is named too, so drift is seen.
    const edit = { kind: 'flag', variable: variable.name, flag: name, value } as const
    edits.push({ path: variable.path, edit })
    if (!isRight) isDone = false
  }
  const unit = unitFile(fixed, seen, context)
  if (unit?.kind === 'unclear') return unit
  return {
    kind: 'flag-files',
    files: [...environmentFiles(edits, reason), ...(unit === undefined ? [] : [unit])],
    isDone: isDone && (unit === undefined || isThere(unit, seen)),
  }
}

function unitFile(
  fixed: readonly FlagValue[],
  seen: Seen,
  context: DriverContext,
): FileIntent | Unclear | undefined {
  if (fixed.length === 0) return hasDropIn(seen) ? withoutDropIn(seen) : undefined
  const exec = ownExecStart(seen, context)
  return exec.kind === 'unclear' ? exec : dropIn(exec, fixed, seen)
}

function environmentFiles(
  edits: readonly { readonly path: string; readonly edit: EnvironmentEdit }[],
  reason: Reason,
): readonly FileIntent[] {
  return [...new Set(edits.map(({ path }) => path))].map(path => ({
    kind: 'environment',
    path,
    edits: edits.filter(one => one.path === path).map(({ edit }) => edit),
    reason,
    createMode: 0o644,
  }))
}

function isThere(intent: FileIntent, seen: Seen): boolean {
  const file = seen.file(intent.path)
  return intent.kind === 'content' && file?.kind === 'text' && file.text === intent.text
}
