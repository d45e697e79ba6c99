// Three meta nodes of which one is down before the rollout: the second is not touched, the operator is
// told why, and when the lost one is back they are restarted one after the other.

import t from 'tap'
import { createLabFleet } from '../support/lab-fleet.ts'
import { installMetaNode } from './estate/influx.ts'
import { until } from './lab.ts'
import { createRolloutScene, joinAll } from './rollout-scene.ts'
import { withLab } from './with-lab.ts'

const UNIT = 'influxdb-meta'
const LISTENER = 8091

// This version of the product is restarted for another key.
const spec = (key: string): string => `version: 1
fleet: lab
defaults:
  key: ${key}
  lifetime: 30d
  verify: { stableFor: 1s, deadline: 60s }
services:
  - service: influxdb-meta
    nodes: all
    options: { data: off, schemeChange: rolling }
groups:
  - { name: meta, kind: raft, nodes: all }
`

await withLab(t, { nodes: 3 }, async lab => {
  const [fleet] = await Promise.all([
    createLabFleet(lab, { ready: async () => {} }),
    ...lab.nodes.map(node => installMetaNode(lab, node)),
  ])
  t.teardown(() => fleet.end())
  const scene = createRolloutScene(fleet)
  t.teardown(() => scene.log.close())
  const invocations = () => Promise.all(lab.nodes.map(node => fleet.invocation(node, UNIT)))
  const served = () => Promise.all(lab.nodes.map(node => fleet.handshake(node, LISTENER)))
  const ctl = (verb: string, ...argv: readonly string[]) =>
    lab.exec('n1', ['influxd-ctl', verb, ...argv])
  let rollout = ''

  await t.test('a cluster of three comes to TLS', async t => {
    for (const node of lab.nodes)
      await until(async () => (await ctl('add-meta', `${node}:${LISTENER}`)).code === 0, {
        what: `${node} joins the cluster`,
        everyMs: 200,
      })
    // Nothing tells an agent that its operator has started a unit: it looks now and again.
    for (const node of lab.nodes)
      await lab.writeFile(node, '/etc/tlsfleet/agent.toml', 'interval = "10s"\n')
    await joinAll(fleet, lab, ['role=meta'])

    const applied = await fleet.apply(spec('ec-p256'))

    t.equal(applied.code, 0, applied.stdout + applied.stderr)
    t.match(await scene.group('meta'), { kind: 'raft', limit: 1, out: [], leases: [] })
  })

  await t.test('while one is down, no second one is touched', async t => {
    await lab.output('n2', ['systemctl', 'stop', UNIT])
    const running = await invocations()

    rollout = await scene.start(spec('rsa-2048'))

    await scene.untilView(
      rollout,
      'n2 is put off, the others are prepared',
      ({ status, steps }) =>
        status === 'running' &&
        steps.every(({ node, state }) => state === (node === 'n2' ? 'deferred' : 'staged')),
    )
    // Long enough by the controller's own clock for a permit, if it gave one.
    const { time } = scene.log
    const sinceMs = time()
    await until(() => time() - sinceMs > 10_000, { what: 'ten of its seconds', everyMs: 200 })
    const { steps, status } = await scene.steps(rollout)
    t.equal(status, 'running')
    for (const step of steps.filter(({ node }) => node !== 'n2'))
      t.match(step, { state: 'staged', waiting: { code: 'budget-out', message: /n2/ } }, step.node)
    const kinds = scene.log.events(rollout).map(({ kind }) => kind)
    t.notOk(kinds.includes('node-permitted'), kinds.join())
    t.strictSame(await invocations(), running)
    t.match(await scene.group('meta'), {
      limit: 1,
      out: [{ node: 'n2', reason: { code: 'inactive' } }],
      leases: [],
    })
    const told = await fleet.cli(['group', 'show', 'meta', '--no-color'])
    t.match(told.stdout, /^meta +raft +3 +1 .*n2: .*stopped/m, 'and so is the operator')
  })

  await t.test('when it is back, they are restarted one after the other', async t => {
    const before = { served: await servedBy(['n1', 'n3']), running: await invocations() }
    const crowds = new Set<string>()
    const watch = setInterval(() => {
      const holders = scene.log.leases().map(({ node }) => node)
      if (holders.length > 1) crowds.add(holders.join(' '))
    }, 20)
    t.teardown(() => clearInterval(watch))

    await lab.output('n2', ['systemctl', 'start', UNIT])

    const { status } = await scene.untilEnded(rollout)
    t.equal(status, 'succeeded')
    const moves = scene.log
      .events(rollout)
      .filter(({ kind }) => kind === 'permit-claimed' || kind === 'node-done')
    t.strictSame(
      moves.map(({ kind }) => kind),
      lab.nodes.flatMap(() => ['permit-claimed', 'node-done']),
    )
    t.strictSame([...crowds], [], 'never two leases')
    t.strictSame(scene.log.leases(), [])
    const after = await invocations()
    for (const [index, invocation] of after.entries()) t.not(invocation, before.running[index])
    for (const [index, leaf] of (await servedBy(['n1', 'n3'])).entries())
      t.not(leaf, before.served[index])
    t.equal((await served()).length, 3)
    t.match(await scene.group('meta'), { out: [], leases: [] })
    for (const node of lab.nodes)
      await until(
        async () => (await ctl('-bind-tls', '-k', 'show')).stdout.includes(`${node}:${LISTENER}`),
        { what: `${node} is a member`, everyMs: 200 },
      )
  })

  function servedBy(nodes: readonly string[]): Promise<readonly string[]> {
    return Promise.all(nodes.map(node => fleet.handshake(node, LISTENER)))
  }
})
