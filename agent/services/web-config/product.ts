// What differs between the programs that share one web configuration, that of Prometheus'
// exporter-toolkit: flags and YAML file are the same, names, versions and places are not.

import type { VersionText } from '../version.ts'

export interface WebProduct {
  /** In messages. */
  readonly label: string
  readonly isProgram: (name: string) => boolean
  /** Finds the version in what `--version` prints. */
  readonly version: RegExp
  /** First version with a web configuration. */
  readonly tlsSince: VersionText
  /** The toolkit in it, by the first version of the product; in ascending order. */
  readonly toolkits: readonly (readonly [VersionText, VersionText | 'later'])[]
  /** First version in which `--web.listen-address` may be repeated. */
  readonly severalListenersSince: VersionText
  /** Before this version the flag is `--web.config`. */
  readonly configFlagRenamedIn?: VersionText
  /** Own directory of key, chain and trust. */
  readonly directory: string
  /** The web configuration where no flag names another one. */
  readonly webConfig: string
  readonly listen: string
  /** Below the route prefix. */
  readonly healthPath: string
}

export function trustFileOf({ directory }: WebProduct): string {
  return `${directory}/ca.pem`
}
