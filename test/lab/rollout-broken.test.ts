// A node on which neither the new state nor the old one works: it keeps its lease, so that no second
// member of its group is touched, until a rollback, which begins with it, has brought it back.

import t from 'tap'
import { createLabFleet, PORTS } from '../support/lab-fleet.ts'
import { createRolloutScene, joinAll, startsOf } from './rollout-scene.ts'
import { installEcdsaCheck, removeLock } from './start-check.ts'
import { withLab } from './with-lab.ts'

const UNIT = 'influxdb'
const BREAKS = 'n2'

const spec = (key: string): string => `version: 1
fleet: lab
defaults:
  key: ${key}
  lifetime: 30d
  verify: { stableFor: 1s, deadline: 120s }
services:
  - service: influxdb
    nodes: all
groups:
  - { name: databases, kind: raft, nodes: all }
`

await withLab(t, { nodes: 3 }, async lab => {
  const fleet = await createLabFleet(lab)
  t.teardown(() => fleet.end())
  const scene = createRolloutScene(fleet)
  t.teardown(() => scene.log.close())
  const contents = () => scene.log.documents().map(({ content, mode }) => `${mode} ${content}`)
  const untouched = () =>
    Promise.all([startsOf(lab, 'n3', UNIT), fleet.handshake('n3', PORTS.influxdb)])
  let before: readonly string[] = []
  let failed = ''

  await t.test('three nodes of a group come to TLS', async t => {
    await installEcdsaCheck(lab, BREAKS, { isStubborn: true })
    await joinAll(fleet, lab, ['role=all'])
    const applied = await fleet.apply(spec('ec-p256'))
    t.equal(applied.code, 0, applied.stdout + applied.stderr)
    before = contents()
  })

  await t.test('the broken node keeps its lease when its rollout has ended', async t => {
    const third = await untouched()

    failed = await scene.start(spec('rsa-2048'))

    const { status, steps } = await scene.untilEnded(failed)
    t.equal(status, 'failed')
    t.strictSame(
      steps.map(({ state }) => state),
      ['done', 'broken', 'staged'],
    )
    t.strictSame(await untouched(), third)
    t.match(await scene.group('databases'), {
      leases: [{ node: BREAKS, purpose: 'rollout' }],
      out: [{ node: BREAKS }],
    })
    const shown = await fleet.cli(['group', 'show', 'databases', '--no-color'])
    t.match(shown.stdout, /n2 \(rollout/)
  })

  await t.test('a rollback begins with it, and the fleet has one revision again', async t => {
    const third = await untouched()
    await removeLock(lab, BREAKS)

    const id = await scene.follow(failed, 'rollback')

    t.match(await scene.untilEnded(id), { status: 'succeeded' })
    const done = scene.log.events(id).filter(({ kind }) => kind === 'node-done')
    t.strictSame(
      done.map(({ node }) => node),
      [BREAKS, 'n1'],
    )
    t.strictSame(scene.log.leases(), [])
    t.strictSame(contents(), before)
    t.strictSame(await untouched(), third)
    for (const { node, generation } of scene.log.documents()) {
      await fleet.untilState(node, 'converged')
      t.match(await scene.node(node), { observedGeneration: generation, mode: 'enforce' }, node)
      t.ok(await fleet.handshake(node, PORTS.influxdb))
    }
  })
})
