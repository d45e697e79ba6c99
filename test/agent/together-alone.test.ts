// A change that nodes with and without it cannot work across: planned and prepared by anybody, carried out
// with the others only, and corrected later by the node alone.

import t from 'tap'
import type { AskAct, SectionPermit } from '../../agent/section.ts'
import { type Registry, REGISTRY } from '../../agent/services/registry.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import { sha256 } from '../../shared/digest.ts'
import {
  inputFor,
  type MemoryNode,
  newAgent,
  newNode,
  outcomes,
  wish,
} from '../support/memory-fleet.ts'

const CONF = '/etc/influxdb/influxdb.conf'
const COORDINATED = { code: 'coordinated-change', message: 'all of them at once' }
const PERMIT: SectionPermit = { generation: 1, digest: sha256('document') }

/** The database cannot work with others across switching its TLS. */
const CUTTING: Registry = {
  ...REGISTRY,
  compile(tls, seen, context) {
    const compilation = REGISTRY.compile(tls, seen, context)
    if (compilation.kind === 'unsupported' || tls.service !== 'influxdb') return compilation
    const conf = seen.file(CONF)
    const isOn = conf?.kind === 'text' && /^ *https-enabled = true/m.test(conf.text)
    return isOn === (tls.tls === 'on')
      ? compilation
      : { kind: 'compiled', compiled: { ...compilation.compiled, coordinated: COORDINATED } }
  },
}

const services = await wish({ services: ['influxdb'] })
const together = new Map<ServiceName, SectionPermit>([['influxdb', PERMIT]])

function agentOn(node: MemoryNode) {
  const acts: string[] = []
  const askAct: AskAct = async (_, act) => void acts.push(act)
  return { acts, agent: newAgent(node, { registry: CUTTING, askAct }) }
}

await t.test('it is planned as what it is, and prepared', async t => {
  const node = newNode()
  const agent = await agentOn(node).agent

  const [planned] = await agent.plan(services)
  t.match(planned, {
    outcome: 'planned',
    activation: 'restart',
    activationReason: COORDINATED,
    planned: { disruption: 'coordinated' },
  })
  t.strictSame(outcomes(await agent.pass(inputFor(services, { mode: 'stage' }))), {
    influxdb: 'staged',
  })
})

await t.test('alone it is refused before anything is touched', async t => {
  const node = newNode()
  const agent = await agentOn(node).agent
  const changes = node.changes()
  const claims: string[] = []
  const claim = async ({ service }: { readonly service: string }) => void claims.push(service)

  const [report] = await agent.pass(inputFor(services, { claim }))

  t.match(report, { outcome: 'unsupported', reason: COORDINATED })
  t.equal(node.changes(), changes)
  t.strictSame(claims, [])
  t.strictSame(node.activations, [])
  const others = new Map<ServiceName, SectionPermit>([['prometheus', PERMIT]])
  const [beside] = await agent.pass(inputFor(services, { together: others }))
  t.match(beside, { outcome: 'unsupported' }, 'nor for a group that is about another service')
})

await t.test('alone it is made where its controller takes back what was made so', async t => {
  const node = newNode()
  const { acts, agent: starting } = agentOn(node)
  const agent = await starting

  const done = await agent.pass(inputFor(services, { isAlone: true }))

  t.strictSame(outcomes(done), { influxdb: 'changed' })
  t.strictSame(acts, [], 'nobody is asked')
})

await t.test('a plan that said less is stale', async t => {
  const agent = await agentOn(newNode()).agent
  const [report] = await agent.plan(services)
  if (report?.planned === undefined) throw new Error('nothing was planned')
  const planned = [{ ...report.planned, disruption: 'rolling' as const }]

  t.match(await agent.pass(inputFor(services, { planned, together })), [
    { outcome: 'unsupported', reason: { code: 'stale-plan' } },
  ])
})

await t.test('with the others it is made, and afterwards kept by the node alone', async t => {
  const node = newNode()
  const { acts, agent: starting } = agentOn(node)
  const agent = await starting

  const done = await agent.pass(inputFor(services, { together }))
  t.strictSame(outcomes(done), { influxdb: 'changed' })
  t.strictSame(acts, ['stop', 'switch', 'start'])

  node.advance(1000)
  const good = node.files.text(CONF) ?? ''
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  const [healed] = await agent.pass(inputFor(services))
  t.match(healed, { outcome: 'changed', corrective: true })
  t.equal(node.files.text(CONF), good)
  t.strictSame(acts.length, 3)
  const [planned] = await agent.plan(services)
  t.equal(planned?.planned?.disruption, 'none')
})
