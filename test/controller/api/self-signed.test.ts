// A controller with its listeners: what a node shows of its certificate reaches the clients of that node.

import { randomBytes } from 'node:crypto'
import t from 'tap'
import {
  NodeList,
  PlanView,
  RolloutList,
  RolloutView,
} from '../../../shared/contract/operator-api.ts'
import { buildSelfSigned, validity } from '../../../shared/pki/certificate.ts'
import { generateKey, parsePrivateKey } from '../../../shared/pki/keys.ts'
import { serialNumber } from '../../../shared/pki/random.ts'
import { until } from '../../lab/until.ts'
import { type AgentMemory, startFakeAgent } from './fake-agent.ts'
import { joinFleet, operatorOf, parsed, startController } from './support.ts'

t.setTimeout(900_000)

const SPEC = `
version: 1
fleet: demo
services:
  - { service: influxdb, nodes: { names: [db1, db2] }, issuer: self-signed }
  - { service: telegraf, nodes: { names: [app1] } }
`

async function leafFor(dns: string): Promise<string> {
  const { privateKeyPem } = await generateKey('ec-p256')
  const nowMs = Date.now()
  return buildSelfSigned({
    subject: { commonName: dns },
    serial: serialNumber(randomBytes),
    ...validity({ nowMs, lifetimeMs: 90 * 86_400_000, issuerNotAfterMs: Infinity }),
    profile: { kind: 'server', names: { dns: [dns], ip: [] }, clientAuth: false },
    key: parsePrivateKey(privateKeyPem),
  })
}

await t.test('clients are given it by a rollout that nobody has asked for', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const certificate = await leafFor('db1.example.org')
  const stolen = await leafFor('db1.example.org')
  const memory: AgentMemory = { accepted: undefined, sequence: 1 }
  const agents = [
    startFakeAgent(await joinFleet(running, operator, 'db1'), {
      selfSigned: { influxdb: { current: certificate } },
    }),
    // A node that shows one for a name of another.
    startFakeAgent(await joinFleet(running, operator, 'db2'), {
      selfSigned: { influxdb: { current: stolen } },
    }),
    startFakeAgent(await joinFleet(running, operator, 'app1'), { memory }),
  ]
  t.teardown(() => Promise.all(agents.map(agent => agent.stop())))

  const plan = parsed(PlanView, await operator('POST', '/v1/plans', { spec: SPEC }))
  t.ok(plan.windows.some(({ code }) => code === 'window-self-signed-influxdb-telegraf'))
  const applied = parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC }))
  t.equal(applied.author, 'admin')

  const rollouts = async () => parsed(RolloutList, await operator('GET', '/v1/rollouts')).rollouts
  t.teardown(() => {
    if (!t.passing()) t.comment(running.log.filter(line => /trust|rollout/.test(line)).join(''))
  })
  const refreshed = await until(
    async () => {
      const [newest] = await rollouts()
      return newest?.author === 'system' && newest.endedAtMs !== undefined && newest
    },
    { what: 'the rollout of the controller', everyMs: 100, timeoutMs: 180_000 },
  )

  t.match(refreshed, {
    status: 'succeeded',
    revision: applied.revision,
    reason: {
      code: 'self-signed-given',
      message: 'clients are given the certificates of influxdb on db1',
    },
  })
  t.same(refreshed.steps.map(({ node }) => node).toSorted(), ['app1', 'db1'])
  const telegraf = memory.accepted?.latest.content.services[0]
  t.strictSame(telegraf?.upstreamTrust, [certificate], 'and not what db2 has shown')
  t.strictSame(
    telegraf?.upstreams.map(({ names, tls }) => [names.dns[0], tls]),
    [
      ['db1.example.org', 'on'],
      ['db2.example.org', 'off'],
    ],
  )
  t.ok(running.log.some(line => line.includes('names-not-recorded')))

  // Nothing more comes of it, and an operator who applies again finds nothing to do.
  const again = parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC }))
  t.equal(again.reason?.code, 'nothing-to-do')
  const { nodes } = parsed(NodeList, await operator('GET', '/v1/nodes'))
  t.ok(nodes.every(({ state }) => state === 'converged'))
})
