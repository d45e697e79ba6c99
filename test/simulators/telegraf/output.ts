// What the agent of Telegraf knows of an output, and what both InfluxDB outputs have in common.

import { gzipSync } from 'node:zlib'
import type { Dialer, GoAnswer } from '../go/dial.ts'
import { createClient } from './client-tls.ts'
import { durationMs } from './config-file.ts'
import { type Block, ConfigError, textOption } from './plugins.ts'

export type WriteResult =
  | { readonly kind: 'written' }
  /** The plugin says it is done with them, although no server has them. */
  | { readonly kind: 'dropped' }
  | { readonly kind: 'kept'; readonly error: string }

export interface Output {
  readonly plugin: string
  readonly urls: readonly string[]
  /** Throws a ConfigError; a server that does not answer is none. */
  connect(): Promise<void>
  write(lines: readonly string[]): Promise<WriteResult>
  close(): void
}

export type Log = (level: 'I' | 'W' | 'E', message: string) => void

export interface OutputOptions {
  readonly options: Block
  readonly version: string
  readonly log: Log
  readonly random: () => number
}

const TIMEOUT_MS = 5_000
/** That nobody gets ahead of its server by accident. */
const DEFAULT_URL = 'http://localhost:8086'

export interface HttpOutput {
  readonly urls: readonly string[]
  readonly dialer: () => Dialer
  /** Reads the files that TLS needs; a Telegraf from 1.22 on does so while it loads. */
  prepare(): void
  /** POST of lines; rejects as Go does. */
  post(url: string, body: string, headers?: Readonly<Record<string, string>>): Promise<GoAnswer>
  close(): void
}

export function createHttpOutput(
  { options, version }: OutputOptions,
  defaultEncoding: 'gzip' | 'identity',
): HttpOutput {
  const urls = urlsOf(options)
  const timeoutMs = durationMs(options, 'timeout', TIMEOUT_MS) || TIMEOUT_MS
  const encoding = textOption(options, 'content_encoding') || defaultEncoding
  if (!['gzip', 'identity'].includes(encoding)) {
    throw new ConfigError(`invalid content encoding ${JSON.stringify(encoding)}`)
  }
  let dialer: Dialer | undefined
  const prepared = () => {
    dialer ??= createClient(options, version)
    return dialer
  }
  return {
    urls,
    dialer: prepared,
    prepare: () => void prepared(),
    post: (url, body, headers = {}) => {
      const packed = encoding === 'gzip' && body !== ''
      return prepared().request({
        url,
        method: 'POST',
        body: packed ? gzipSync(body) : body,
        headers: {
          'Content-Type': 'text/plain; charset=utf-8',
          'User-Agent': `Telegraf/${version}`,
          ...headersOf(options),
          ...headers,
          ...(packed ? { 'Content-Encoding': 'gzip' } : {}),
        },
        timeoutMs,
      })
    },
    close: () => dialer?.close(),
  }
}

function urlsOf(options: Block): readonly string[] {
  const urls = options['urls'] ?? []
  if (!Array.isArray(urls)) throw new ConfigError('(urls) cannot unmarshal into []string')
  const found = [...urls, ...[options['url'] ?? []].flat()].map(String).filter(url => url !== '')
  for (const url of found) checkScheme(url)
  return found.length > 0 ? found : [DEFAULT_URL]
}

/** udp:// and unix:// are no business of TLS, and not simulated. */
function checkScheme(url: string): void {
  const scheme = /^([a-z0-9+.-]+):/i.exec(url)?.[1] ?? ''
  if (['http', 'https'].includes(scheme)) return
  throw new ConfigError(`unsupported scheme [${JSON.stringify(url)}]: ${JSON.stringify(scheme)}`)
}

function headersOf(options: Block): Readonly<Record<string, string>> {
  const given = options['http_headers']
  if (typeof given !== 'object' || given === null) return {}
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]))
}

/** url.JoinPath and a query. */
export function apiUrl(
  url: string,
  path: string,
  parameters: Readonly<Record<string, string>>,
): string {
  const joined = new URL(url)
  joined.pathname = `${joined.pathname.replace(/\/+$/, '')}/${path}`
  for (const [name, value] of Object.entries(parameters)) joined.searchParams.set(name, value)
  return joined.href
}

export function shuffled<T>(items: readonly T[], random: () => number): readonly T[] {
  return items
    .map(item => ({ item, at: random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
