// Modules: their files, and what they collect. `elasticsearch` and `kibana` really ask their hosts; of
// the others, an event says only that they ran.

import { globSync, readFileSync, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { type Connection, createConnection, makeUrl } from './connection.ts'
import { credentialsOf } from './output.ts'
import { checkPermissions } from './permissions.ts'
import { durationAt, openTls, type TlsOptions, tlsSettingsOf } from './tls.ts'
import {
  BeatError,
  isList,
  isOn,
  isSettings,
  parseConfig,
  type Settings,
  textAt,
  textsAt,
  type Value,
} from './ucfg.ts'

export interface Module {
  readonly name: string
  readonly metricsets: readonly string[]
  readonly periodMs: number
  /** Undefined: it asks nobody. */
  readonly connections: readonly Connection[]
  /** What it asks for. */
  readonly path: string
}

const ASKING: Readonly<Record<string, { readonly port: number; readonly path: string }>> = {
  elasticsearch: { port: 9200, path: '/' },
  kibana: { port: 5601, path: '/api/status' },
}

/** Opens the CA files of the module. Throws where the section is not in order. */
export function createModule(settings: Settings, options: TlsOptions): Module | undefined {
  if (!isOn(settings, 'enabled', true)) return undefined
  const name = textAt(settings, 'module')
  if (name === undefined) throw new BeatError("missing required field accessing 'module'")
  const asking = ASKING[name]
  const given = textsAt(settings, 'metricsets')
  const hosts = textsAt(settings, 'hosts')
  const tls = openTls(tlsSettingsOf(settings, options))
  const connections =
    asking === undefined
      ? []
      : (hosts.length === 0 ? ['localhost'] : hosts).map(host =>
          createConnection(
            {
              url: makeUrl(host, 'http', '', asking.port),
              credentials: credentialsOf(settings),
              timeoutMs: durationAt(settings, 'timeout', 10_000),
            },
            tls,
          ),
        )
  return {
    name,
    metricsets: given.length > 0 ? given : [name === 'system' ? 'cpu' : 'stats'],
    periodMs: durationAt(settings, 'period', 10_000),
    connections,
    path: asking?.path ?? '',
  }
}

/** One body for each metricset, or for each host that is asked. */
export async function collect(
  module: Module,
): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const { name, metricsets, connections, path, periodMs } = module
  const common = (metricset: string) => ({
    '@timestamp': new Date().toISOString(),
    event: { module: name, dataset: `${name}.${metricset}` },
    metricset: { name: metricset, period: periodMs },
  })
  if (connections.length === 0) return metricsets.map(common)
  return await Promise.all(
    connections.map(async connection => {
      const [metricset = ''] = metricsets
      const service = { address: connection.url, type: name }
      try {
        await connection.request('GET', path)
        return { ...common(metricset), service }
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        return { ...common(metricset), service, error: { message } }
      }
    }),
  )
}

export interface ModuleFile {
  readonly path: string
  readonly mtimeMs: number
  readonly size: number
}

/** Files that `metricbeat.config.modules.path` finds now. */
export function moduleFiles(glob: string, configDirectory: string): readonly ModuleFile[] {
  const pattern = isAbsolute(glob) ? glob : join(configDirectory, glob)
  return globSync(pattern)
    .toSorted()
    .map(path => {
      const { mtimeMs, size } = statSync(path)
      return { path, mtimeMs, size }
    })
}

/** The sections of one file. Throws, too, for its mode and owner. */
export function readModuleFile(
  path: string,
  {
    strict,
    expand,
  }: { readonly strict: boolean; readonly expand: (value: Value, source: string) => Value },
): readonly Settings[] {
  try {
    if (strict) checkPermissions(path)
    const parsed = expand(parseConfig(readFileSync(path, 'utf8'), path), path)
    const sections = isList(parsed) ? parsed : [parsed]
    return sections.filter(isSettings).filter(section => Object.keys(section).length > 0)
  } catch (error) {
    if (error instanceof BeatError) throw new BeatError(`invalid config: ${error.message}`)
    throw error
  }
}
