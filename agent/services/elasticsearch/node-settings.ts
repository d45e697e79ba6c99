// The settings of a node as it counts them: arguments before elasticsearch.yml, variables of its
// environment put in, scalars in any kind of YAML, and lists also as texts with commas.

import { isList, type ConfigValue } from '../../formats/edit.ts'
import { settingOf } from '../command-line.ts'
import { flatSettingsIn, type FlatSettings } from '../elastic/settings.ts'
import type { Refusal } from '../reasons.ts'
import type { DriverContext, Seen } from '../service.ts'
import type { ElasticsearchPlace } from './place.ts'

export interface NodeSettings {
  readonly kind: 'node-settings'
  readonly file: FlatSettings
  /** A scalar; one that cannot be known for want of a variable still holds its `${`. */
  text(key: string): string | undefined
  /** Undefined: the setting is not there. */
  list(key: string): readonly string[] | undefined
  isOn(key: string): boolean
  /** Is it said, and is it false? Undefined: neither, or it cannot be known. */
  said(key: string): boolean | undefined
  /** Keys below a prefix that the command line gives. */
  argumentsBelow(prefix: string): readonly string[]
  /** Is the key there in several spellings? */
  isRepeated(key: string): boolean
}

export function nodeSettings(
  place: ElasticsearchPlace,
  seen: Seen,
  context: DriverContext,
): NodeSettings | Refusal {
  const file = flatSettingsIn(place.config, seen.file(place.config))
  if (file.kind === 'refusal') return file
  const put = (text: string) => withVariables(text, name => settingOf(name, seen, context)?.value)
  const value = (key: string): ConfigValue | undefined =>
    place.arguments.get(key) ?? file.value(key)
  const text = (key: string) => scalar(value(key), put)
  const said = (key: string) => BOOLEANS.get(text(key) ?? '')
  return {
    kind: 'node-settings',
    file,
    text,
    said,
    isOn: key => said(key) === true,
    list: key => listOf(value(key), put),
    argumentsBelow: prefix =>
      [...place.arguments.keys()].filter(key => key.startsWith(`${prefix}.`)),
    isRepeated: key => file.leaves.filter(leaf => leaf.key === key).length > 1,
  }
}

/** A cluster of its own, which no other node joins. */
export function isSingleNode(settings: NodeSettings): boolean {
  return settings.text('discovery.type') === 'single-node'
}

// Elasticsearch takes these spellings only.
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['false', false],
])

function scalar(value: ConfigValue | undefined, put: (text: string) => string): string | undefined {
  if (typeof value === 'string') return put(value)
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

function listOf(
  value: ConfigValue | undefined,
  put: (text: string) => string,
): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined
  const items = isList(value) ? value : (scalar(value, put) ?? '').split(',')
  return items.flatMap(item => {
    const text = scalar(item, put)?.trim() ?? ''
    return text === '' ? [] : [text]
  })
}

function withVariables(text: string, value: (name: string) => string | undefined): string {
  return text.replace(
    /\$\{([A-Za-z_]\w*)(?::([^}]*))?\}/g,
    (whole, name: string, otherwise: string | undefined) => value(name) ?? otherwise ?? whole,
  )
}
