// The flags of a program that matter for TLS, as its unit gives them.

import { parseAddress, type Address } from '../addresses.ts'
import { flagsNamed, type CommandLine, type Flag } from '../command-line.ts'
import { refusal, type Refusal } from '../reasons.ts'
import { isAtLeast, type Version } from '../version.ts'
import type { WebProduct } from './product.ts'

export const EXTERNAL_URL_FLAG = '--web.external-url'

export interface Flags {
  readonly kind: 'flags'
  readonly line: CommandLine
  /** What this version calls it. */
  readonly configFlag: ConfigFlag
  readonly webConfig: Flag | undefined
  /** The same under the name that other versions have for it; this one does not start with it. */
  readonly misnamed: Flag | undefined
  readonly externalUrl: Flag | undefined
  readonly routePrefix: string | undefined
  readonly listenAddresses: readonly Address[]
}

export type ConfigFlag = '--web.config.file' | '--web.config'

const SINGLE_FLAGS = ['web.config.file', 'web.config', 'web.external-url', 'web.route-prefix']

/** `version` undefined: not known yet. */
export function readFlags(
  product: WebProduct,
  line: CommandLine,
  version: Version | undefined,
): Flags | Refusal {
  const { program, words } = line
  if (words.some(word => word.text.startsWith('@')))
    return refusal('command-line-unclear', `${program} reads arguments from a file`)
  const one = (name: string) => flagsNamed(words, name)[0]
  const severalListeners =
    version === undefined || isAtLeast(version, product.severalListenersSince)
  const single = severalListeners ? SINGLE_FLAGS : [...SINGLE_FLAGS, 'web.listen-address']
  const repeated = single.find(name => flagsNamed(words, name).length > 1)
  if (repeated !== undefined)
    return refusal(
      'flag-repeated',
      `--${repeated} is given more than once, which ${product.label} refuses`,
    )
  if (one('web.systemd-socket') !== undefined)
    return refusal(
      'listen-address-unclear',
      `${product.label} listens on sockets that systemd passes to it`,
    )
  const listenAddresses = addressesIn(product, line)
  if ('kind' in listenAddresses) return listenAddresses
  const configFlag = configFlagOf(product, version)
  const renamed = product.configFlagRenamedIn !== undefined
  const other = configFlag === '--web.config' ? '--web.config.file' : '--web.config'
  return {
    kind: 'flags',
    line,
    configFlag,
    webConfig: one(configFlag),
    misnamed: renamed ? one(other) : undefined,
    externalUrl: one(EXTERNAL_URL_FLAG),
    routePrefix: one('web.route-prefix')?.value,
    listenAddresses,
  }
}

function addressesIn(product: WebProduct, { words }: CommandLine): readonly Address[] | Refusal {
  const listening = flagsNamed(words, 'web.listen-address').map(flag => flag.value)
  const addresses = (listening.length === 0 ? [product.listen] : listening).map(parseAddress)
  const known = addresses.filter(address => address !== undefined)
  if (known.length === addresses.length) return known
  return refusal(
    'listen-address-unclear',
    `--web.listen-address ${listening.join(', ')} is not host:port`,
  )
}

function configFlagOf(
  { configFlagRenamedIn }: WebProduct,
  version: Version | undefined,
): ConfigFlag {
  if (configFlagRenamedIn === undefined || version === undefined) return '--web.config.file'
  return isAtLeast(version, configFlagRenamedIn) ? '--web.config.file' : '--web.config'
}

/** `/prefix` or nothing, as these programs make it of their flags. */
export function routePrefix(flags: Flags, externalUrl: string | undefined): string {
  const path = flags.routePrefix ?? pathOf(externalUrl)
  const trimmed = path.replace(/^\/+|\/+$/g, '')
  return trimmed === '' ? '' : `/${trimmed}`
}

function pathOf(url: string | undefined): string {
  return url !== undefined && URL.canParse(url) ? new URL(url).pathname : ''
}
