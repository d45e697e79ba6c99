// `${NAME}` in values: another setting of the same file, else the keystore, else the environment, else what
// stands after the colon. What of it is missing is an error.

import { accessing, isList, isSettings, type Settings, type Value, valueAt } from './ucfg.ts'

export interface VariableSources {
  /** Where `${path.config}` and the like are looked up. */
  readonly root: Settings
  readonly keystore: Readonly<Record<string, string>>
  readonly env: NodeJS.ProcessEnv
  /** Leave what is missing as it stands: it may not be needed. */
  readonly lenient?: boolean
  /** Named in errors. */
  readonly source: string
}

// A setting that refers to itself would go on for ever.
const DEPTH_MAX = 32

export function expandVariables(
  value: Value,
  sources: VariableSources,
  path = '',
  depth = 0,
): Value {
  if (depth > DEPTH_MAX) throw accessing('cyclic reference detected', path, sources.source)
  const inside = (child: Value, key: string) =>
    expandVariables(child, sources, path === '' ? key : `${path}.${key}`, depth)
  if (isList(value)) return value.map((item, index) => inside(item, String(index)))
  if (typeof value !== 'string') {
    if (!isSettings(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => [key, inside(child, key)]),
    )
  }
  const whole = /^\$\{([^{}]+)\}$/.exec(value)?.[1]
  if (whole !== undefined) return resolve(whole, sources, path, depth)
  return value.replace(/\$\{([^{}]+)\}/g, (_, name: string) => {
    const found = resolve(name, sources, path, depth)
    return typeof found === 'object' ? JSON.stringify(found) : String(found)
  })
}

function resolve(reference: string, sources: VariableSources, path: string, depth: number): Value {
  const colon = reference.indexOf(':')
  const name = colon < 0 ? reference : reference.slice(0, colon)
  const setting = valueAt(sources.root, name)
  if (setting !== undefined) return expandVariables(setting, sources, path, depth + 1)
  const kept = Object.hasOwn(sources.keystore, name) ? sources.keystore[name] : undefined
  if (kept !== undefined) return kept
  const given = sources.env[name]
  if (given !== undefined && given !== '') return parseEnvironmentValue(given)
  if (colon >= 0 && reference[colon + 1] !== '?') return reference.slice(colon + 1)
  if (sources.lenient === true) return `\${${reference}}`
  throw accessing('missing field', path, sources.source)
}

/** A value of the environment with a comma is a list, also a password; one of the keystore is text. */
function parseEnvironmentValue(text: string): Value {
  if (/^".*"$|^'.*'$/.test(text)) return text.slice(1, -1)
  const inner = /^\[(.*)\]$/.exec(text)?.[1] ?? text
  if (inner !== text || text.includes(',')) return inner.split(',').map(item => item.trim())
  return text
}
