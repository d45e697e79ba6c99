// A revision that every check accepts and the service does not survive: it stops at the first nodes,
// they put their old state back by themselves, and a rollback brings the fleet to one revision.

import t, { type Test } from 'tap'
import { createLabFleet, PORTS } from '../support/lab-fleet.ts'
import { createRolloutScene, joinAll, startsOf } from './rollout-scene.ts'
import { installEcdsaCheck } from './start-check.ts'
import { withLab } from './with-lab.ts'

const UNIT = 'influxdb'

const spec = (key: string, maxFailures = 0): string => `version: 1
fleet: lab
rollout: { maxFailures: ${maxFailures} }
defaults:
  key: ${key}
  lifetime: 30d
  verify: { stableFor: 1s, deadline: 120s }
services:
  - service: influxdb
    nodes: all
`

// All but the first: what works there does not prove that it works elsewhere.
const STRICT = ['n2', 'n3', 'n4', 'n5']

await withLab(t, { nodes: 5 }, async lab => {
  const fleet = await createLabFleet(lab)
  t.teardown(() => fleet.end())
  const scene = createRolloutScene(fleet)
  t.teardown(() => scene.log.close())
  const starts = () => Promise.all(lab.nodes.map(node => startsOf(lab, node, UNIT)))
  const served = () => Promise.all(lab.nodes.map(node => fleet.handshake(node, PORTS.influxdb)))
  const contents = () => scene.log.documents().map(({ content, mode }) => `${mode} ${content}`)
  /** Nodes at which the two lists differ. */
  const differing = <T>(a: readonly T[], b: readonly T[]) =>
    lab.nodes.filter((_, index) => a[index] !== b[index])

  await t.test('five nodes come to TLS; four of them with a check of their own', async t => {
    await Promise.all(STRICT.map(node => installEcdsaCheck(lab, node)))
    await joinAll(fleet, lab, ['role=all'])
    const applied = await fleet.apply(spec('ec-p256'))
    t.equal(applied.code, 0, applied.stdout + applied.stderr)
  })

  /** Fails at `broken`, after the others in front of them; then takes it back. */
  async function takeBack(t: Test, maxFailures: number, broken: readonly string[]): Promise<void> {
    const before = { starts: await starts(), served: await served(), contents: contents() }

    const id = await scene.start(spec('rsa-2048', maxFailures))
    const ended = await scene.untilEnded(id)

    t.equal(ended.status, 'failed', JSON.stringify(ended))
    const of = (state: string) =>
      ended.steps.filter(step => step.state === state).map(({ node }) => node)
    t.strictSame(of('reverted'), broken)
    t.ok(broken.length <= maxFailures + 1)
    t.strictSame(of('broken'), [])
    t.strictSame(of('done'), ['n1'])
    const touched = ['n1', ...broken]
    const after = { starts: await starts(), served: await served() }
    t.strictSame(differing(after.starts, before.starts), touched, 'no other service was touched')
    t.strictSame(differing(after.served, before.served), ['n1'], 'the others serve what they did')
    for (const node of broken) t.equal((await fleet.invocation(node, UNIT)).length, 32, 'it runs')

    const rollback = await scene.untilEnded(await scene.follow(id, 'rollback'))

    t.equal(rollback.status, 'succeeded', JSON.stringify(rollback))
    t.strictSame(
      rollback.steps.map(({ node }) => node),
      ['n1'],
      'the others have it already',
    )
    t.strictSame(contents(), before.contents)
    for (const { node, generation } of scene.log.documents()) {
      await fleet.untilState(node, 'converged')
      t.match(await scene.node(node), { observedGeneration: generation, mode: 'enforce' }, node)
    }
    const { starts: once } = after
    t.strictSame(differing(await starts(), once), ['n1'])
    t.strictSame(
      differing(await served(), before.served).filter(node => node !== 'n1'),
      [],
    )
  }

  await t.test('no failure is tolerated: one node fails', t => takeBack(t, 0, ['n2']))

  await t.test('one failure is tolerated: two nodes fail', t => takeBack(t, 1, ['n2', 'n3']))
})
