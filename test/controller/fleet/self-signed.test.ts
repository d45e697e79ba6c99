// Self-signed certificates on their way to clients, as the check of trust sees them.

import t from 'tap'
import { brokenEdges } from '../../../controller/fleet/closure.ts'
import { compileFleet } from '../../../controller/fleet/compile.ts'
import type { KnownCertificate } from '../../../controller/fleet/self-signed.ts'
import { refreshedContent } from '../../../controller/fleet/trust-refresh.ts'
import { parseFleetSpec } from '../../../controller/fleet/spec.ts'
import { createTestCa } from '../../shared/pki/support.ts'
import { sampleNode } from '../../contract/samples.ts'

const ca = createTestCa('self-signed')
const leaf = () =>
  ca.make({
    profile: { kind: 'server', names: { dns: ['db.test'], ip: [] }, clientAuth: false },
    name: 'db.test',
  }).pem
const [CURRENT, NEXT] = [leaf(), leaf()]
const ROOT = ca.make({ profile: { kind: 'root' } }).pem
const NODES = [sampleNode('app'), sampleNode('db')]
const SPEC = `
version: 1
fleet: demo
services:
  - { service: influxdb, nodes: { names: [db] }, issuer: self-signed }
  - { service: telegraf, nodes: { names: [app] } }
`

function contents(known: KnownCertificate | undefined, spec = SPEC) {
  const parsed = parseFleetSpec(spec)
  if (parsed.kind === 'invalid') throw new Error(JSON.stringify(parsed.problems))
  const { nodes } = compileFleet(
    parsed.spec,
    NODES,
    { trust: [ROOT], issuedBy: '0'.repeat(64) },
    undefined,
    undefined,
    () => known,
  )
  return new Map(nodes.map(one => [one.node, one.content]))
}

const STATES: readonly (KnownCertificate | undefined)[] = [
  undefined,
  { current: undefined, next: CURRENT, isNextGiven: false },
  { current: CURRENT, next: undefined, isNextGiven: false },
  { current: CURRENT, next: NEXT, isNextGiven: false },
  { current: CURRENT, next: NEXT, isNextGiven: true },
]

await t.test(
  'applying a spec again is never refused for a certificate that became known',
  async t => {
    for (const [index, before] of STATES.entries())
      for (const after of STATES.slice(index)) {
        const [from, to] = [contents(before), contents(after)]
        const nodes = ['app', 'db'].map(node => ({ node, from: from.get(node), to: to.get(node) }))
        t.strictSame(brokenEdges(nodes, { signers: [], combinations: 'mixed' }), [])
      }
  },
)

await t.test('what is refreshed is what the compiler gives, and nothing else', async t => {
  const [stored, wanted] = [contents(STATES[2]), contents(STATES[4])]
  for (const node of ['app', 'db']) {
    const [before, after] = [stored.get(node), wanted.get(node)]
    if (before === undefined || after === undefined) throw new Error('both have contents')
    const refreshed = refreshedContent(before, after)
    t.strictSame(refreshed?.content, after, node)
    t.strictSame(refreshed?.added, [NEXT], node)
    t.equal(refreshedContent(after, after), undefined, node)
    const back = refreshedContent(after, before)
    t.match(back, { added: [], isSwitched: false }, 'what is only to be forgotten')
    t.strictSame(back?.content, before)
  }
  const [plain, known] = [contents(undefined).get('app'), stored.get('app')]
  if (plain === undefined || known === undefined) throw new Error('both have contents')
  t.match(refreshedContent(plain, known), { added: [CURRENT], isSwitched: true })
})

await t.test('whatever else differs is left to an operator', async t => {
  const stored = contents(STATES[2]).get('db')
  const wanted = contents(
    STATES[4],
    SPEC.replace('self-signed }', 'self-signed, lifetime: 7d }'),
  ).get('db')
  if (stored === undefined || wanted === undefined) throw new Error('both have contents')

  const [before, after] = [
    stored.services[0],
    refreshedContent(stored, wanted)?.content.services[0],
  ]

  t.strictSame(after, { ...before, trust: [CURRENT, NEXT] })
})
