// Prometheus's command line as kingpin reads it: `--flag=value` or `--flag value`, none of them twice.

import { GoError } from '../go/x509-key-pair.ts'

export interface Flags {
  readonly values: ReadonlyMap<string, string>
  readonly switches: ReadonlySet<string>
}

/** A repeated flag: kingpin prints the whole usage and exits with 2; for others it exits with 1. */
export class RepeatedFlag extends GoError {}

const VALUES = new Set([
  'config.file',
  'web.config.file',
  'web.listen-address',
  'web.external-url',
  'web.route-prefix',
  'web.page-title',
  'web.console.templates',
  'web.console.libraries',
  'web.read-timeout',
  'web.max-connections',
  'web.cors.origin',
  'storage.tsdb.path',
  'storage.tsdb.retention.time',
  'storage.tsdb.retention.size',
  'query.timeout',
  'query.max-concurrency',
  'enable-feature',
  'log.level',
  'log.format',
])
const SWITCHES = new Set([
  'web.enable-lifecycle',
  'web.enable-admin-api',
  'web.enable-remote-write-receiver',
  'storage.tsdb.wal-compression',
  'version',
  'help',
])
const REPEATABLE = new Set(['enable-feature'])

export function parseFlags(argv: readonly string[]): Flags {
  const values = new Map<string, string>()
  const switches = new Set<string>()
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? ''
    if (!word.startsWith('-')) throw new GoError(`unexpected ${word}`)
    if (!word.startsWith('--')) throw new GoError(`unknown short flag '${word.slice(0, 2)}'`)
    const equals = word.indexOf('=')
    const name = equals < 0 ? word.slice(2) : word.slice(2, equals)
    const positive = name.replace(/^no-/, '')
    if (SWITCHES.has(positive)) {
      if (equals > 0) throw new GoError(`unexpected ${word.slice(equals + 1)}`)
      if (positive === name) switches.add(name)
      else switches.delete(positive)
    } else if (VALUES.has(name)) {
      const value = equals < 0 ? argv[++i] : word.slice(equals + 1)
      if (value === undefined) throw new GoError(`expected argument for flag '--${name}'`)
      if (values.has(name) && !REPEATABLE.has(name)) {
        throw new RepeatedFlag(`flag '${name}' cannot be repeated`)
      }
      values.set(name, value)
    } else {
      throw new GoError(`unknown long flag '--${name}'`)
    }
  }
  return { values, switches }
}
