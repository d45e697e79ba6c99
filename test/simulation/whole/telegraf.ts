// A client of the fleet: Telegraf, which reads its addresses and the CA certificates that it trusts when
// it starts, and connects to InfluxDB on other nodes from then on.

import { parse as parseToml } from 'smol-toml'
import { type MemoryFiles, canRead } from '../../support/memory-files.ts'
import type { Product } from '../../support/memory-products.ts'
import type { UnitOf } from '../../support/memory-node.ts'

export const TELEGRAF_CONF = '/etc/telegraf/telegraf.conf'
const USER = { uid: 103, gid: 103 }

/** What the running process has loaded. */
export interface Client {
  readonly urls: readonly string[]
  /** PEM; empty: the roots of the platform, which know nobody here. */
  readonly trust: string
}

export const telegrafProduct: Product = {
  // Of no listener.
  port: 0,
  user: USER,
  settings: TELEGRAF_CONF,
  version: 'Telegraf 1.21.4 (git: HEAD 9fd0bd1e)',
  start: files =>
    loadClient(files) === undefined ? undefined : { serve: () => ({ kind: 'dead' }) },
}

export const telegrafUnit: UnitOf = {
  product: telegrafProduct,
  program: '/usr/bin/telegraf',
  argv: ['--config', TELEGRAF_CONF],
  user: 'telegraf',
  environmentFile: '/etc/default/telegraf',
}

/** As a package and an operator left it: it writes to these nodes, without TLS. */
export function layTelegraf(files: MemoryFiles, targets: readonly string[]): void {
  const urls = targets.map(name => `"http://${name}:8086"`).join(', ')
  files.put('/usr/bin/telegraf', 'telegraf', { mode: 0o755 })
  files.put(TELEGRAF_CONF, `[agent]\n\n[[outputs.influxdb]]\n  urls = [${urls}]\n`)
}

/** Undefined: it would not start, because it cannot read what it is told to. */
export function loadClient(files: MemoryFiles): Client | undefined {
  const output = outputIn(files.text(TELEGRAF_CONF) ?? '')
  const urls = output?.['urls']
  if (output === undefined || !Array.isArray(urls)) return undefined
  const path = output['tls_ca']
  if (typeof path !== 'string') return { urls: urls.map(String), trust: '' }
  const trust = files.text(path)
  if (trust === undefined || !canRead(files.tree, path, USER)) return undefined
  return { urls: urls.map(String), trust }
}

function outputIn(text: string): Record<string, unknown> | undefined {
  try {
    const { outputs } = parseToml(text)
    const list = isRecord(outputs) ? outputs['influxdb'] : undefined
    const first: unknown = Array.isArray(list) ? list[0] : undefined
    return isRecord(first) ? first : undefined
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
