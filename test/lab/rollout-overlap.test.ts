// Two rollouts at a time: refused where they share a node, allowed where they do not; and then both
// take the leases of the same group.

import t from 'tap'
import { createLabFleet } from '../support/lab-fleet.ts'
import { createRolloutScene, joinAll } from './rollout-scene.ts'
import { withLab } from './with-lab.ts'

const UNIT = 'influxdb'

interface Wanted {
  readonly key: string
  readonly nodes: readonly string[]
  readonly autoStart?: boolean
}

// The group is of all three, whatever nodes a revision selects.
const spec = ({ key, nodes, autoStart = true }: Wanted): string => `version: 1
fleet: lab
rollout: { autoStart: ${autoStart} }
defaults:
  key: ${key}
  lifetime: 30d
  verify: { stableFor: 1s, deadline: 60s }
services:
  - service: influxdb
    nodes: { names: [${nodes.join(', ')}] }
groups:
  - { name: databases, kind: raft, nodes: all }
`

await withLab(t, { nodes: 3 }, async lab => {
  const fleet = await createLabFleet(lab)
  t.teardown(() => fleet.end())
  const scene = createRolloutScene(fleet)
  t.teardown(() => scene.log.close())
  const invocations = () => Promise.all(lab.nodes.map(node => fleet.invocation(node, UNIT)))
  const applying = (wanted: Wanted) =>
    fleet.cli(['--json', 'apply', '-f', fleet.specFile(spec(wanted)), '--yes', '--quiet'])
  let first = ''

  await t.test('three nodes come to TLS', async t => {
    await joinAll(fleet, lab, ['role=all'])
    const applied = await fleet.apply(spec({ key: 'ec-p256', nodes: lab.nodes }))
    t.equal(applied.code, 0, applied.stdout + applied.stderr)
  })

  await t.test('one that shares a node is refused, and names the other', async t => {
    first = await scene.start(spec({ key: 'rsa-2048', nodes: ['n1', 'n2'], autoStart: false }))
    const running = await invocations()

    for (const nodes of [['n2', 'n3'], ['n1'], lab.nodes]) {
      const refused = await applying({ key: 'rsa-3072', nodes })
      t.equal(refused.code, 1)
      t.match(refused.stdout + refused.stderr, /overlapping-rollout/)
      t.match(refused.stdout + refused.stderr, first, 'the one that it overlaps with')
    }

    t.match(await scene.view(first), { status: 'planned' })
    t.strictSame(await invocations(), running)
  })

  await t.test('one of other nodes is allowed; both keep to the group that they share', async t => {
    const crowds = new Set<string>()
    const watch = setInterval(() => {
      const holders = scene.log.leases().map(({ node }) => node)
      if (holders.length > 1) crowds.add(holders.join(' '))
    }, 20)
    t.teardown(() => clearInterval(watch))
    const running = await invocations()

    const other = await scene.start(spec({ key: 'rsa-3072', nodes: ['n3'] }))
    const started = await fleet.cli(['rollout', 'start', first, '--yes'])

    t.equal(started.code, 0, started.stderr)
    for (const id of [other, first]) t.match(await scene.untilEnded(id), { status: 'succeeded' })
    t.strictSame([...crowds], [], 'one lease at a time')
    t.strictSame(scene.log.leases(), [])
    const nodesOf = (id: string) => {
      const done = scene.log.events(id).filter(({ kind }) => kind === 'node-done')
      return done.map(({ node }) => node)
    }
    t.strictSame([nodesOf(first), nodesOf(other)], [['n1', 'n2'], ['n3']])
    const after = await invocations()
    for (const [index, invocation] of after.entries()) t.not(invocation, running[index])
  })
})
