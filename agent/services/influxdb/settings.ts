// What influxd and influxd-meta make of their configuration: the file, and the variables that
// override it. Names are found in any case, as they find them.

import { readToml } from '../../formats/toml.ts'
import { isTable, type ConfigValue } from '../../formats/edit.ts'
import { lookup } from '../../formats/lookup.ts'
import { environmentPaths, fileSetting, settingOf } from '../command-line.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import type { DriverContext, EnvironmentEdit, FileIntent, Seen } from '../service.ts'
import { documentIn, isNoTable, type Table } from '../values.ts'

/** Empty: the top of the file. */
export type TableName = '' | 'http' | 'tls' | 'meta' | 'cluster' | 'subscriber'

/** What differs between the two programs. */
export interface Dialect {
  /** The program, for people. */
  readonly program: string
  readonly variableOf: (table: TableName, key: string) => string
  /** Tables with keys of ours. */
  readonly tables: readonly TableName[]
  /** Keys of the operator that decide something here. */
  readonly deciding: readonly (readonly [table: TableName, key: string])[]
}

export const DATA_NODE: Dialect = {
  program: 'influxd',
  variableOf: (table, key) => variable('INFLUXDB', table, key),
  tables: ['http', 'tls', 'meta', 'cluster'],
  deciding: [
    ['http', 'enabled'],
    ['http', 'bind-address'],
    ['http', 'ping-auth-enabled'],
    ['tls', 'max-version'],
  ],
}

// The prefix stands for the program and for its table [meta] (facts: 2(a)).
export const META_NODE: Dialect = {
  program: 'influxd-meta',
  variableOf: (table, key) => variable('INFLUXDB_META', table === 'meta' ? '' : table, key),
  tables: ['tls', 'meta'],
  deciding: [
    ['', 'hostname'],
    ['meta', 'http-bind-address'],
    ['tls', 'max-version'],
  ],
}

function variable(prefix: string, table: TableName, key: string): string {
  const words = table === '' ? [prefix, key] : [prefix, table, key]
  return words.join('_').toUpperCase().replaceAll('-', '_')
}

/** A key that is ours for as long as the desired state says so. */
export interface OwnedKey {
  readonly table: TableName
  readonly key: string
  /** Undefined: it must not be there. */
  readonly value: ConfigValue | undefined
}

export interface Settings {
  readonly kind: 'settings'
  /** Logical path of the file. */
  readonly path: string
  readonly isEnterprise: boolean
  /** As the file says; `null` where two spellings of the key have different values. */
  inFile(table: TableName, key: string): ConfigValue | undefined
  /** As influxd sees it; a variable is always text. */
  effective(table: TableName, key: string): ConfigValue | undefined
  hasTable(table: string): boolean
  readonly dialect: Dialect
  /** As the file says, without what overrides it. */
  readonly document: Table
}

export function settingsIn(
  path: string,
  dialect: Dialect,
  versionText: string,
  seen: Seen,
  context: DriverContext,
): Settings | Refusal {
  const document = documentIn(path, seen.file(path), readToml)
  if (document.kind === 'refusal') return document
  const problem = problemIn(path, document.value, dialect)
  if (problem !== undefined) return problem
  const hasTable = (table: string) => find(document.value, [table]).length > 0
  const inFile = (table: TableName, key: string) => {
    const [first, ...others] = find(document.value, pathOf(table, key))
    return others.some(other => other !== first) ? null : first
  }
  return {
    kind: 'settings',
    path,
    isEnterprise: /-c\d/.test(versionText) || hasTable('enterprise') || hasTable('hinted-handoff'),
    hasTable,
    inFile,
    dialect,
    document: document.value,
    effective: (table, key) => {
      const variable = settingOf(dialect.variableOf(table, key), seen, context)?.value ?? ''
      return variable === '' ? inFile(table, key) : variable
    },
  }
}

export function isOn(value: ConfigValue | undefined): boolean {
  return value === true || (typeof value === 'string' && /^(1|t|true)$/i.test(value))
}

/** Keys from the top of the file. */
export function pathOf(table: TableName, key: string): readonly string[] {
  return table === '' ? [key] : [table, key]
}

/**
 * Variables that contradict owned keys are taken out of environment files. Those in the unit itself
 * cannot be edited, and with them the file would say one thing and influxd do another.
 */
