// Nodes in memory with a product that has everything and one that is only a client, and agents that
// know their drivers.

import type { Reconciler, ReconcilerOptions } from '../../agent/reconciler.ts'
import { REGISTRY, type Registry } from '../../agent/services/registry.ts'
import type { ServiceReport } from '../../shared/contract/report.ts'
import type { ServiceTls } from '../../shared/contract/service.ts'
import { createLogger } from '../../shared/log.ts'
import { parseDesiredFile } from '../../agent/desired-file.ts'
import { CLIENT_UNIT, clientDriver, clientUnit, layClient } from './client-product.ts'
import { createMemoryCa } from './fake-controller.ts'
import { STATE, STOCK_FILES, inputFor, newAgent } from './memory-fleet.ts'
import { type MemoryNode, createMemoryNode } from './memory-node.ts'
import {
  BOOTSTRAP,
  MATERIAL,
  STORE_UNIT,
  layStore,
  runStoreTools,
  storeDriver,
  storeUnit,
} from './store-product.ts'

export const GUESTS: Registry = {
  unitsOf: service =>
    service === 'elasticsearch'
      ? storeDriver.units
      : service === 'telegraf'
        ? clientDriver.units
        : REGISTRY.unitsOf(service),
  inputs: (tls, seen, context) =>
    tls.service === 'elasticsearch'
      ? storeDriver.inputs(seen, context)
      : tls.service === 'telegraf'
        ? clientDriver.inputs(seen, context)
        : REGISTRY.inputs(tls, seen, context),
  compile(tls, seen, context) {
    if (tls.service === 'elasticsearch') return storeDriver.compile(tls, seen, context)
    if (tls.service === 'telegraf') return clientDriver.compile(tls, seen, context)
    return REGISTRY.compile(tls, seen, context)
  },
}

/** `secrets`: more entries in the product's store. */
export function newGuestNode(secrets: Readonly<Record<string, string>> = {}): MemoryNode {
  const node = createMemoryNode(STOCK_FILES, {
    units: { [STORE_UNIT]: storeUnit, [CLIENT_UNIT]: clientUnit },
    run: runStoreTools,
  })
  layStore(node.files, secrets)
  layClient(node.files)
  for (const name of ['elasticsearch', 'telegraf']) node.start(name)
  node.advance(60_000)
  return node
}

export interface GuestWish {
  readonly store?: 'on' | 'off'
  readonly client?: 'on' | 'off'
  readonly names?: readonly string[]
  readonly upstreamTrust?: readonly string[]
}

/** CA of the database that the client writes to. */
export const UPSTREAM_CA = createMemoryCa(Date.UTC(2026, 10, 22, 12)).certificatePem

/** A wish for the store product, the client or both. */
export async function guestWish({
  store,
  client,
  names = ['n1', 'localhost'],
  upstreamTrust = [UPSTREAM_CA],
}: GuestWish): Promise<readonly ServiceTls[]> {
  const verify = { stableFor: '300ms', deadline: '30s' }
  const services = [
    ...(store === undefined
      ? []
      : [
          {
            service: 'elasticsearch',
            tls: store,
            issuer: 'self-signed',
            names: { dns: names, ip: ['127.0.0.1'] },
            verify,
          },
        ]),
    ...(client === undefined
      ? []
      : [
          {
            service: 'telegraf',
            verify,
            upstreams: [{ service: 'influxdb', names: { dns: ['db'] }, port: 8086, tls: client }],
            upstreamTrust,
          },
        ]),
  ]
  return (await parseDesiredFile(JSON.stringify({ version: 1, services }), 'wish')).services
}

export async function guestAgent(
  node: MemoryNode,
  parts: Partial<ReconcilerOptions> = {},
): Promise<Reconciler> {
  return newAgent(node, { registry: GUESTS, log: createLogger(CAPTURED), ...parts })
}

/** A new process: resumes what was interrupted, then passes once. What it says is searched for secrets. */
export async function guestPass(
  node: MemoryNode,
  services: readonly ServiceTls[],
  parts: Partial<ReconcilerOptions> = {},
): Promise<readonly ServiceReport[]> {
  const agent = await guestAgent(node, parts)
  try {
    await agent.resume(services)
    const reports = await agent.pass(inputFor(services))
    said.push(JSON.stringify(reports))
    return reports
  } finally {
    for (const name of ['journal', 'ledger'])
      said.push(node.files.text(`${STATE}/${name}.json`) ?? '')
    checkSecrets(node)
  }
}

let said: string[] = []
const CAPTURED = {
  name: 'agent',
  level: 'debug',
  destination: { write: (line: string) => void said.push(line) },
} as const

// Reports, log lines, journal and ledger: none of them may hold what only files of root may.
function checkSecrets(node: MemoryNode): void {
  const password = node.files.text(`${MATERIAL}/store-password`)?.trim()
  const secrets = [BOOTSTRAP, 'hunter2-in-clear', ...(password === undefined ? [] : [password])]
  for (const text of said)
    for (const secret of secrets)
      if (text.includes(secret)) throw new Error(`a secret was said: ${text}`)
  said = []
}

/** Values of a transaction that lie about after it. */
export function leftovers(node: MemoryNode): readonly string[] {
  return [...node.tree.keys()].filter(
    path =>
      path.includes('.tlsfleet-') ||
      path.startsWith(`${STATE}/secrets`) ||
      path.startsWith(`${STATE}/previous`) ||
      path === `${STATE}/journal.json`,
  )
}
