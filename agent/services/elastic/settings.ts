// elasticsearch.yml, kibana.yml and metricbeat.yml as their products read them: `a.b.c: x`, its
// nested and its mixed spellings are one key, and of several the last one counts (facts: elastic
// 1.1). Beats refuse a scalar that is there twice.

import { isList, isTable, type ConfigValue } from '../../formats/edit.ts'
import { readYaml } from '../../formats/yaml.ts'
import type { Refusal } from '../reasons.ts'
import type { SeenFile } from '../service.ts'
import { documentIn, type Table } from '../values.ts'

export interface FlatSettings {
  readonly kind: 'settings'
  /** Logical path of the file. */
  readonly path: string
  /** Of a leaf or a list; the last of several spellings. Null counts as not there. */
  value(key: string): ConfigValue | undefined
  text(key: string): string | undefined
  /** Is the key there, or something below it? */
  has(key: string): boolean
  /** Every leaf in the order of the file, by its dotted key. */
  readonly leaves: readonly { readonly key: string; readonly value: ConfigValue }[]
}

/** A file that is empty or only comments has no settings. */
export function flatSettingsIn(path: string, file: SeenFile | undefined): FlatSettings | Refusal {
  if (file?.kind === 'text' && isBlank(file.text)) return settingsOf(path, {})
  const document = documentIn(path, file, readYaml)
  return document.kind === 'refusal' ? document : settingsOf(path, document.value)
}

function isBlank(text: string): boolean {
  return text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .every(line => /^\s*(#|$)/.test(line))
}

function settingsOf(path: string, table: Table): FlatSettings {
  const leaves = leavesOf(table, '')
  const byKey = new Map(leaves.map(({ key, value }) => [key, value]))
  const value = (key: string) => byKey.get(key) ?? undefined
  return {
    kind: 'settings',
    path,
    leaves,
    value,
    text: key => {
      const found = value(key)
      return typeof found === 'string' ? found : undefined
    },
    has: key => leaves.some(leaf => leaf.key === key || leaf.key.startsWith(`${key}.`)),
  }
}

function leavesOf(
  table: Table,
  prefix: string,
): readonly { readonly key: string; readonly value: ConfigValue }[] {
  return Object.entries(table).flatMap(([name, value]) => {
    const key = prefix === '' ? name : `${prefix}.${name}`
    return isTable(value) ? leavesOf(value, key) : [{ key, value }]
  })
}

/** A text or a list of texts, as settings that take both are read. Undefined: something else. */
export function textsIn(value: ConfigValue | undefined): readonly string[] | undefined {
  if (value === undefined || value === null) return []
  if (typeof value === 'string') return [value]
  if (!isList(value)) return undefined
  const texts = value.filter(item => typeof item === 'string')
  return texts.length === value.length ? texts : undefined
}

/** `true` as YAML says it, or the word. */
export function isTrue(value: ConfigValue | undefined): boolean {
  return value === true || (typeof value === 'string' && value.toLowerCase() === 'true')
}
