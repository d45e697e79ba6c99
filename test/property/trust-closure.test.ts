// Trust at every phase of every rotation of fleets of any shape; and that the check of it finds what
// is wrong: phases left out, a bundle that is not given, an issuer that is changed at once.

import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { assert } from '../../shared/assert.ts'
import { contentDigestOf } from '../../shared/contract/desired-state.ts'
import { isServer } from '../../shared/contract/service.ts'
import { verificationOf, verifiesWith } from '../../shared/contract/verification.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { createAuthority } from '../../controller/ca/authority.ts'
import { brokenEdges, describeEdge } from '../../controller/fleet/closure.ts'
import { compileFleet, type ServiceCa } from '../../controller/fleet/compile.ts'
import { parseFleetSpec } from '../../controller/fleet/spec.ts'
import {
  brokenOnTheWay,
  changedServices,
  type CompiledNodes,
  type Ending,
  WORLDS,
  worldInput,
  worldsOf,
} from '../../controller/rotation/worlds.ts'

const issuing = { nowMs: Date.UTC(2026, 10, 22), random: randomBytes }
const [a, b, corp, other] = await Promise.all(
  ['a', 'b', 'corp', 'other'].map(fleet =>
    createAuthority({ ...issuing, kind: 'service', fleet }).then(({ root, intermediate }) => ({
      root: root.certificatePem,
      issuer: certificateFacts(intermediate.certificatePem).fingerprint,
    })),
  ),
)
assert(a !== undefined && b !== undefined && corp !== undefined && other !== undefined, 'four CAs')
const signers = [a, b].map(({ root, issuer }) => ({
  issuer,
  root: certificateFacts(root).fingerprint,
}))
const CA_A: ServiceCa = { trust: [a.root], issuedBy: a.issuer }
const CA_B: ServiceCa = { trust: [b.root], issuedBy: b.issuer }

const NODES = ['n1', 'n2', 'n3'].map((name, index) => ({
  name,
  labels: {},
  names: { dns: [`${name}.example.org`], ip: [`10.0.0.${index + 1}`] },
}))

const SERVERS = ['elasticsearch', 'kibana', 'influxdb', 'influxdb-meta', 'node-exporter'] as const
const CLIENTS = ['telegraf', 'metricbeat', 'prometheus'] as const
const OPTIONS: Readonly<Record<string, string>> = {
  influxdb: ', options: { meta: tls, cluster: tls }',
  'influxdb-meta': ', options: { data: tls }',
}

type IssuerChoice = 'internal' | 'corp' | 'other'
const PEMS = { corp: corp.root, other: other.root } as const

interface Shape {
  readonly services: readonly { readonly name: string; readonly nodes: readonly string[] }[]
  readonly before: readonly IssuerChoice[]
  readonly after: readonly IssuerChoice[]
}

const subset = fc.subarray(['n1', 'n2', 'n3'], { minLength: 1 })
const choices = fc.array(fc.constantFrom<IssuerChoice>('internal', 'corp', 'other'), {
  minLength: SERVERS.length,
  maxLength: SERVERS.length,
})
const shapes: fc.Arbitrary<Shape> = fc.record({
  services: fc
    .tuple(...[...SERVERS, ...CLIENTS].map(() => subset))
    .map(nodes =>
      [...SERVERS, ...CLIENTS].map((name, index) => ({ name, nodes: nodes[index] ?? [] })),
    ),
  before: choices,
  after: choices,
})

function specOf({ services }: Shape, issuers: readonly IssuerChoice[]) {
  const lines = services.map(({ name, nodes }, index) => {
    const issuer = issuers[index]
    const foreign =
      issuer === undefined || issuer === 'internal'
        ? ''
        : `, issuer: files, trust: [${JSON.stringify(PEMS[issuer])}]`
    return `  - { service: ${name}, nodes: { names: [${nodes.join(', ')}] }${foreign}${OPTIONS[name] ?? ''} }`
  })
  const parsed = parseFleetSpec(`version: 1\nfleet: demo\nservices:\n${lines.join('\n')}\n`)
  assert(parsed.kind === 'ok', JSON.stringify(parsed))
  return parsed.spec
}

function compiled({ spec, ca }: Ending): CompiledNodes {
  const fleet = compileFleet(spec, NODES, ca)
  assert(fleet.problems.length === 0, JSON.stringify(fleet.problems))
  return fleet.nodes
}

function worldsBetween(ends: { old: Ending; new: Ending }, kind: 'service' | 'issuer') {
  return WORLDS.map(world => {
    const { side, ca } = worldInput(world, ends, kind)
    return compiled({ spec: ends[side].spec, ca })
  })
}

