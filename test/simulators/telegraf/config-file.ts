// telegraf.conf and the files of telegraf.d, each parsed by itself and put into one configuration.

import { readdirSync, statSync } from 'node:fs'
import { homedir, hostname } from 'node:os'
import { join } from 'node:path'
import { parse as parseToml, TomlError } from 'smol-toml'
import { parseDurationMs } from '../go/duration.ts'
import { GoError, readGoFile } from '../go/x509-key-pair.ts'
import { isAtLeast } from '../version.ts'
import {
  type Block,
  ConfigError,
  isOutput,
  knownOptions,
  refuseUnused,
  textOption,
} from './plugins.ts'
import { substitute, substituteStrings } from './variables.ts'

/** Text before it is parsed, or strings after that. */
export type EnvHandling = 'strict' | 'non-strict'

export interface AgentSettings {
  readonly intervalMs: number
  readonly roundInterval: boolean
  readonly flushIntervalMs: number
  readonly flushJitterMs: number
  readonly batchSize: number
  readonly bufferLimit: number
  readonly logFile: string
  readonly hostname: string
  readonly omitHostname: boolean
}

export interface OutputBlock {
  readonly plugin: string
  readonly options: Block
}

export interface TelegrafConfig {
  readonly agent: AgentSettings
  readonly tags: Readonly<Record<string, string>>
  readonly inputs: readonly string[]
  readonly outputs: readonly OutputBlock[]
}

export interface LoadOptions {
  readonly files: readonly string[]
  readonly version: string
  readonly env: EnvHandling
  readonly environment: NodeJS.ProcessEnv
}

/** Throws a ConfigError with what follows `E! `. */
export function loadConfig({ files, version, env, environment }: LoadOptions): TelegrafConfig {
  const agent: Record<string, unknown> = {}
  const tags: Record<string, string> = {}
  const inputs: string[] = []
  const outputs: OutputBlock[] = []
  for (const file of files) {
    try {
      const { tables, text } = parseFile(readGoFile(file), env, environment)
      for (const name of ['tags', 'global_tags']) Object.assign(tags, tableOf(tables[name], name))
      Object.assign(agent, tableOf(tables['agent'], 'agent'))
      inputs.push(...readInputs(tables, text, version))
      outputs.push(...readOutputs(tables, text, version))
    } catch (error) {
      throw new ConfigError(inContext(error, file, version), { cause: error })
    }
  }
  try {
    return { agent: agentSettings(agent), tags, inputs, outputs }
  } catch (error) {
    throw new ConfigError(inContext(error, files.at(-1) ?? '', version), { cause: error })
  }
}

function inContext(error: unknown, file: string, version: string): string {
  if (!(error instanceof GoError) && !(error instanceof ConfigError)) throw error
  // The words changed with Go's way of wrapping errors, about here.
  return isAtLeast(version, '1.31.0')
    ? `loading config file ${file} failed: ${error.message}`
    : `[telegraf] Error running agent: Error loading config file ${file}: ${error.message}`
}

interface Parsed {
  readonly tables: Block
  readonly text: string
}

function parseFile(read: string, env: EnvHandling, environment: NodeJS.ProcessEnv): Parsed {
  const raw = read.replace(/^\uFEFF/, '')
  const text = env === 'non-strict' ? substitute(raw, environment) : raw
  try {
    const parsed = parseToml(text)
    const tables = env === 'strict' ? substituteStrings(parsed, environment) : parsed
    return { tables: tableOf(tables, ''), text }
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const said = (error.message.split('\n')[0] ?? '').replace('Invalid TOML document: ', '')
    throw new ConfigError(`error parsing data: line ${error.line}: ${said}`)
  }
}

function readInputs(tables: Block, text: string, version: string): readonly string[] {
  return blocksOf(tables['inputs'] ?? tables['plugins'] ?? {}).map(([plugin, block]) => {
    const { unused } = knownOptions('inputs', plugin, block, version)
    refuseUnused('inputs', plugin, unused, lineOf(text, 'inputs'), version)
    return plugin
  })
}

function readOutputs(tables: Block, text: string, version: string): readonly OutputBlock[] {
  return blocksOf(tables['outputs'] ?? {}).map(([plugin, block]) => {
    if (!isOutput(plugin, version)) {
      const words = isAtLeast(version, '1.31.0') ? 'undefined' : 'Undefined'
      throw new ConfigError(
        `error parsing ${plugin} array, ${words} but requested output: ${plugin}`,
      )
    }
    const { options, unused } = knownOptions('outputs', plugin, block, version)
    refuseUnused('outputs', plugin, unused, lineOf(text, 'outputs'), version)
    return { plugin, options }
  })
}

