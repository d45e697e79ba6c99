// The command line of a Beat: flags may stand anywhere, with one hyphen or two.

import { isAbsolute, join } from 'node:path'
import { BeatError, mergeSettings, parseConfig, type Settings, isSettings } from './ucfg.ts'

export interface Flags {
  /** Of the sub-command and what follows it. */
  readonly words: readonly string[]
  readonly configFiles: readonly string[]
  readonly overrides: Settings
  readonly strictPermissions: boolean
  readonly force: boolean
  readonly stdin: boolean
  readonly paths: Paths
}

export interface Paths {
  readonly home: string
  readonly config: string
  readonly data: string
  readonly logs: string
}

const WITH_VALUE = [
  'c',
  'E',
  'd',
  'environment',
  'path.home',
  'path.config',
  'path.data',
  'path.logs',
]
const SWITCHES = ['e', 'v', 'N', 'force', 'stdin', 'strict.perms', 'dashboards', 'pipelines']
const SETUP = ['index-management', 'enable-all-filesets', 'modules']

/** Without path flags: as /usr/bin/metricbeat of the packages gives them. */
export function parseFlags(argv: readonly string[]): Flags {
  const words: string[] = []
  const values: (readonly [string, string])[] = []
  for (let i = 0; i < argv.length; i++) {
    const argument = argv[i] ?? ''
    const [, name, , value] = /^--?([\w.-]+)(=(.*))?$/s.exec(argument) ?? []
    if (name === undefined) words.push(argument)
    else if (WITH_VALUE.includes(name)) values.push([name, value ?? argv[++i] ?? ''])
    else if (SWITCHES.includes(name) || SETUP.includes(name)) values.push([name, value ?? 'true'])
    else throw new BeatError(`unknown flag: --${name}`)
  }
  const last = (name: string) => values.findLast(([key]) => key === name)?.[1]
  const all = (name: string) => values.filter(([key]) => key === name).map(([, value]) => value)
  const home = last('path.home') ?? '/usr/share/metricbeat'
  const given = last('path.home') === undefined
  const config = last('path.config') ?? (given ? '/etc/metricbeat' : home)
  const files = all('c')
  return {
    words,
    configFiles: (files.length === 0 ? ['metricbeat.yml'] : files).map(file =>
      isAbsolute(file) ? file : join(config, file),
    ),
    overrides: all('E').map(parseOverride).reduce(mergeSettings, {}),
    strictPermissions: last('strict.perms') !== 'false',
    force: last('force') === 'true',
    stdin: last('stdin') === 'true',
    paths: {
      home,
      config,
      data: last('path.data') ?? (given ? '/var/lib/metricbeat' : join(home, 'data')),
      logs: last('path.logs') ?? (given ? '/var/log/metricbeat' : join(home, 'logs')),
    },
  }
}

function parseOverride(text: string): Settings {
  const [key = '', ...rest] = text.split('=')
  const parsed = parseConfig(`${JSON.stringify(key)}: ${rest.join('=')}`, '-E')
  return isSettings(parsed) ? parsed : {}
}