/** Another way to the same answer: by texts, edge by edge. */
function breaks(
  clients: CompiledNodes,
  servers: CompiledNodes,
  rootOf: (service: string, issuedBy: string | undefined) => string,
): boolean {
  return clients.some(({ content }) =>
    content.services.some(client =>
      client.upstreams.some(upstream =>
        servers.some(({ content: { services } }) =>
          services.some(
            server =>
              server.service === upstream.service &&
              isServer(server) &&
              server.certificate.names.dns[0] === upstream.names.dns[0] &&
              verificationOf(client, server.service) === 'full' &&
              !verifiesWith(client).includes(rootOf(server.service, server.certificate.issuedBy)),
          ),
        ),
      ),
    ),
  )
}

await t.test('trust holds between any two phases of any rotation, there and back', async () => {
  fc.assert(
    fc.property(shapes, fc.boolean(), (shape, isIssuer) => {
      const spec = specOf(shape, shape.before)
      const ends = isIssuer
        ? { old: { spec, ca: CA_A }, new: { spec: specOf(shape, shape.after), ca: CA_A } }
        : { old: { spec, ca: CA_A }, new: { spec, ca: CA_B } }
      const worlds = worldsBetween(ends, isIssuer ? 'issuer' : 'service')
      const rootIn = (index: number) => (service: string, issuedBy: string | undefined) => {
        const chosen = (WORLDS[index]?.side === 'old' || !isIssuer ? shape.before : shape.after)[
          shape.services.findIndex(({ name }) => name === service)
        ]
        if (chosen === undefined || chosen === 'internal')
          return issuedBy === b.issuer ? b.root : a.root
        return PEMS[chosen]
      }
      for (const [i, clients] of worlds.entries())
        for (const [j, servers] of worlds.entries())
          if (Math.abs(i - j) <= 1 && breaks(clients, servers, rootIn(j)))
            throw new Error(`clients of world ${i} break with servers of world ${j}`)
      return brokenOnTheWay(worldsOf(worlds), signers).length === 0
    }),
    { numRuns: 60 },
  )
})

await t.test('phases that are left out are found', async t => {
  let found = 0
  fc.assert(
    fc.property(shapes, shape => {
      const spec = specOf(
        shape,
        SERVERS.map(() => 'internal'),
      )
      const ends = { old: { spec, ca: CA_A }, new: { spec, ca: CA_B } }
      const [before, both, , after] = worldsBetween(ends, 'service')
      const [, , active] = worldsBetween(ends, 'service')
      assert(before !== undefined && both !== undefined && after !== undefined, 'four worlds')
      const withoutDistribute = worldsOf([before, active ?? []])
      const retiredEarly = worldsOf([both, after])
      const atOnce = worldsOf([before, after])
      for (const skipping of [withoutDistribute, retiredEarly, atOnce]) {
        const broken = brokenOnTheWay(skipping, signers)
        if (broken.length === 0) return false
        found += broken.length
      }
      return true
    }),
    { numRuns: 30 },
  )
  t.ok(found > 0)
})

await t.test('one node that lacks a bundle is found, with the edge', async t => {
  const shape = {
    services: [
      { name: 'influxdb', nodes: ['n1'] },
      { name: 'telegraf', nodes: ['n2', 'n3'] },
    ],
    before: ['internal' as const],
    after: ['corp' as const],
  }
  const spec = specOf(shape, shape.before)
  const ends = { old: { spec, ca: CA_A }, new: { spec, ca: CA_B } }
  const worlds = worldsBetween(ends, 'service')
  const [old, both] = worlds
  const forgotten = both?.map(node =>
    node.node === 'n3' ? (old?.find(one => one.node === 'n3') ?? node) : node,
  )
  const broken = brokenOnTheWay(worldsOf([old ?? [], forgotten ?? [], worlds[2] ?? []]), signers)
  t.match(broken, [{ client: { node: 'n3', service: 'telegraf' }, server: { node: 'n1' } }])

  await t.test('and a change of issuer at once', async t => {
    const files = compiled({ spec: specOf(shape, shape.after), ca: CA_A })
    const nodes = (old ?? []).map(({ node, content }) => ({
      node,
      from: content,
      to: files.find(one => one.node === node)?.content,
    }))
    const edges = brokenEdges(nodes, { signers, combinations: 'mixed' })
    t.equal(edges.length, 2)
    t.match(edges.map(describeEdge).join('\n'), /telegraf on n2 could not verify influxdb on n1/)
    t.strictSame(
      brokenEdges(
        nodes.map(({ node, from }) => ({ node, from, to: from })),
        { signers, combinations: 'mixed' },
      ),
      [],
    )
    const next = { spec: specOf(shape, shape.after), ca: CA_A }
    t.strictSame(changedServices({ old: { spec, ca: CA_A }, new: next }), ['influxdb'])
    // What was broken before may be repaired.
    const strangers = nodes.map(({ node, from, to }) => ({
      node,
      from: node === 'n1' ? to : from,
      to,
    }))
    t.strictSame(brokenEdges(strangers, { signers, combinations: 'mixed' }), [])
  })

  const plain = worldsOf([old ?? [], old ?? []])
  t.equal(plain.involved.size, 0)
  t.equal(contentDigestOf({ services: [] }).length, 64)
})
