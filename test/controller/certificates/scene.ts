// A small fleet for the tests of the inventory: a real CA, contents as they are compiled, reports as
// agents send them.

import { randomBytes } from 'node:crypto'
import { assert } from '../../../shared/assert.ts'
import type { Mode } from '../../../shared/contract/desired-state.ts'
import type { Served, ServiceReport } from '../../../shared/contract/report.ts'
import type { ServiceName } from '../../../shared/contract/service.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { generateKey } from '../../../shared/pki/keys.ts'
import { createAuthority, issueLeaf } from '../../../controller/ca/authority.ts'
import { groupClients } from '../../../controller/certificates/clients.ts'
import type { InventoryNode, Surroundings } from '../../../controller/certificates/inventory.ts'
import { summarize } from '../../../controller/certificates/summary.ts'
import { compileFleet } from '../../../controller/fleet/compile.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'
import type { LeafRecord } from '../../../controller/store/store.ts'

export const DAY_MS = 86_400_000
export const NOW_MS = Date.UTC(2026, 10, 20, 12)
const issuing = { nowMs: NOW_MS - 20 * DAY_MS, random: randomBytes }

export const service = await createAuthority({ ...issuing, kind: 'service', fleet: 'demo' })
export const identity = await createAuthority({ ...issuing, kind: 'identity', fleet: 'demo' })
const signer = certificateFacts(service.intermediate.certificatePem)

/** One content for each node of `names`, by a fleet spec. */
export function compiled(spec: string, names: readonly string[]) {
  const parsed = parseFleetSpec(`version: 1\nfleet: demo\n${spec}`)
  assert(parsed.kind === 'ok', `the spec is good: ${JSON.stringify(parsed)}`)
  const nodes = names.map(name => ({
    name,
    labels: { role: name.replace(/-\d+$/, '') },
    names: { dns: [`${name}.test`], ip: [] },
  }))
  const ca = { trust: [service.root.certificatePem], issuedBy: signer.fingerprint }
  const fleet = compileFleet(parsed.spec, nodes, ca)
  assert(fleet.problems.length === 0, JSON.stringify(fleet.problems))
  return new Map(fleet.nodes.map(({ node, content }) => [node, summarize(content)]))
}

export function surroundings(
  fleet: ReturnType<typeof compiled>,
  over: Partial<Surroundings> = {},
): Surroundings {
  return {
    nowMs: NOW_MS,
    serviceCaEndsAtMs: signer.notAfterMs,
    identityCaEndsAtMs: certificateFacts(identity.intermediate.certificatePem).notAfterMs,
    isControllerDown: false,
    serviceIssuers: new Set([signer.fingerprint]),
    groups: groupClients([...fleet].map(([node, summary]) => ({ node, summary }))),
    ...over,
  }
}

const { publicKeyPem } = await generateKey('ec-p256')

/** A leaf of the service CA, issued 20 days ago where nothing else is said. */
export function leaf(
  node: string,
  name: ServiceName,
  { issuedAtMs = NOW_MS - 20 * DAY_MS, lifetimeMs = 30 * DAY_MS } = {},
): LeafRecord {
  const names = { dns: [`${node}.test`], ip: [] }
  const { chainPem, facts } = issueLeaf(
    service.intermediate,
    { profile: 'server', publicKeyPem, lifetimeMs, names },
    { ...issuing, nowMs: issuedAtMs },
  )
  const { fingerprint, serial, notBeforeMs, notAfterMs, publicKeyDigest } = facts
  const dates = { notBeforeMs, notAfterMs, issuedAtMs }
  const record = { fingerprint, serial, node, service: name, publicKeyDigest, ...dates }
  return { ...record, certificateChain: chainPem }
}

/** The certificate of an agent, made three days ago for seven where nothing else is said. */
export function agentIdentity(node: string, issuedAtMs = NOW_MS - 3 * DAY_MS) {
  const request = {
    profile: 'identity',
    nodeId: node,
    publicKeyPem,
    lifetimeMs: 7 * DAY_MS,
  } as const
  const { chainPem } = issueLeaf(identity.intermediate, request, { ...issuing, nowMs: issuedAtMs })
  return { certificateChain: chainPem }
}

export const AS_WANTED = { code: 'served-as-wanted', message: 'serves the certificate in use' }
export const IN_SYNC = { code: 'in-sync', message: 'as wanted, and proven by what is served' }

export function served(record: LeafRecord | undefined, over: Partial<Served> = {}): Served {
  return {
    listener: 'https :9090',
    ok: true,
    reason: AS_WANTED,
    ...(record === undefined
      ? {}
      : {
          fingerprint: record.fingerprint,
          notAfterMs: record.notAfterMs,
          issuer: signer.subject,
          names: { dns: [`${record.node}.test`], ip: [] },
          chain: [
            {
              fingerprint: signer.fingerprint,
              subject: signer.subject,
              issuer: signer.issuer,
              notAfterMs: signer.notAfterMs,
            },
          ],
        }),
    ...over,
  }
}

export function report(
  name: ServiceName,
  listeners: readonly Served[],
  over: Partial<ServiceReport> = {},
): ServiceReport {
  return {
    service: name,
    outcome: 'in-sync',
    reason: IN_SYNC,
    corrective: false,
    activation: 'none',
    activationReason: IN_SYNC,
    changes: [],
    served: [...listeners],
    notices: [],
    activations: 0,
    ...over,
  }
}

/** Enrolled, online, in mode enforce. */
export function inventoryNode(
  node: string,
  fleet: ReturnType<typeof compiled>,
  over: Partial<Omit<InventoryNode, 'presence'>> & {
    readonly presence?: Partial<InventoryNode['presence']>
    readonly mode?: Mode
  } = {},
): InventoryNode {
  const summary = fleet.get(node)
  const { presence, mode = 'enforce', ...rest } = over
  return {
    node,
    presence: { isEnrolled: true, isOnline: true, seenAtMs: NOW_MS, lock: undefined, ...presence },
    desired: summary === undefined ? undefined : { mode, summary },
    report: undefined,
    leaves: [],
    identity: undefined,
    ...rest,
  }
}
