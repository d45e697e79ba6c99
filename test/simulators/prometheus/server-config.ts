// prometheus.yml, as much of it as scraping static targets needs.

import { parseDocument } from 'yaml'
import { GoError, readGoFile } from '../go/x509-key-pair.ts'

export interface ScrapeJob {
  readonly name: string
  readonly scheme: string
  readonly metricsPath: string
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly targets: readonly string[]
  readonly tls: {
    readonly caFile?: string
    readonly certFile?: string
    readonly keyFile?: string
    readonly serverName?: string
    readonly insecureSkipVerify: boolean
  }
}

const TOP = [
  'global',
  'alerting',
  'rule_files',
  'scrape_config_files',
  'scrape_configs',
  'storage',
  'tracing',
]
const MORE_TOP = ['remote_write', 'remote_read', 'runtime', 'otlp']

export function readServerConfig(file: string): readonly ScrapeJob[] {
  const document = parseDocument(readGoFile(file))
  const problem = document.errors[0]
  if (problem !== undefined) {
    throw new GoError(
      `parsing YAML file ${file}: yaml: line ${problem.linePos?.[0].line}: ${problem.code}`,
    )
  }
  const config = object(document.toJS())
  for (const key of Object.keys(config)) {
    if (![...TOP, ...MORE_TOP].includes(key)) {
      const errors = `unmarshal errors:\n  line 1: field ${key} not found in type config.plain`
      throw new GoError(`parsing YAML file ${file}: yaml: ${errors}`)
    }
  }
  const global = object(config['global'])
  return list(config['scrape_configs']).map(item => {
    const job = object(item)
    const tls = object(job['tls_config'])
    return {
      name: text(job['job_name'], ''),
      scheme: text(job['scheme'], 'http'),
      metricsPath: text(job['metrics_path'], '/metrics'),
      intervalMs: durationMs(text(job['scrape_interval'], text(global['scrape_interval'], '1m'))),
      timeoutMs: durationMs(text(job['scrape_timeout'], text(global['scrape_timeout'], '10s'))),
      targets: list(job['static_configs']).flatMap(group =>
        list(object(group)['targets']).map(String),
      ),
      tls: {
        ...optional('caFile', tls['ca_file']),
        ...optional('certFile', tls['cert_file']),
        ...optional('keyFile', tls['key_file']),
        ...optional('serverName', tls['server_name']),
        insecureSkipVerify: tls['insecure_skip_verify'] === true,
      },
    }
  })
}

function optional<K extends string>(key: K, value: unknown): Partial<Record<K, string>> {
  const entry: Partial<Record<K, string>> = {}
  if (typeof value === 'string') entry[key] = value
  return entry
}

function object(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function text(value: unknown, otherwise: string): string {
  return typeof value === 'string' ? value : otherwise
}

function durationMs(value: string): number {
  let sumMs = 0
  for (const [, amount = '0', unit = ''] of value.matchAll(/(\d+)(ms|s|m|h|d)/g)) {
    sumMs += Number(amount) * (UNITS_MS[unit] ?? 1000)
  }
  return sumMs
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}
