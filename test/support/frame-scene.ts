// A small fleet that anything may happen to: nodes come, go, change their labels and documents, tell of
// their clusters, and the fleet spec changes. For what a controller keeps of it.

import fc from 'fast-check'
import type { Selector } from '../../controller/fleet/selector.ts'
import type { NodeRecord, Transaction } from '../../controller/store/store.ts'
import { unreachable } from '../../shared/assert.ts'
import type { ClusterView } from '../../shared/contract/cluster-view.ts'
import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { sampleContent, sampleReport, T0 } from '../contract/samples.ts'

export const NAMES = Array.from({ length: 10 }, (_, index) => `n${index}`)
const ROLES = ['meta', 'data', 'web']
export const GROUPS = ['g-role', 'g-zone', 'g-all', 'influxdb-meta', 'influxdb-meta-others']

const spec = (...lines: readonly string[]) => ['version: 1', 'fleet: demo', ...lines, ''].join('\n')
const service = (name: string, nodes: string) => `  - { service: ${name}, nodes: ${nodes} }`
export const SPECS = [
  spec('services: []'),
  spec(
    'services:',
    service('influxdb-meta', '{ labels: { role: meta } }'),
    service('influxdb', '{ labels: { role: data } }'),
    'groups:',
    '  - { name: g-role, kind: pool, percent: 50, nodes: { labels: { role: [data, web] } } }',
    '  - { name: g-zone, kind: raft, nodes: { labels: { zone: a } } }',
    '  - { name: g-all, kind: replicated, replication: 2, nodes: all }',
  ),
  spec(
    'services:',
    service('influxdb-meta', '{ names: [n0, n1, n2, n9] }'),
    service('elasticsearch', '{ labels: { zone: b } }'),
    'groups:',
    '  - { name: influxdb-meta, kind: pool, percent: 30, nodes: { labels: { role: web } } }',
  ),
  spec('services:', service('influxdb', 'all')),
  spec(
    'services:',
    service('influxdb-meta', 'all'),
    'groups:',
    '  - { name: influxdb-meta, kind: pool, percent: 30, nodes: { names: [n1, n2] } }',
    '  - { name: influxdb-meta-others, kind: raft, nodes: { labels: { role: data } } }',
  ),
]
const SCOPES: readonly Selector[] = ['all', { labels: { role: ['web'] } }, { names: ['n1', 'n7'] }]
// As clusters name their members: by name, address, first label, or another name of theirs.
const MEMBERS = [
  'n0:8089',
  'n1.test:8089',
  'n2.elsewhere:8089',
  '10.0.0.3:8089',
  'shared.test',
  'x',
]

export type Step =
  | { readonly kind: 'add' | 'relabel'; readonly node: string; readonly variant: number }
  | { readonly kind: 'remove' | 'enrol' | 'revoke' | 'lease'; readonly node: string }
  | { readonly kind: 'document'; readonly node: string; readonly back: number }
  | { readonly kind: 'report'; readonly node: string; readonly variant: number }
  | { readonly kind: 'revise'; readonly variant: number }
  | { readonly kind: 'freeze'; readonly variant: number }
  | { readonly kind: 'look' }

const node = fc.constantFrom(...NAMES)
const variant = fc.nat({ max: 23 })
export const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constantFrom('add' as const, 'relabel' as const),
      node,
      variant,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constantFrom('remove', 'enrol', 'revoke', 'lease'), node }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('document'), node, back: fc.nat({ max: 6 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('report'), node, variant }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('revise', 'freeze'), variant }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('look') }) },
)

/** What has to go up. */
export interface Counters {
  generation: number
  sequence: number
}

/** Documents may be of any of these specs; the last one is in force. */
export async function begin(tx: Transaction, last: number): Promise<void> {
  const counters = { generation: 1, sequence: 1 }
  for (const variant of [...SPECS.keys(), last])
    await happen(tx, { kind: 'revise', variant }, counters)
  for (const [index, node] of NAMES.slice(0, 6).entries())
    await happen(tx, { kind: 'add', node, variant: index }, counters)
}

