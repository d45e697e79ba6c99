// Where a Metricbeat keeps its files, and how it is called: from the words of its unit.

import { commandLine, flagsNamed, type Word } from '../command-line.ts'
import { baseOf, logicalPath } from '../paths.ts'
import { refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, Seen } from '../service.ts'

export interface BeatPlace {
  readonly kind: 'place'
  readonly program: string
  /** Logical paths. */
  readonly config: string
  readonly modules: string
  readonly keystore: string
  /** The program with the paths of the package; undefined: this one is started with others. */
  readonly tool: string | undefined
}

// What the packages' `/usr/bin/metricbeat` adds to the program.
const PACKAGE = {
  config: '/etc/metricbeat',
  data: '/var/lib/metricbeat',
  tool: '/usr/bin/metricbeat',
} as const

export function placeOf(seen: Seen, context: DriverContext): BeatPlace | Refusal {
  const line = commandLine(seen, context)
  if (line.kind === 'refusal') return line
  if (!baseOf(line.program).startsWith('metricbeat'))
    return refusal('program-unknown', `unit ${seen.unit.unit} does not start metricbeat itself`)
  const directory = pathFlag(line.words, 'path.config', context) ?? PACKAGE.config
  const data = pathFlag(line.words, 'path.data', context) ?? PACKAGE.data
  const files = [...flagsNamed(line.words, 'c'), ...flagsNamed(line.words, 'config')]
  const [file, ...more] = files.map(({ value }) => value)
  if (more.length > 0)
    return refusal(
      'command-line-unclear',
      `metricbeat is started with ${files.length} configuration files, which it merges; one can be managed`,
    )
  const isPackaged = directory === PACKAGE.config && data === PACKAGE.data
  return {
    kind: 'place',
    program: line.program,
    config: configPath(file, directory, context),
    modules: `${directory}/modules.d`,
    keystore: `${data}/metricbeat.keystore`,
    tool: isPackaged ? context.servicePath(PACKAGE.tool) : undefined,
  }
}

// A relative `-c` is looked for in path.config.
function configPath(file: string | undefined, directory: string, context: DriverContext): string {
  if (file === undefined) return `${directory}/metricbeat.yml`
  return file.startsWith('/') ? logicalPath(file, context) : `${directory}/${file}`
}

function pathFlag(
  words: readonly Word[],
  name: string,
  context: DriverContext,
): string | undefined {
  const value = flagsNamed(words, name).at(-1)?.value ?? ''
  return value.startsWith('/') ? logicalPath(value, context) : undefined
}
