// The drop-in with which a unit gets flags where no environment file has room for them: the unit's
// own command line once more, with the flags. The unit itself is never edited.

import { baseOf, logicalPath } from '../paths.ts'
import { because } from '../reasons.ts'
import type { DriverContext, FileIntent, Seen } from '../service.ts'
import {
  execStartIn,
  unclear,
  withFlags,
  type ExecStart,
  type FlagValue,
  type Unclear,
} from './exec-start.ts'

const NAME = '50-tlsfleet.conf'

export function dropInPath({ unit }: Seen): string {
  return `/etc/systemd/system/${unit.unit}.d/${NAME}`
}

export function hasDropIn(seen: Seen): boolean {
  return seen.file(dropInPath(seen))?.kind === 'text'
}

/** The files that the unit is made of, without the drop-in. */
export function unitFiles(seen: Seen, context: DriverContext): readonly string[] {
  const { fragmentPath, dropInPaths } = seen.unit
  if (fragmentPath === undefined) return []
  const own = dropInPath(seen)
  const others = dropInPaths
    .map(path => logicalPath(path, context))
    .filter(path => path !== own)
    // All directories together, by name (systemd.unit).
    .toSorted((a, b) => (baseOf(a) < baseOf(b) ? -1 : baseOf(a) > baseOf(b) ? 1 : 0))
  return [logicalPath(fragmentPath, context), ...others]
}

/** The unit's command line as it is without the drop-in. */
export function ownExecStart(seen: Seen, context: DriverContext): ExecStart | Unclear {
  const paths = unitFiles(seen, context)
  if (paths.length === 0) return unclear('its file is not known')
  const texts: string[] = []
  for (const path of paths) {
    const file = seen.file(path)
    if (file?.kind !== 'text') return unclear(`${path} cannot be read`)
    // A later one would undo what the drop-in sets.
    if (baseOf(path) > NAME && path !== paths[0] && /^\s*ExecStart\s*=/m.test(file.text))
      return unclear(`${path} sets ExecStart after ${NAME}`)
    texts.push(file.text)
  }
  const exec = execStartIn(texts)
  if (exec.kind === 'unclear') return exec
  const program = seen.unit.execStart[0]
  return exec.argv[0] === program
    ? exec
    : unclear(`its files start ${exec.argv[0]}, systemd says ${program ?? 'nothing'}`)
}

/** The drop-in with these flags. */
export function dropIn(
  exec: ExecStart,
  flags: readonly FlagValue[],
  seen: Seen,
): FileIntent | Unclear {
  const command = withFlags(exec, flags)
  if (typeof command !== 'string') return command
  const { unit } = seen.unit
  return {
    kind: 'content',
    path: dropInPath(seen),
    text: `# Kept by tlsfleet: the command line of ${unit} with flags for TLS.
[Service]
ExecStart=
ExecStart=${command}
`,
    reason: because(
      'drop-in-required',
      `no environment file of ${unit} has room for ${flags.map(flag => flag.name).join(' and ')}`,
    ),
    createMode: 0o644,
  }
}

export function withoutDropIn(seen: Seen): FileIntent {
  return {
    kind: 'content',
    path: dropInPath(seen),
    text: undefined,
    reason: because('drop-in-obsolete', `${seen.unit.unit} has its flags without the drop-in`),
    createMode: 0o644,
  }
}
