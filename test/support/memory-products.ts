// The two products as a node in memory has them: what they load, when, and what they serve. Rules
// from the facts: influxd reads its pair once, at the start; prometheus decides about TLS at the
// start and opens the pair of its web configuration for every connection.

import { X509Certificate, createPrivateKey } from 'node:crypto'
import { parse as parseToml } from 'smol-toml'
import { parse as parseYaml } from 'yaml'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import type { MemoryFiles } from './memory-files.ts'
import { canRead } from './memory-files.ts'

export interface Account {
  readonly uid: number
  readonly gid: number
}

/** Chain as PEM, leaf first; `plaintext`; or nothing that answers. */
export type Serving =
  | { readonly kind: 'tls'; readonly chainPem: string }
  | { readonly kind: 'plaintext' }
  | { readonly kind: 'dead' }

export interface Running {
  /** What a new connection gets. */
  serve(): Serving
}

export interface Product {
  readonly port: number
  readonly user: Account
  readonly version: string
  /** The file with its settings, read once at the start. */
  readonly settings: string
  /** Starts with the files as they are and with `Environment=` of its unit; undefined: it exits. */
  start(files: MemoryFiles, environment: Readonly<Record<string, string>>): Running | undefined
}

export const influxdbProduct: Product = {
  port: 8086,
  user: { uid: 101, gid: 101 },
  settings: '/etc/influxdb/influxdb.conf',
  version: 'InfluxDB v1.6.7~rc0 (git: unknown unknown)',
  start(files) {
    const http = tableOf(files.text('/etc/influxdb/influxdb.conf') ?? '', 'http')
    if (http === undefined) return undefined
    if (http['https-enabled'] !== true) return { serve: () => ({ kind: 'plaintext' }) }
    const certificate = textOf(http['https-certificate'], '/etc/ssl/influxdb.pem')
    const key = textOf(http['https-private-key'], '')
    const pair = loadPair(files, certificate, key === '' ? certificate : key, influxdbProduct.user)
    return pair === undefined ? undefined : { serve: () => ({ kind: 'tls', chainPem: pair }) }
  },
}

export const prometheusProduct: Product = {
  port: 9090,
  user: { uid: 102, gid: 102 },
  settings: '/etc/default/prometheus',
  version: 'prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0)',
  start(files) {
    const flag = /--web\.config\.file=([^\s"]+)/.exec(
      files.text('/etc/default/prometheus') ?? '',
    )?.[1]
    if (flag === undefined) return { serve: () => ({ kind: 'plaintext' }) }
    const atStart = webPair(files, flag)
    if (atStart.kind === 'broken') return undefined
    if (atStart.kind === 'none') return { serve: () => ({ kind: 'plaintext' }) }
    return {
      serve() {
        const now = webPair(files, flag)
        return now.kind === 'pair' ? { kind: 'tls', chainPem: now.chainPem } : { kind: 'dead' }
      },
    }
  },
}

type WebPair =
  | { readonly kind: 'pair'; readonly chainPem: string }
  | { readonly kind: 'broken' }
  | { readonly kind: 'none' }

function webPair(files: MemoryFiles, path: string): WebPair {
  const text = files.text(path)
  if (text === undefined || !canRead(files.tree, path, prometheusProduct.user))
    return { kind: 'broken' }
  let tls: unknown
  try {
    const document: unknown = parseYaml(text)
    tls = isRecord(document) ? document['tls_server_config'] : undefined
  } catch {
    return { kind: 'broken' }
  }
  if (!isRecord(tls)) return { kind: 'none' }
  const pair = loadPair(
    files,
    textOf(tls['cert_file'], ''),
    textOf(tls['key_file'], ''),
    prometheusProduct.user,
  )
  return pair === undefined ? { kind: 'broken' } : { kind: 'pair', chainPem: pair }
}

/** As Go does: both files readable, the first certificate belongs to the key; nothing else is looked at. */
function loadPair(
  files: MemoryFiles,
  certificate: string,
  key: string,
  user: Account,
): string | undefined {
  const chainPem = files.text(certificate)
  const keyPem = files.text(key)
  if (chainPem === undefined || keyPem === undefined) return undefined
  if (!canRead(files.tree, certificate, user) || !canRead(files.tree, key, user)) return undefined
  try {
    const leaf = splitPemCertificates(chainPem)[0]
    if (leaf === undefined || !new X509Certificate(leaf).checkPrivateKey(createPrivateKey(keyPem)))
      return undefined
    return chainPem
  } catch {
    return undefined
  }
}

function tableOf(text: string, table: string): Record<string, unknown> | undefined {
  try {
    const document = parseToml(text.replace(/^\uFEFF/, ''))
    const found = Object.entries(document).find(([name]) => name.toLowerCase() === table)?.[1]
    if (!isRecord(found)) return {}
    return Object.fromEntries(
      Object.entries(found).map(([name, value]) => [name.toLowerCase(), value]),
    )
  } catch {
    return undefined
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function textOf(value: unknown, fallback: string): string {
  return typeof value === 'string' ? value : fallback
}