/** What stands in nobody's way is done; the rest is left out, as an operator would be told. */
export async function happen(
  tx: Transaction,
  step: Exclude<Step, { kind: 'look' }>,
  counters: Counters,
): Promise<void> {
  if ('node' in step && step.kind !== 'add' && (await tx.nodes.get(step.node)) === undefined) return
  switch (step.kind) {
    case 'add':
      if ((await tx.nodes.get(step.node)) === undefined) await tx.nodes.insert(recordOf(step))
      return
    case 'relabel':
      return tx.nodes.change(step.node, recordOf(step))
    case 'remove':
      await tx.nodes.remove(step.node, T0)
      return
    case 'enrol':
      return tx.nodes.setEnrolled(step.node, T0)
    case 'revoke':
      await tx.identities.deny(step.node, { cause: 'revoked', atMs: T0 })
      return tx.nodes.lock(step.node, { reason: WHY, atMs: T0 })
    case 'lease':
      for (const group of GROUPS.slice(0, 2)) await tx.leases.take(leaseOf(step.node, group))
      return
    case 'document':
      return giveDocument(tx, step, counters)
    case 'report': {
      const report = reportOf(step.variant, counters.sequence++)
      await tx.reports.put({ node: step.node, receivedAtMs: T0, report })
      return
    }
    case 'revise': {
      const text = SPECS[step.variant % SPECS.length] ?? ''
      await tx.revisions.insert({ digest: text, text, author: 'ann', createdAtMs: T0 })
      return
    }
    case 'freeze': {
      const scope = SCOPES[step.variant % SCOPES.length] ?? 'all'
      if (step.variant % 2 === 0) await tx.freezes.remove('f')
      else await tx.freezes.put({ name: 'f', scope, reason: 'no', actor: 'ann', atMs: T0 })
      return
    }
    default:
      return unreachable(step)
  }
}

const WHY = { code: 'operator', message: 'because' }

function recordOf({
  node,
  variant,
}: {
  readonly node: string
  readonly variant: number
}): NodeRecord {
  const role = ROLES[variant % 4]
  const labels = {
    ...(role === undefined ? {} : { role }),
    ...(variant % 3 === 0 ? {} : { zone: variant % 3 === 1 ? 'a' : 'b' }),
  }
  const dns = [`${node}.test`, ...(variant % 5 === 0 ? ['shared.test'] : [])]
  const names = { dns, ip: variant % 2 === 0 ? [`10.0.0.${node.slice(1)}`] : [] }
  return {
    name: node,
    labels,
    names,
    createdAtMs: T0,
    enrolledAtMs: undefined,
    seenAtMs: undefined,
  }
}

function leaseOf(node: string, group: string) {
  const taken = { takenAtMs: T0, takenTimeMs: 0, takenSequence: 1 }
  return { node, group, purpose: 'renewal', generation: 1, ...taken } as const
}

async function giveDocument(
  tx: Transaction,
  { node, back }: { readonly node: string; readonly back: number },
  counters: Counters,
): Promise<void> {
  const latest = (await tx.revisions.latest())?.number ?? 0
  // Of an earlier revision, or of none.
  const revision = latest - back > 0 ? latest - back : undefined
  const state = sealDesiredState({
    node,
    generation: counters.generation++,
    mode: 'enforce',
    permit: false,
    content: sampleContent(node),
  })
  await tx.desired.put({ state, revision })
}

function reportOf(variant: number, sequence: number) {
  const outcome = variant % 4 === 0 ? 'failed' : 'in-sync'
  const report = sampleReport({ sequence, outcome, activations: variant % 8 === 0 ? 1 : 0 })
  const members = MEMBERS.filter((_, index) => (variant + index) % 3 !== 0).map(name => ({ name }))
  const leader = members[variant % 7]?.name
  const kind = variant % 4 === 1 ? 'elasticsearch' : 'influxdb-meta'
  const cluster: ClusterView = {
    kind,
    size: members.length,
    members,
    health: variant % 5 === 0 ? 'yellow' : 'green',
    ...(leader === undefined ? {} : { leader }),
  }
  const services = report.services.map(one =>
    variant % 2 === 0 ? one : ({ ...one, service: kind, cluster } as const),
  )
  return { ...report, services }
}
