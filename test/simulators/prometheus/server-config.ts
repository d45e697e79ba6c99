// prometheus.yml, as much of it as scraping static targets needs.

import { isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
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
  'remote_write',
  'remote_read',
  'runtime',
  'otlp',
]
const JOB = [
  'job_name',
  'scheme',
  'metrics_path',
  'scrape_interval',
  'scrape_timeout',
  'tls_config',
  'basic_auth',
  'authorization',
  'oauth2',
  'params',
  'honor_labels',
  'honor_timestamps',
  'proxy_url',
  'follow_redirects',
  'enable_http2',
  'relabel_configs',
  'metric_relabel_configs',
  'body_size_limit',
  'sample_limit',
  'label_limit',
  'target_limit',
  'scrape_protocols',
]

export function readServerConfig(file: string): readonly ScrapeJob[] {
  const lines = new LineCounter()
  const document = parseDocument(readGoFile(file), { lineCounter: lines })
  const problem = document.errors[0]
  if (problem !== undefined) {
    const message = problem.message.split(/ at line|\n/)[0]
    throw new GoError(
      `parsing YAML file ${file}: yaml: line ${problem.linePos?.[0].line}: ${message}`,
    )
  }
  const unknown = [
    ...unknownKeys(document.contents, TOP, 'config.plain', lines),
    ...jobNodes(document.contents).flatMap(job =>
      unknownKeys(job, JOB, 'config.ScrapeConfig', lines),
    ),
  ]
  if (unknown.length > 0) {
    throw new GoError(`parsing YAML file ${file}: yaml: unmarshal errors:\n${unknown.join('\n')}`)
  }
  const config = object(document.toJS())
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

function jobNodes(contents: unknown): readonly unknown[] {
  const jobs = isMap(contents) ? contents.get('scrape_configs', true) : undefined
  return isSeq(jobs) ? jobs.items : []
}

function unknownKeys(
  node: unknown,
  known: readonly string[],
  type: string,
  lines: LineCounter,
): readonly string[] {
  if (!isMap(node)) return []
  const keys = node.items.map(item => item.key).filter(key => isScalar(key))
  return keys
    .filter(
      key =>
        !known.includes(String(key.value)) &&
        !/_sd_configs$|^static_configs$/.test(String(key.value)),
    )
    .map(
      key =>
        `  line ${lines.linePos(key.range?.[0] ?? 0).line}: field ${String(key.value)} not found in type ${type}`,
    )
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
