// Short ways to a node in memory with an agent on it, for tests of the whole pass.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ServiceReport } from '../../shared/contract/report.ts'
import type { ServiceTls } from '../../shared/contract/service.ts'
import { silentLog } from '../../shared/log.ts'
import { parseDesiredFile } from '../../agent/desired-file.ts'
import type { ServiceEntry } from '../../agent/ledger.ts'
import { createReconciler } from '../../agent/reconcile.ts'
import type { PassInput, Reconciler, ReconcilerOptions } from '../../agent/reconciler.ts'
import { prepareState } from '../../agent/standalone.ts'
import { PowerCut } from './memory-files.ts'
import { type MemoryNode, type StockFiles, createMemoryNode } from './memory-node.ts'

const STOCK = join(import.meta.dirname, '..', 'agent', 'services', 'golden')

export const STATE = '/var/lib/tlsfleet/agent'

export const STOCK_FILES: StockFiles = {
  influxdbConf: readFileSync(join(STOCK, 'influxdb-debian-1.6.7.conf'), 'utf8'),
  prometheusYml: readFileSync(join(STOCK, 'prometheus-debian-2.42.yml'), 'utf8'),
  defaultPrometheus: readFileSync(join(STOCK, 'default-prometheus-debian-2.42'), 'utf8'),
}

export interface Wish {
  readonly issuer?: string
  readonly dns?: readonly string[]
  readonly lifetime?: string
  readonly clientAuth?: string
  /** CA certificates of clients. */
  readonly trust?: readonly string[]
  readonly services?: readonly string[]
  /** Option of prometheus. */
  readonly externalUrl?: 'manage' | 'leave'
}

/** The desired state of a node in memory, in the words of a desired file. */
export async function wish({
  issuer = 'self-signed',
  dns = ['n1', 'localhost'],
  lifetime = '90d',
  clientAuth = 'none',
  trust = [],
  services = ['prometheus', 'influxdb'],
  externalUrl = 'manage',
}: Wish = {}): Promise<readonly ServiceTls[]> {
  const entries = services.map(service => ({
    service,
    issuer,
    names: { dns, ip: ['127.0.0.1'] },
    lifetime,
    trust,
    ...(service === 'prometheus' ? { clientAuth, options: { externalUrl } } : {}),
    verify: { stableFor: '300ms', deadline: '30s' },
  }))
  return (await parseDesiredFile(JSON.stringify({ version: 1, services: entries }), 'wish'))
    .services
}

export function newNode(stock: Partial<StockFiles> = {}): MemoryNode {
  return createMemoryNode({ ...STOCK_FILES, ...stock })
}

/** A new agent process on the node: everything it knows comes from disk. */
export async function newAgent(
  node: MemoryNode,
  parts: Partial<ReconcilerOptions> = {},
): Promise<Reconciler> {
  await prepareState(node.host, STATE)
  return createReconciler({
    host: node.host,
    stateDirectory: STATE,
    issuers: { files: {}, localCa: undefined },
    log: silentLog,
    ...parts,
  })
}

/** Resumes what was interrupted, then passes once. */
export async function passOnce(
  node: MemoryNode,
  services: readonly ServiceTls[],
  options: Partial<PassInput> = {},
): Promise<readonly ServiceReport[]> {
  const agent = await newAgent(node)
  await agent.resume(services)
  return agent.pass(inputFor(services, options))
}

export function inputFor(
  services: readonly ServiceTls[],
  options: Partial<PassInput> = {},
): PassInput {
  return {
    services,
    mode: 'enforce',
    signInternal: undefined,
    claim: async () => undefined,
    signal: new AbortController().signal,
    ...options,
  }
}

/** Runs until the power goes; true when it went. */
export async function untilCut(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work()
    return false
  } catch (error) {
    if (error instanceof PowerCut) return true
    throw error
  }
}

export function outcomes(reports: readonly ServiceReport[]): Record<string, string> {
  return Object.fromEntries(reports.map(report => [report.service, report.outcome]))
}

/** Fingerprint of the release in use. */
export function activeFingerprint(
  reports: readonly ServiceReport[],
  service: string,
): string | undefined {
  return reports.find(report => report.service === service)?.served[0]?.fingerprint
}

export type { MemoryNode, Reconciler, ServiceEntry }
