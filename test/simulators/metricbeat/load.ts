// From the command line to a configuration that can be used: files and their permissions, keystore,
// variables, the one output.

import { readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import type { Flags } from './flags.ts'
import { readKeystore, type Secrets } from './keystore.ts'
import {
  createModule,
  type Module,
  type ModuleFile,
  moduleFiles,
  readModuleFile,
} from './modules.ts'
import { outputSettingsOf, outputsOf, type OutputSettings } from './output.ts'
import { checkPermissions } from './permissions.ts'
import { durationAt, openTls, type Tls, type TlsOptions } from './tls.ts'
import {
  BeatError,
  isList,
  isOn,
  isSettings,
  mergeSettings,
  parseConfig,
  type Settings,
  settingsAt,
  textAt,
  type Value,
  valueAt,
} from './ucfg.ts'
import { expandVariables } from './variables.ts'

export interface Beat {
  readonly flags: Flags
  readonly options: TlsOptions
  /** Variables filled in as far as they are known: what is missing fails where it is needed. */
  readonly settings: Settings
  readonly keystorePath: string
  readonly secrets: Secrets
  /** Throws where a variable is missing. */
  readonly expand: (value: Value, source: string, path?: string) => Value
}

/** What every sub-command does first. Throws what follows `Exiting: `. */
export function initialize(flags: Flags, options: TlsOptions): Beat {
  const raw = loading('error loading config file', () => readFiles(flags))
  const { paths } = flags
  const root = mergeSettings(raw, {
    path: { home: paths.home, config: paths.config, data: paths.data, logs: paths.logs },
  })
  const path = textAt(raw, 'keystore.path') ?? join(paths.data, 'metricbeat.keystore')
  const keystorePath = isAbsolute(path) ? path : join(paths.data, path)
  const secrets = loading('could not initialize the keystore', () =>
    readKeystore(keystorePath, flags.strictPermissions),
  )
  const [source = ''] = flags.configFiles
  const sources = { root, keystore: secrets, env: options.env }
  const expand = (value: Value, file: string, at?: string) =>
    expandVariables(value, { ...sources, source: file }, at)
  const settings = expandVariables(root, { ...sources, source, lenient: true })
  return {
    flags,
    options,
    settings: isSettings(settings) ? settings : {},
    keystorePath,
    secrets,
    expand,
  }
}

function readFiles({ configFiles, strictPermissions, overrides }: Flags): Settings {
  let settings: Settings = {}
  for (const file of configFiles) {
    if (strictPermissions) checkPermissions(file)
    const parsed = parseConfig(readFileSync(file, 'utf8'), file)
    if (!isSettings(parsed))
      throw new BeatError(`required 'object', but found 'array' (source:'${file}')`)
    settings = mergeSettings(settings, parsed)
  }
  return mergeSettings(settings, overrides)
}

export function loading<T>(what: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof BeatError) throw new BeatError(`${what}: ${error.message}`)
    if (error instanceof Error && 'code' in error) throw new BeatError(`${what}: ${error.message}`)
    throw error
  }
}

export interface Output {
  readonly settings: OutputSettings
  readonly tls: Tls
}

/** Opens the files of output.elasticsearch.ssl. */
export function openOutput(
  { settings, options, flags, expand }: Beat,
  log: (message: string) => void,
): Output {
  const names = outputsOf(settings)
  const [source = ''] = flags.configFiles
  if (names.length > 1) {
    const why = `more than one namespace configured accessing 'output' (source:'${source}')`
    throw new BeatError(`error unpacking config data: ${why}`)
  }
  if (names.length === 0) {
    throw new BeatError('No outputs are defined. Please define one under the output section.')
  }
  if (names[0] !== 'elasticsearch') throw new BeatError(`the simulator has no output ${names[0]}`)
  return loading('error initializing publisher', () => {
    const path = 'output.elasticsearch'
    const section = expand(settingsAt(settings, path), source, path)
    const output = outputSettingsOf(isSettings(section) ? section : {}, options)
    return { settings: output, tls: openTls(output.tls, log) }
  })
}

export interface ModuleReload {
  readonly glob: string
  readonly everyMs: number
}

export interface LoadedModules {
  readonly modules: readonly Module[]
  readonly files: readonly ModuleFile[]
  readonly reload: ModuleReload | undefined
}

/** All of them: what cannot be used stops the start. */
export function loadModules(beat: Beat): LoadedModules {
  const { settings } = beat
  const glob = textAt(settings, 'metricbeat.config.modules.path')
  const inline = valueAt(settings, 'metricbeat.modules')
  const sections = inline === undefined ? [] : isList(inline) ? inline : [inline]
  if (glob === undefined && sections.length === 0) {
    throw new BeatError('no modules or autodiscover providers configured')
  }
  const [source = ''] = beat.flags.configFiles
  const own = sections
    .map(section => beat.expand(section, source, 'metricbeat.modules'))
    .filter(isSettings)
    .map(section => createModule(section, beat.options))
  const files = glob === undefined ? [] : moduleFiles(glob, beat.flags.paths.config)
  const modules = loading('loading configs: 1 error', () => [
    ...own,
    ...files.flatMap(({ path }) => modulesOf(beat, path)),
  ])
  const reloads = isOn(settings, 'metricbeat.config.modules.reload.enabled', false)
  const everyMs = durationAt(settings, 'metricbeat.config.modules.reload.period', 10_000)
  return {
    modules: modules.filter(module => module !== undefined),
    files,
    reload: reloads && glob !== undefined ? { glob, everyMs } : undefined,
  }
}

/** Of one file. */
export function modulesOf(beat: Beat, path: string): readonly Module[] {
  return readModuleFile(path, { strict: beat.flags.strictPermissions, expand: beat.expand })
    .map(section => createModule(section, beat.options))
    .filter(module => module !== undefined)
}
