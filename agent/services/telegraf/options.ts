// Names of TLS options by version (facts: influx-telegraf-prometheus 4(a)): `ssl_…` up to 1.6, both
// from 1.7 on, only `tls_…` from 1.35 on, where the old names stop the start.

import { isAtLeast, type Version } from '../version.ts'

export interface OptionNames {
  readonly ca: string
  /** Names of the other kind: removed where the new one is written. */
  readonly oldCa: string
  /** Pairs of a name that this version refuses, or will, and the one to write instead. */
  readonly renamed: readonly (readonly [old: string, name: string])[]
}

const STEMS = ['ca', 'cert', 'key'] as const

export function optionNames(version: Version): OptionNames {
  const [now, other] = isAtLeast(version, '1.7.0') ? ['tls', 'ssl'] : ['ssl', 'tls']
  return {
    ca: `${now}_ca`,
    oldCa: `${other}_ca`,
    renamed: STEMS.map(stem => [`${other}_${stem}`, `${now}_${stem}`] as const),
  }
}
