// Where the fleet spec asks for approvals, nobody removes trust alone: not in haste, not with a compromised
// key, and not by the rollouts of the rotation.

import t, { type Test } from 'tap'
import { AuditList } from '../../../shared/contract/audit.ts'
import { RolloutList, RolloutView } from '../../../shared/contract/operator-api.ts'
import { RotationSummary, RotationView } from '../../../shared/contract/rotations.ts'
import { until } from '../../lab/until.ts'
import { type SimulatedNode, sightingOf, startNode } from './rotation-agent.ts'
import { codeOf, operatorOf, parsed, startController } from './support.ts'

t.setTimeout(900_000)

const SPEC = `
version: 1
fleet: demo
services:
  - { service: influxdb, nodes: { names: [n1] } }
  - { service: telegraf, nodes: { names: [n1] } }
rollout: { approvals: 1 }
`

async function startScene(t: Test) {
  const running = await startController(t)
  const admin = operatorOf(running)
  const approver = operatorOf(running, running.approverToken)
  const nodes: SimulatedNode[] = []
  const parts = { running: () => running, operator: admin, onChange: () => {} }
  nodes.push(await startNode({ ...parts, name: 'n1', look: probe => sightingOf(nodes, probe) }))
  t.teardown(() => Promise.all(nodes.map(node => node.stop())))
  const look = async (id: string) => {
    running.controller.context.wakeRotations()
    return parsed(RotationView, await admin('GET', `/v1/rotations/${id}`))
  }
  const planned = async () => {
    const { rollouts } = parsed(RolloutList, await admin('GET', '/v1/rollouts?limit=1'))
    return rollouts[0]?.status === 'planned' ? rollouts[0].id : undefined
  }
  return { running, admin, approver, look, planned }
}

await t.test('who has begun a rotation does not remove trust alone', async t => {
  const { admin, approver, look, planned } = await startScene(t)
  const { id: first } = parsed(RolloutView, await admin('POST', '/v1/rollouts', { spec: SPEC }))
  t.equal(codeOf(await admin('POST', `/v1/rollouts/${first}/approve`, {})), 'illegal-transition')
  await approver('POST', `/v1/rollouts/${first}/approve`, {})
  await until(
    async () =>
      parsed(RolloutView, await admin('GET', `/v1/rollouts/${first}`)).status === 'succeeded',
    { what: 'the fleet has its first certificates', timeoutMs: 180_000 },
  )

  const begun = await admin('POST', '/v1/rotations', { kind: 'service', pace: 'auto' })
  const { id } = parsed(RotationSummary, begun)
  t.match(begun.body, { author: 'admin', approvals: 1, confirmedBy: [] })
  const ask = (who: typeof admin, verb: string) => who('POST', `/v1/rotations/${id}/${verb}`, {})
  const refused = new Set<string>()
  await until(
    async () => {
      const rollout = await planned()
      if (rollout !== undefined) {
        const answer = await admin('POST', `/v1/rollouts/${rollout}/approve`, {})
        t.match(answer, { status: 409, body: { code: 'author-confirms' } })
        refused.add(rollout)
        await approver('POST', `/v1/rollouts/${rollout}/approve`, {})
      }
      const { phase, waitsFor } = await look(id)
      return phase === 'activate' && waitsFor === 'advance'
    },
    { what: 'everything is in place', timeoutMs: 180_000 },
  )
  t.equal(refused.size, 2, 'the rollouts of distribute and of activate')

  const own = await ask(admin, 'advance')
  t.match(own, { status: 409, body: { code: 'author-confirms', detail: /admin has begun/ } })
  await ask(admin, 'taint')
  t.match(
    await look(id),
    { phase: 'activate', waitsFor: 'advance', needsOthers: 1 },
    'nor in haste',
  )
  t.match(await ask(approver, 'advance'), { status: 200 })
  await until(async () => (await look(id)).status === 'completed', {
    what: 'it has ended, and nobody approved the rollout of retire anew',
    timeoutMs: 180_000,
  })
  const { records } = parsed(AuditList, await admin('GET', `/v1/audit?target=${id}&limit=100`))
  t.strictSame(
    records.filter(({ action }) => action === 'rotation-confirmed').map(({ actor }) => actor),
    ['approver'],
  )
})

await t.test('one who asks for nobody else confirms what they began', async t => {
  const { admin, look } = await startScene(t)
  const begun = await admin('POST', '/v1/rotations', { kind: 'service' })
  const { id } = parsed(RotationSummary, begun)
  t.match(begun.body, { approvals: 0 })
  await until(async () => (await look(id)).waitsFor === 'advance', {
    what: 'it waits',
    timeoutMs: 180_000,
  })
  t.match(await look(id), { needsOthers: 0 })
  t.equal((await admin('POST', `/v1/rotations/${id}/advance`, {})).status, 200)
  await until(async () => (await look(id)).status === 'completed', {
    what: 'it has ended',
    timeoutMs: 180_000,
  })
})

await t.test(
  'a spec that asks for fewer does not count for the rotation that brings it',
  async t => {
    const { running, admin } = await startScene(t)
    const { store } = running.controller.context
    const text = SPEC.replace(/.*telegraf.*\n/, '')
    await store.transaction(tx =>
      tx.revisions.insert({ digest: 'sha256:x', text, author: 'ada', createdAtMs: 1 }),
    )
    const spec = text
      .replace('approvals: 1', 'approvals: 0')
      .replace('influxdb,', 'influxdb, issuer: files,')
    const answer = await admin('POST', '/v1/rotations', { kind: 'issuer', spec })
    t.match(answer, { status: 201, body: { approvals: 1 } }, answer.text)
  },
)
