// The command line of telegraf: flags with one hyphen or two, some of them only in newer versions.

import { isAtLeast } from '../version.ts'

export interface CommandLine {
  readonly command: 'run' | 'test' | 'once' | 'check' | 'sample' | 'version'
  readonly files: readonly string[]
  readonly directories: readonly string[]
  readonly env: 'default' | 'strict' | 'non-strict'
  readonly watch: boolean
  readonly pidFile: string | undefined
}

/** name, whether it takes a value, first version. */
const FLAGS: readonly (readonly [string, boolean, string])[] = [
  ['config', true, '1.0'],
  ['config-directory', true, '1.0'],
  ['pidfile', true, '1.0'],
  ['test', false, '1.0'],
  ['quiet', false, '1.0'],
  ['debug', false, '1.0'],
  ['version', false, '1.0'],
  ['sample-config', false, '1.0'],
  ['input-filter', true, '1.0'],
  ['output-filter', true, '1.0'],
  ['once', false, '1.15.0'],
  ['watch-config', true, '1.21.0'],
  ['strict-env-handling', false, '1.37.0'],
  ['non-strict-env-handling', false, '1.37.0'],
]
/** Before, `config` printed a sample whatever came behind it. */
export const CHECK_SINCE = '1.32.0'

export class UsageError extends Error {}

export function parseCommandLine(argv: readonly string[], version: string): CommandLine {
  const known = FLAGS.filter(([, , since]) => isAtLeast(version, since))
  const values = new Map<string, string[]>()
  const words: string[] = []
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    const [, name = '', value] = /^--?([\w-]+)(?:=(.*))?$/.exec(word) ?? []
    if (name === '') {
      words.push(word)
      continue
    }
    const flag = known.find(([found]) => found === name)
    if (flag === undefined) throw new UsageError(`flag provided but not defined: -${name}`)
    const given = value ?? (flag[1] ? argv[++i] : 'true')
    if (given === undefined) throw new UsageError(`flag needs an argument: -${name}`)
    values.set(name, [...(values.get(name) ?? []), given])
  }
  const isOn = (name: string) => values.get(name)?.at(-1) === 'true'
  const strict = isOn('strict-env-handling')
  const nonStrict = isOn('non-strict-env-handling')
  if (strict && nonStrict) {
    throw new UsageError(
      'flags --strict-env-handling and --non-strict-env-handling cannot be used together',
    )
  }
  return {
    command: commandOf(words, isOn, version),
    files: values.get('config') ?? [],
    directories: values.get('config-directory') ?? [],
    env: strict ? 'strict' : nonStrict ? 'non-strict' : 'default',
    watch: values.has('watch-config'),
    pidFile: values.get('pidfile')?.at(-1),
  }
}

function commandOf(
  words: readonly string[],
  isOn: (name: string) => boolean,
  version: string,
): CommandLine['command'] {
  const [first, second] = words
  if (first === 'version' || isOn('version')) return 'version'
  if (first === 'config') {
    return second === 'check' && isAtLeast(version, CHECK_SINCE) ? 'check' : 'sample'
  }
  if (isOn('sample-config')) return 'sample'
  if (first !== undefined) throw new UsageError(`unknown command ${JSON.stringify(first)}`)
  if (isOn('once')) return 'once'
  return isOn('test') ? 'test' : 'run'
}
