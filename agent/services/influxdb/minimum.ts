// The lowest TLS version, `[tls] min-version`, which influxd and influxd-meta have in common.

import type { Reason } from '../../../shared/contract/schema.ts'
import type { TlsVersion } from '../../../shared/contract/service.ts'
import type { ConfigValue } from '../../formats/edit.ts'
import { because, refusal, type Refusal } from '../reasons.ts'
import { isAtLeast, type Version, type VersionText } from '../version.ts'
import type { OwnedKey, Settings } from './settings.ts'

export interface Part {
  readonly kind: 'part'
  readonly owned: readonly OwnedKey[]
  /** What the process must have loaded of it, as text. */
  readonly text: string
  readonly notices: readonly Reason[]
}

export function part(
  owned: readonly OwnedKey[],
  text: string,
  notices: readonly Reason[] = [],
): Part {
  return { kind: 'part', owned, text, notices }
}

const TLS_TABLE_SINCE = '1.6.2'
// Below, `tls1.3` is an unknown name and stops influxd.
const TLS13_SINCE = '1.8.0'
const NAME_OF = { '1.2': 'tls1.2', '1.3': 'tls1.3' } as const satisfies Record<TlsVersion, string>
const RANK = new Map([
  ['ssl3.0', 0],
  ['tls1.0', 1],
  ['tls1.1', 2],
  ['tls1.2', 3],
  ['tls1.3', 4],
])

export function minimumKeys(
  minVersion: TlsVersion,
  version: Version,
  settings: Settings,
): Part | Refusal {
  const { program } = settings.dialect
  const wanted = NAME_OF[minVersion]
  const hasTable = isAtLeast(version, TLS_TABLE_SINCE)
  const knowsTls13 = isAtLeast(version, TLS13_SINCE)
  if (minVersion === '1.3' && !knowsTls13)
    return lacks(program, 'a lowest TLS version of 1.3', TLS13_SINCE, version)
  if (!hasTable) {
    const message = `${program} ${version.text} takes any TLS version; it can be told a lowest one from ${TLS_TABLE_SINCE} on`
    return part([], 'min-version=default', [because('tls-minimum-unsupported', message)])
  }
  const rank = (name: string) => (name === 'tls1.3' && !knowsTls13 ? undefined : RANK.get(name))
  const wantedRank = RANK.get(wanted) ?? 0
  const maximum = lowerText(settings.effective('tls', 'max-version'))
  if (maximum !== '' && (rank(maximum) ?? -1) < wantedRank)
    return refusal(
      'max-version-too-low',
      `max-version = "${maximum}" in [tls] of ${settings.path} excludes ${wanted}`,
    )
  const minimum = lowerText(settings.effective('tls', 'min-version'))
  if ((rank(minimum) ?? -1) > wantedRank) {
    const message = `min-version = "${minimum}" of ${settings.path} is higher than ${wanted}`
    return part([], `min-version=${minimum}`, [because('stricter-minimum-kept', message)])
  }
  // The same name in other letters is left as the operator wrote it.
  const inFile = settings.inFile('tls', 'min-version')
  const value = lowerText(inFile) === wanted && typeof inFile === 'string' ? inFile : wanted
  return part([{ table: 'tls', key: 'min-version', value }], `min-version=${wanted}`)
}

export function lacks(
  program: string,
  what: string,
  since: VersionText,
  version: Version,
): Refusal {
  return refusal(
    'option-unsupported',
    `${program} ${version.text} lacks ${what}; it came with ${since}`,
  )
}

function lowerText(value: ConfigValue | undefined): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value.toLowerCase() : 'unknown'
}