/** Each block by itself: `[[outputs.influxdb]]` many times, or the older `[outputs.influxdb]` once. */
function blocksOf(value: unknown): readonly (readonly [string, Block])[] {
  return Object.entries(tableOf(value, 'outputs')).flatMap(([plugin, found]) =>
    (Array.isArray(found) ? found : [found]).map(
      block => [plugin, tableOf(block, plugin)] as const,
    ),
  )
}

/** Where the first table of that kind stands: that is the line Telegraf names. */
function lineOf(text: string, kind: string): number {
  const lines = text.split('\n')
  return lines.findIndex(line => new RegExp(`^\\s*\\[+\\s*"?${kind}\\b`).test(line)) + 1
}

function agentSettings(agent: Block): AgentSettings {
  const flag = (key: string, fallback: boolean) => {
    const value = agent[key] ?? fallback
    if (typeof value !== 'boolean') throw new ConfigError(mistyped(key, 'bool'))
    return value
  }
  const text = (key: string) => {
    const value = agent[key] ?? ''
    if (typeof value !== 'string') throw new ConfigError(mistyped(key, 'string'))
    return value
  }
  const name = text('hostname')
  return {
    intervalMs: durationMs(agent, 'interval', 10_000),
    roundInterval: flag('round_interval', true),
    flushIntervalMs: durationMs(agent, 'flush_interval', 10_000),
    flushJitterMs: durationMs(agent, 'flush_jitter', 0),
    batchSize: count(agent, 'metric_batch_size', 1_000),
    bufferLimit: count(agent, 'metric_buffer_limit', 10_000),
    logFile: text('logfile'),
    hostname: name === '' ? hostname() : name,
    omitHostname: flag('omit_hostname', false),
  }
}

/** A number counts seconds. */
export function durationMs(block: Block, key: string, fallbackMs: number): number {
  const value = block[key]
  if (value === undefined) return fallbackMs
  const ms = typeof value === 'number' ? value * 1_000 : parseDurationMs(textOption(block, key))
  if (ms === undefined) throw new ConfigError(`time: invalid duration ${JSON.stringify(value)}`)
  return ms
}

export function count(block: Block, key: string, fallback: number): number {
  const value = block[key]
  if (value === undefined || value === 0) return fallback
  if (typeof value !== 'number') throw new ConfigError(mistyped(key, 'int'))
  return value
}

function mistyped(key: string, type: string): string {
  return `error parsing [agent]: (${key}) cannot unmarshal into ${type}`
}

function tableOf(value: unknown, name: string): Block {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(
      `invalid configuration, error parsing field ${JSON.stringify(name)} as table`,
    )
  }
  return { ...value }
}

/** Those given, or else the usual places; in a directory every `*.conf`, sub-directories too. */
export function findFiles(
  files: readonly string[],
  directories: readonly string[],
  environment: NodeJS.ProcessEnv,
): readonly string[] {
  const found = [...files, ...directories.flatMap(walk)]
  if (found.length > 0) return found
  const own = [
    environment['TELEGRAF_CONFIG_PATH'] ?? '',
    join(homedir(), '.telegraf/telegraf.conf'),
  ]
  const first = own.find(exists)
  if (first !== undefined) return [first]
  const etc = '/etc/telegraf'
  const usual = [join(etc, 'telegraf.conf')].filter(exists)
  const more = exists(join(etc, 'telegraf.d')) ? walk(join(etc, 'telegraf.d')) : []
  if (usual.length + more.length > 0) return [...usual, ...more]
  throw new ConfigError('no config file specified, and could not find one')
}

function walk(directory: string): readonly string[] {
  try {
    return readdirSync(directory, { withFileTypes: true })
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap(entry => {
        const path = join(directory, entry.name)
        if (entry.isDirectory()) return entry.name.startsWith('..') ? [] : walk(path)
        return entry.name.length > 5 && entry.name.endsWith('.conf') ? [path] : []
      })
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ConfigError(`reading config directory failed: ${why}`, { cause: error })
  }
}

function exists(path: string): boolean {
  return path !== '' && statSync(path, { throwIfNoEntry: false }) !== undefined
}
