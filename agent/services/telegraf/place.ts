// Which files a Telegraf reads, from the words of its unit.

import { commandLine, flagsNamed, settingOf, type Word } from '../command-line.ts'
import { baseOf, logicalPath } from '../paths.ts'
import { refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, Seen } from '../service.ts'

export interface TelegrafPlace {
  readonly kind: 'place'
  readonly program: string
  /** Logical paths of files, in the order in which they are read. */
  readonly files: readonly string[]
  readonly directories: readonly string[]
  /** Variables are put in before the text is parsed, whatever the version (`--non-strict-env-handling`). */
  readonly isNonStrict: boolean
  /** Telegraf looks at its files itself and reloads: writing is the activation. */
  readonly isWatching: boolean
}

const DEFAULT_CONFIG = '/etc/telegraf/telegraf.conf'

export function placeOf(seen: Seen, context: DriverContext): TelegrafPlace | Refusal {
  const line = commandLine(seen, context)
  if (line.kind === 'refusal') return line
  if (!baseOf(line.program).startsWith('telegraf'))
    return refusal('program-unknown', `unit ${seen.unit.unit} does not start telegraf itself`)
  const named = pathsOf(line.words, 'config')
  const directories = pathsOf(line.words, 'config-directory').map(path =>
    logicalPath(path, context),
  )
  const remote = named.find(path => !path.startsWith('/'))
  if (remote !== undefined)
    return refusal(
      'command-line-unclear',
      `telegraf is started with the configuration ${remote}, which is no file with an absolute path`,
    )
  const fallback = settingOf('TELEGRAF_CONFIG_PATH', seen, context)?.value ?? DEFAULT_CONFIG
  const main =
    named.length === 0 && directories.length === 0
      ? [logicalPath(fallback, context)]
      : named.map(path => logicalPath(path, context))
  return {
    kind: 'place',
    program: line.program,
    files: [...main, ...directories.flatMap(path => filesIn(path, seen))],
    directories,
    isNonStrict: flagsNamed(line.words, 'non-strict-env-handling').length > 0,
    isWatching: flagsNamed(line.words, 'watch-config').some(({ value }) => value !== ''),
  }
}

function pathsOf(words: readonly Word[], name: string): readonly string[] {
  return flagsNamed(words, name)
    .map(({ value }) => value)
    .filter(value => value !== '')
}

// Ours while it is prepared is none of them: its name ends otherwise.
function filesIn(directory: string, seen: Seen): readonly string[] {
  return (seen.directory(directory) ?? [])
    .filter(name => name.endsWith('.conf'))
    .map(name => `${directory}/${name}`)
}
