// All TLS contexts of the node: loaded at the start, watched, and replaced where their files changed.

import { isAtLeast } from '../version.ts'
import { watchFile, type FileWatch } from './file-watch.ts'
import { SSL_PREFIXES, type SslPrefix } from './known-settings.ts'
import type { Log } from './log.ts'
import {
  type ListedCertificate,
  type SslConfiguration,
  sslConfiguration,
  type SslMaterial,
  type SslSources,
} from './ssl-configuration.ts'
import { booleanOf, settingOf, StartError } from './yaml-settings.ts'

export interface SslContext {
  readonly configuration: SslConfiguration
  /** What is served now. */
  material(): SslMaterial
  /** Counts up with every reload: a context made of an older one is out of date. */
  generation(): number
}

export interface SslService {
  context(prefix: SslPrefix): SslContext
  certificates(): readonly ListedCertificate[]
  /** Looks at every file once, as the timer does. */
  check(): void
}

export interface SslServiceOptions extends Omit<SslSources, 'dropsCaKeys'> {
  readonly version: string
  readonly log: Log
}

/** Throws a StartError where a context cannot be used; also one that is not enabled. */
export function createSslService(options: SslServiceOptions): SslService {
  const { log, version } = options
  const dropsCaKeys = isAtLeast(version, '8.0.0')
  const contexts = new Map<SslPrefix, Holder>()
  for (const prefix of SSL_PREFIXES) {
    try {
      const configuration = sslConfiguration(prefix, { ...options, dropsCaKeys })
      contexts.set(prefix, { configuration, material: configuration.load(), generation: 0 })
    } catch (error) {
      if (!(error instanceof StartError)) throw error
      throw new StartError(`failed to load SSL configuration [${prefix}] - ${error.message}`)
    }
  }
  for (const prefix of ['xpack.security.transport.ssl', 'xpack.security.http.ssl'] as const) {
    validateServer(holderOf(contexts, prefix).configuration, options)
  }

  const watches = watchAll([...contexts.values()], log)
  return {
    context: prefix => {
      const holder = holderOf(contexts, prefix)
      return {
        configuration: holder.configuration,
        material: () => holder.material,
        generation: () => holder.generation,
      }
    },
    certificates: () => [...contexts.values()].flatMap(({ configuration }) => configuration.list()),
    check: () => {
      for (const watch of watches) watch.check()
    },
  }
}

interface Holder {
  readonly configuration: SslConfiguration
  material: SslMaterial
  generation: number
}

function holderOf(contexts: ReadonlyMap<SslPrefix, Holder>, prefix: SslPrefix): Holder {
  const found = contexts.get(prefix)
  if (found === undefined) throw new Error(`no context ${prefix}`)
  return found
}

function validateServer(
  { prefix, enabled, hasKeyMaterial }: SslConfiguration,
  { settings, secure, version, log }: SslServiceOptions,
): void {
  // What stops a node from 8.0 on, 7.x only calls deprecated.
  const refuse = (message: string) => {
    if (isAtLeast(version, '8.0.0')) throw new StartError(message)
    log('CRITICAL', 'o.e.d.x.c.s.SSLService', message)
  }
  if (enabled) {
    booleanOf(settings, `${prefix}.enabled`, false)
    if (hasKeyMaterial) return
    refuse(
      `invalid SSL configuration for ${prefix} - server ssl configuration requires a key and certificate, but these have not been configured; you must set either [${prefix}.keystore.path], or both [${prefix}.key] and [${prefix}.certificate]`,
    )
  } else if (settingOf(settings, `${prefix}.enabled`) === undefined) {
    const names = [...settings.keys(), ...secure.keys()].filter(name => name.startsWith(prefix))
    if (names.length === 0) return
    refuse(
      `invalid configuration for ${prefix} - [${prefix}.enabled] is not set, but the following settings have been configured in elasticsearch.yml : [${names.toSorted().join(',')}]`,
    )
  }
}

function watchAll(holders: readonly Holder[], log: Log): readonly FileWatch[] {
  const files = new Set(holders.flatMap(({ configuration }) => configuration.files))
  return [...files].map(file => {
    const concerned = holders.filter(({ configuration }) => configuration.files.includes(file))
    return watchFile(file, () => reload(file, concerned, log))
  })
}

/** A context whose files cannot be used stays as it is, and so do those after it. */
function reload(file: string, holders: readonly Holder[], log: Log): void {
  const startMs = performance.now()
  try {
    for (const holder of holders) {
      holder.material = holder.configuration.load()
      holder.generation++
    }
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    log(
      'WARN',
      'o.e.w.FileWatcher',
      `cannot notify file changes listener\norg.elasticsearch.common.ssl.SslConfigException: ${error.message}`,
    )
    return
  }
  const tookMs = Math.round((performance.now() - startMs) * 10) / 10
  const prefixes = holders.map(({ configuration }) => configuration.prefix).join(', ')
  log(
    'INFO',
    'o.e.x.c.s.SSLConfigurationReloader',
    `updated ${holders.length} ssl contexts in ${tookMs}ms for prefix names [${prefixes}] using file [${file}]`,
  )
}
