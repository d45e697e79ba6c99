// What is prepared is not prepared again; what has changed since is told.

import t from 'tap'
import { inputFor, newAgent, newNode, outcomes, wish } from '../support/memory-fleet.ts'

await t.test(
  'a service that is started after it was staged as a stopped one is staged',
  async t => {
    const node = newNode()
    const services = await wish({ services: ['influxdb'] })
    const agent = await newAgent(node)
    const stage = () => agent.pass(inputFor(services, { mode: 'stage' }))
    node.stop('influxdb')
    await stage()
    const [stopped] = await stage()
    t.match(stopped, { outcome: 'waiting', reason: { code: 'inactive' } })

    node.start('influxdb')

    t.strictSame(outcomes(await stage()), { influxdb: 'staged' })
    node.stop('influxdb')
    t.match((await stage())[0], { outcome: 'waiting', reason: { code: 'inactive' } })
  },
)

await t.test('what is staged is written once', async t => {
  const node = newNode()
  const services = await wish()
  const agent = await newAgent(node)
  const stage = () => agent.pass(inputFor(services, { mode: 'stage' }))
  await stage()
  // The first look after it sees the release that it made.
  await stage()
  const changes = node.changes()

  t.strictSame(outcomes(await stage()), { prometheus: 'staged', influxdb: 'staged' })
  t.equal(node.changes(), changes)
})
