// The flags of prometheus that matter for TLS, and what must become of them.

import { logicalPath } from './paths.ts'
import { commandLine, flagsNamed, type FileVariable, type Flag, type Word } from './command-line.ts'
import { parseAddress, type Address } from './addresses.ts'
import { refusal, type Refusal } from './reasons.ts'
import type { DriverContext, Seen } from './service.ts'

export interface Flags {
  readonly kind: 'flags'
  readonly program: string
  readonly webConfig: Flag | undefined
  readonly externalUrl: Flag | undefined
  readonly routePrefix: string | undefined
  /** Logical; undefined where it is relative to a directory that is not known. */
  readonly configFile: string | undefined
  readonly listenAddresses: readonly Address[]
  readonly isAgent: boolean
  /** Where a flag can be added. */
  readonly room: FileVariable | undefined
}

export const WEB_CONFIG_FLAG = '--web.config.file'
export const EXTERNAL_URL_FLAG = '--web.external-url'

const DEFAULT_LISTEN = '0.0.0.0:9090'
// Debian's default; upstream's is relative to a working directory that units seldom set.
const DEFAULT_CONFIG = '/etc/prometheus/prometheus.yml'
// Flags that may be given once. `--web.listen-address` may be repeated from 2.55 on.
const SINGLE_FLAGS = ['web.config.file', 'web.external-url', 'web.route-prefix', 'config.file']

export function readFlags(
  seen: Seen,
  context: DriverContext,
  options: { readonly severalListeners: boolean },
): Flags | Refusal {
  const line = commandLine(seen, context)
  if (line.kind === 'refusal') return line
  const { program, words, room } = line
  if (words.some(word => word.text.startsWith('@')))
    return refusal('command-line-unclear', `${program} reads arguments from a file`)
  const single = options.severalListeners ? SINGLE_FLAGS : [...SINGLE_FLAGS, 'web.listen-address']
  const repeated = single.find(name => flagsNamed(words, name).length > 1)
  if (repeated !== undefined)
    return refusal(
      'flag-repeated',
      `--${repeated} is given more than once, which prometheus refuses`,
    )

  const listening = flagsNamed(words, 'web.listen-address').map(flag => flag.value)
  const addresses = (listening.length === 0 ? [DEFAULT_LISTEN] : listening).map(parseAddress)
  const known = addresses.filter(address => address !== undefined)
  if (known.length < addresses.length)
    return refusal(
      'listen-address-unclear',
      `--web.listen-address ${listening.join(', ')} is not host:port`,
    )
  const configFile = logicalPath(
    flagsNamed(words, 'config.file')[0]?.value ?? DEFAULT_CONFIG,
    context,
  )
  return {
    kind: 'flags',
    program,
    webConfig: flagsNamed(words, 'web.config.file')[0],
    externalUrl: flagsNamed(words, 'web.external-url')[0],
    routePrefix: flagsNamed(words, 'web.route-prefix')[0]?.value,
    configFile: configFile.startsWith('/') ? configFile : undefined,
    listenAddresses: known,
    isAgent: runsAsAgent(words),
    room,
  }
}

/** `/prefix` or nothing, as prometheus makes it from its flags. */
export function routePrefix(flags: Flags, externalUrl: string | undefined): string {
  const path = flags.routePrefix ?? pathOf(externalUrl)
  const trimmed = path.replace(/^\/+|\/+$/g, '')
  return trimmed === '' ? '' : `/${trimmed}`
}

function pathOf(url: string | undefined): string {
  return url !== undefined && URL.canParse(url) ? new URL(url).pathname : ''
}

function runsAsAgent(words: readonly Word[]): boolean {
  const features = flagsNamed(words, 'enable-feature').flatMap(flag => flag.value.split(','))
  return features.includes('agent') || words.some(word => word.text === '--agent')
}
