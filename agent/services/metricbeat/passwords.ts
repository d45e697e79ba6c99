// Passwords that stand in clear in the files of Metricbeat move into its keystore, from where the
// files take them as `${NAME}`.

import type { Reason } from '../../../shared/contract/schema.ts'
import { Secret } from '../../../shared/secret.ts'
import type { ConfigEdit, ConfigPath, ConfigValue } from '../../formats/edit.ts'
import type { FlatSettings } from '../elastic/settings.ts'
import { because } from '../reasons.ts'
import type { KeystoreIntent, Seen } from '../service.ts'
import type { BeatPlace } from './place.ts'

export interface ClearPassword {
  readonly file: string
  readonly path: ConfigPath
  /** Entry of the keystore. */
  readonly name: string
  readonly value: Secret
}

// Names as the vendor's documents use them.
const PLACES = [
  ['output.elasticsearch.password', 'ES_PWD'],
  ['output.elasticsearch.api_key', 'ES_API_KEY'],
  ['setup.kibana.password', 'KIBANA_PWD'],
  ['monitoring.elasticsearch.password', 'MONITORING_PWD'],
] as const

/** A value that is no reference. Numbers are what YAML takes some passwords for. */
export function clearText(value: ConfigValue | undefined): Secret | undefined {
  if (typeof value === 'number') return new Secret(String(value))
  if (typeof value !== 'string' || value === '' || value.includes('${')) return undefined
  return new Secret(value)
}

export function toReference({ path, name }: ClearPassword): ConfigEdit {
  return { path, value: `\${${name}}` }
}

export function clearIn(
  settings: FlatSettings,
  nameFor: (name: string, value: Secret) => string,
): readonly ClearPassword[] {
  return PLACES.flatMap(([key, name]) => {
    const value = clearText(settings.value(key))
    if (value === undefined) return []
    return [{ file: settings.path, path: key.split('.'), name: nameFor(name, value), value }]
  })
}

/** Why passwords cannot be moved; undefined: they can. */
export function obstacleTo(place: BeatPlace, seen: Seen): string | undefined {
  if (place.tool === undefined) return 'metricbeat is started with paths of its own'
  return seen.keystore(place.keystore)?.kind === 'unreadable'
    ? `${place.keystore} cannot be read`
    : undefined
}

/** Names for entries: one that has another value already is used by something else. */
export function createNames(place: BeatPlace, seen: Seen): (name: string, value: Secret) => string {
  const keystore = seen.keystore(place.keystore)
  const taken = new Map(keystore?.kind === 'opened' ? keystore.entries : [])
  return (name, value) => {
    for (let count = 1; ; count++) {
      const candidate = count === 1 ? name : `${name}_${count}`
      const found = taken.get(candidate)
      if (found !== undefined && found.reveal() !== value.reveal()) continue
      taken.set(candidate, value)
      return candidate
    }
  }
}

export function keystoreFor(
  clear: readonly ClearPassword[],
  place: BeatPlace,
): readonly KeystoreIntent[] {
  if (clear.length === 0 || place.tool === undefined) return []
  return [
    {
      path: place.keystore,
      format: 'beats',
      tool: place.tool,
      environment: {},
      entries: [...new Map(clear.map(one => [one.name, one.value]))].map(([name, value]) => ({
        kind: 'value',
        name,
        value,
      })),
      reason: inClear(clear, undefined),
    },
  ]
}

export function inClear(clear: readonly ClearPassword[], why: string | undefined): Reason {
  const places = clear.map(({ file, path }) => `${path.join('.')} of ${file}`).join(', ')
  const message = `${places} is in clear`
  return because('password-in-clear', why === undefined ? message : `${message}: ${why}`)
}
