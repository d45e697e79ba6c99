// What influxd makes of its configuration: the file, and the variables that override it. Names are
// found in any case, as influxd finds them.

import { readToml } from '../formats/toml.ts'
import type { ConfigValue } from '../formats/edit.ts'
import { lookup } from '../formats/lookup.ts'
import { environmentPaths, fileSetting, settingOf } from './command-line.ts'
import { because, refusal, type Refusal } from './reasons.ts'
import type { DriverContext, EnvironmentEdit, FileIntent, Seen } from './service.ts'
import { documentIn, isNoTable, type Table } from './values.ts'

export type TableName = 'http' | 'tls' | 'meta' | 'cluster'

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
}

export function settingsIn(
  path: string,
  versionText: string,
  seen: Seen,
  context: DriverContext,
): Settings | Refusal {
  const document = documentIn(path, seen.file(path), readToml)
  if (document.kind === 'refusal') return document
  const problem = problemIn(path, document.value)
  if (problem !== undefined) return problem
  const hasTable = (table: string) => find(document.value, [table]).length > 0
  const inFile = (table: TableName, key: string) => {
    const [first, ...others] = find(document.value, [table, key])
    return others.some(other => other !== first) ? null : first
  }
  return {
    kind: 'settings',
    path,
    isEnterprise: /-c\d/.test(versionText) || hasTable('enterprise') || hasTable('hinted-handoff'),
    hasTable,
    inFile,
    effective: (table, key) => {
      const variable = settingOf(variableOf(table, key), seen, context)?.value ?? ''
      return variable === '' ? inFile(table, key) : variable
    },
  }
}

export function isOn(value: ConfigValue | undefined): boolean {
  return value === true || (typeof value === 'string' && /^(1|t|true)$/i.test(value))
}

export function variableOf(table: TableName, key: string): string {
  return `INFLUXDB_${table}_${key}`.toUpperCase().replaceAll('-', '_')
}

/**
 * Variables that contradict owned keys are taken out of environment files. Those in the unit itself
 * cannot be edited, and with them the file would say one thing and influxd do another.
 */
export function environmentIntents(
  owned: readonly OwnedKey[],
  seen: Seen,
  context: DriverContext,
): readonly FileIntent[] | Refusal {
  const edits = new Map<string, EnvironmentEdit[]>()
  for (const { table, key, value } of owned) {
    const variable = variableOf(table, key)
    const fixed = seen.unit.environment[variable] ?? ''
    let agreeing = false
    for (const path of environmentPaths(seen, context)) {
      const text = fileSetting(variable, path, seen)
      if (text === undefined) continue
      if (agrees(text, value)) agreeing ||= text !== ''
      else listFor(edits, path).push({ kind: 'variable', variable, value: undefined })
    }
    if (!agreeing && !agrees(fixed, value)) return fixedVariable(variable, fixed, seen)
  }
  return [...edits].map(([path, list]) => ({
    kind: 'environment',
    path,
    edits: list,
    reason: because('environment-override', `${namesOf(list)} in ${path} overrides influxdb.conf`),
    createMode: undefined,
  }))
}

// An empty variable is the same to influxd as none.
function agrees(text: string, value: ConfigValue | undefined): boolean {
  if (text === '') return true
  if (typeof value === 'boolean') return value ? isOn(text) : /^(0|f|false)$/i.test(text)
  return typeof value === 'string' && text.toLowerCase() === value.toLowerCase()
}

function fixedVariable(variable: string, value: string, seen: Seen): Refusal {
  const { unit, fragmentPath, dropInPaths } = seen.unit
  const places = [fragmentPath, ...dropInPaths].filter(path => path !== undefined)
  return refusal(
    'environment-fixed',
    `Environment= of ${unit} sets ${variable}=${value}, which overrides influxdb.conf; ` +
      `remove it from ${places.length === 0 ? 'the unit' : places.join(' or ')}`,
  )
}

// Owned keys get one value in all their spellings. Of two spellings of another key influxd takes a
// random one at every start, so nothing can be built on it.
function problemIn(path: string, value: Table): Refusal | undefined {
  for (const table of TABLES) {
    const other = find(value, [table]).find(isNoTable)
    if (other !== undefined) return refusal('config-unexpected', `${path}: ${table} is not a table`)
  }
  for (const keys of DECIDING)
    if (find(value, keys).length > 1)
      return refusal('key-repeated', `${path}: ${keys.join('.')} is there in two spellings`)
  return undefined
}

const TABLES = ['http', 'tls', 'meta', 'cluster'] as const satisfies readonly TableName[]

// Keys of the operator that decide something here.
const DECIDING = [
  ['http', 'enabled'],
  ['http', 'bind-address'],
  ['http', 'ping-auth-enabled'],
  ['tls', 'max-version'],
] as const

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
