// Nodes of a cluster that changed sides one by one go back one by one, although the spec of before does not
// say so: it was written when there was nothing to change.

import t from 'tap'
import { RolloutView } from '../../../shared/contract/operator-api.ts'
import { until } from '../../lab/until.ts'
import { startFakeAgent } from './fake-agent.ts'
import { joinFleet, operatorOf, parsed, startController } from './support.ts'

t.setTimeout(900_000)

const spec = (tls: 'on' | 'off', options: string): string => `version: 1
fleet: demo
defaults: { tls: ${tls} }
services:
  - { service: influxdb, nodes: all, options: {${options}} }
rollout: { minHealthy: 0s, canarySoak: 0s, soak: 0s, maxParallel: 1 }
`

await t.test('what was changed by each node alone is taken back so', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const agent = startFakeAgent(await joinFleet(running, operator, 'n1', {}), {})
  t.teardown(() => agent.stop())
  const { store } = running.controller.context
  const document = async () => (await store.transaction(tx => tx.desired.get('n1')))?.state
  const ended = async (path: string, body: object) => {
    const { id } = parsed(RolloutView, await operator('POST', path, body))
    const look = async () => parsed(RolloutView, await operator('GET', `/v1/rollouts/${id}`))
    await until(async () => (await look()).endedAtMs !== undefined, {
      what: `${id} ends`,
      timeoutMs: 120_000,
    })
    t.match(await look(), { status: 'succeeded' })
    return id
  }
  await ended('/v1/rollouts', { spec: spec('off', '') })
  const before = await document()
  const id = await ended('/v1/rollouts', { spec: spec('on', ' schemeChange: rolling ') })
  t.notHas(await document(), { alone: true })

  await ended(`/v1/rollouts/${id}/rollback`, {})

  const after = await document()
  t.match(after, { permit: true, alone: true })
  t.equal(after?.contentDigest, before?.contentDigest)
})