export function environmentIntents(
  owned: readonly OwnedKey[],
  settings: Settings,
  seen: Seen,
  context: DriverContext,
): readonly FileIntent[] | Refusal {
  const edits = new Map<string, EnvironmentEdit[]>()
  for (const { table, key, value } of owned) {
    const variable = settings.dialect.variableOf(table, key)
    const fixed = seen.unit.environment[variable] ?? ''
    let agreeing = false
    for (const path of environmentPaths(seen, context)) {
      const text = fileSetting(variable, path, seen)
      if (text === undefined) continue
      if (agrees(text, value)) agreeing ||= text !== ''
      else listFor(edits, path).push({ kind: 'variable', variable, value: undefined })
    }
    if (!agreeing && !agrees(fixed, value))
      return fixedVariable(variable, fixed, settings.path, seen)
  }
  return [...edits].map(([path, list]) => ({
    kind: 'environment',
    path,
    edits: list,
    reason: because(
      'environment-override',
      `${namesOf(list)} in ${path} overrides ${settings.path}`,
    ),
    createMode: undefined,
  }))
}

/**
 * What `influxd config` prints of a file is what influxd makes of it, whatever else has a say: what
 * `systemctl set-environment`, `DefaultEnvironment=` or a program around it set is in no file that is
 * read here. Variables that are taken away with the same change still count in it, so they are left out.
 */
export function judgePrinted(
  owned: readonly OwnedKey[],
  settings: Settings,
  overrides: readonly FileIntent[],
): (printed: string) => Reason | undefined {
  const { dialect, path } = settings
  const leaving = new Set(
    overrides.flatMap(intent =>
      intent.kind === 'environment'
        ? intent.edits.flatMap(edit => (edit.kind === 'variable' ? [edit.variable] : []))
        : [],
    ),
  )
  return printed => {
    const document = readToml(printed)
    if (document.kind !== 'read' || !isTable(document.value)) return undefined
    for (const { table, key, value } of owned) {
      const variable = dialect.variableOf(table, key)
      const [seen] = find(document.value, pathOf(table, key))
      const isPlain = typeof value === 'string' || typeof value === 'boolean'
      if (!isPlain || typeof seen === 'object' || leaving.has(variable)) continue
      if (seen === undefined || agrees(String(seen), value)) continue
      return because(
        'environment-fixed',
        `${dialect.program} takes ${JSON.stringify(seen)} for ${pathOf(table, key).join('.')} whatever ${path} says: ${variable} comes from outside of the unit and its files; look at \`systemctl show-environment\` and DefaultEnvironment= of the service manager`,
      )
    }
    return undefined
  }
}

// An empty variable is the same to influxd as none.
function agrees(text: string, value: ConfigValue | undefined): boolean {
  if (text === '') return true
  if (typeof value === 'boolean') return value ? isOn(text) : /^(0|f|false)$/i.test(text)
  return typeof value === 'string' && text.toLowerCase() === value.toLowerCase()
}

function fixedVariable(variable: string, value: string, path: string, seen: Seen): Refusal {
  const { unit, fragmentPath, dropInPaths } = seen.unit
  const places = [fragmentPath, ...dropInPaths].filter(path => path !== undefined)
  return refusal(
    'environment-fixed',
    `Environment= of ${unit} sets ${variable}=${value}, which overrides ${path}; ` +
      `remove it from ${places.length === 0 ? 'the unit' : places.join(' or ')}`,
  )
}

// Owned keys get one value in all their spellings. Of two spellings of another key influxd takes a
// random one at every start, so nothing can be built on it.
function problemIn(path: string, value: Table, dialect: Dialect): Refusal | undefined {
  for (const table of dialect.tables) {
    const other = find(value, [table]).find(isNoTable)
    if (other !== undefined) return refusal('config-unexpected', `${path}: ${table} is not a table`)
  }
  for (const [table, key] of dialect.deciding) {
    const keys = pathOf(table, key)
    if (find(value, keys).length > 1)
      return refusal('key-repeated', `${path}: ${keys.join('.')} is there in two spellings`)
  }
  return undefined
}

function find(value: Table, path: readonly string[]): readonly ConfigValue[] {
  return lookup(value, path, { keys: 'case-insensitive' }).map(match => match.value)
}

function listFor(map: Map<string, EnvironmentEdit[]>, path: string): EnvironmentEdit[] {
  const list = map.get(path) ?? []
  map.set(path, list)
  return list
}

function namesOf(edits: readonly EnvironmentEdit[]): string {
  return edits.map(edit => edit.variable).join(', ')
}
