// Nodes that lose their network in the middle of a switch finish or revert by themselves and tell of
// it later; one that is off all the while comes back to the revision that holds then.

import t from 'tap'
import { createLabFleet, PORTS, STATE_DIRECTORY } from '../support/lab-fleet.ts'
import { type HeldStart, installHold } from './held-start.ts'
import { type Lab, until } from './lab.ts'
import { createRolloutScene, joinAll, startsOf } from './rollout-scene.ts'
import { installEcdsaCheck, removeEcdsaCheck } from './start-check.ts'
import { withLab } from './with-lab.ts'

const UNIT = 'influxdb'
const JOURNAL = `${STATE_DIRECTORY}/journal.json`
// One takes the new revision, one cannot, one is well, one is off.
const [TAKES, REVERTS, WELL, AWAY] = ['n1', 'n2', 'n3', 'n4'] as const

// Two may fail side by side; three of the four may be out.
const spec = (key: string): string => `version: 1
fleet: lab
rollout: { maxFailures: 1, applyMax: 2s, waitForOffline: 30d, progressDeadline: 1h }
defaults:
  key: ${key}
  lifetime: 30d
  verify: { stableFor: 3s, deadline: 120s }
services:
  - service: influxdb
    nodes: all
groups:
  - { name: databases, kind: pool, percent: 75, nodes: all }
`

await withLab(t, { nodes: 4 }, async lab => {
  const fleet = await createLabFleet(lab, { offlineAfter: '45s' })
  t.teardown(() => fleet.end())
  const scene = createRolloutScene(fleet)
  t.teardown(() => scene.log.close())
  const holders = () => scene.log.leases().map(({ node }) => node)
  const stateOf = (id: string, node: string) =>
    scene.view(id).then(({ steps }) => steps.find(step => step.node === node)?.state)
  const starts = new Map<string, HeldStart>()
  let bad = ''
  let before: ReadonlyMap<string, string> = new Map()

  await t.test('four nodes of a group come to TLS', async t => {
    await installEcdsaCheck(lab, REVERTS)
    for (const node of [TAKES, REVERTS]) starts.set(node, await installHold(lab, node, UNIT))
    await joinAll(fleet, lab, ['role=all'])
    const applied = await fleet.apply(spec('ec-p256'))
    t.equal(applied.code, 0, applied.stdout + applied.stderr)
    before = new Map(
      await Promise.all(lab.nodes.map(async node => [node, await servedOn(lab, node)] as const)),
    )
  })

  await t.test('cut off in the middle of it, both ends are reached without help', async t => {
    for (const start of starts.values()) await start.hold()
    bad = await scene.start(spec('rsa-2048'))
    await Promise.all([
      ...[...starts].map(([node, start]) => cutInSwitch(lab, node, start)),
      // It has prepared the new revision, like the others.
      scene
        .untilView(bad, 'all are prepared', ({ status }) => status === 'running')
        .then(() => lab.stop(AWAY)),
    ])
    // One that has just started waits for nobody's old connection.
    await fleet.crashController()

    for (const node of [TAKES, REVERTS])
      await until(async () => (await lab.exec(node, ['test', '-e', JOURNAL])).code === 1, {
        what: `${node} is through`,
        everyMs: 200,
      })

    t.not(await servedOn(lab, TAKES), before.get(TAKES), 'one has the new certificate')
    t.equal(await servedOn(lab, REVERTS), before.get(REVERTS), 'one the old one again')
    for (const node of [TAKES, REVERTS])
      t.equal((await lab.exec(node, ['systemctl', 'is-active', '-q', UNIT])).code, 0, node)
  })

  await t.test('until they report, their leases are kept', async t => {
    await scene.untilView(bad, 'both are suspect', ({ steps }) =>
      [TAKES, REVERTS].every(name =>
        steps.some(({ node, state }) => node === name && state === 'suspect'),
      ),
    )
    t.strictSame(holders(), [TAKES, REVERTS])
    t.equal(await stateOf(bad, WELL), 'staged', 'nobody else is begun')

    await lab.heal()

    await scene.untilView(bad, 'both have told', ({ steps }) =>
      [TAKES, REVERTS, WELL].every(name =>
        steps.some(({ node, state }) => node === name && /^(done|reverted)$/.test(state)),
      ),
    )
    t.equal(await stateOf(bad, TAKES), 'done')
    t.equal(await stateOf(bad, REVERTS), 'reverted')
    t.equal(await stateOf(bad, WELL), 'done')
    t.strictSame(holders(), [], 'and with that their leases end')
    const forced = scene.log.events(bad).filter(({ kind }) => kind === 'lease-forced')
    t.strictSame(forced, [])
  })

  await t.test('who was off comes back to what holds then, and by its lease', async t => {
    const superseded = await fleet.cli(['rollout', 'supersede', bad, '--yes'])
    t.equal(superseded.code, 0, superseded.stderr)
    t.equal((await scene.untilEnded(bad)).status, 'superseded')
    await removeEcdsaCheck(lab, REVERTS)
    const good = await scene.start(spec('rsa-3072'))
    await scene.untilView(good, 'all others are there', ({ steps }) =>
      steps.every(({ node, state }) => state === (node === AWAY ? 'deferred' : 'done')),
    )
    const held: string[] = []
    const watch = setInterval(() => held.push(...holders()), 20)
    t.teardown(() => clearInterval(watch))

    await lab.start(AWAY)

    t.match(await scene.untilEnded(good), { status: 'succeeded' })
    clearInterval(watch)
    const own = scene.log.events(good).filter(({ node }) => node === AWAY)
    t.strictSame(
      own.map(({ kind }) => kind),
      [
        'node-deferred',
        'node-returned',
        'node-assigned',
        'node-staged',
        'node-permitted',
        'permit-claimed',
        'node-done',
      ],
    )
    t.ok(held.includes(AWAY), 'it held a lease')
    t.strictSame(holders(), [])
    const modes = await acceptedBy(lab, AWAY)
    const last = own.findLast(({ generation }) => generation !== undefined)?.generation
    t.match(modes.at(-1), { mode: 'enforce', generation: last })
    t.equal(modes.filter(({ mode }) => mode === 'enforce').length <= 2, true, 'nothing in between')
    await fleet.untilState(AWAY, 'converged')
    t.not(await servedOn(lab, AWAY), before.get(AWAY))
    t.equal(await startsOf(lab, AWAY, UNIT), 2, 'by its boot, and once more')
  })
})

interface AcceptedDocument {
  readonly generation: number
  readonly mode: string
}

/** Documents that the agent has accepted since the node booted. */
async function acceptedBy(lab: Lab, node: string): Promise<readonly AcceptedDocument[]> {
  const log = ['journalctl', '-u', 'tlsfleet-agent', '-b', '--no-pager', '-o', 'cat']
  return (await lab.output(node, log))
    .split('\n')
    .filter(line => line.includes('"desired state accepted"'))
    .map(line => JSON.parse(line))
}

/** As soon as there is no way but to one of the two ends, and before either is reached. */
async function cutInSwitch(lab: Lab, node: string, start: HeldStart): Promise<void> {
  await until(async () => (await lab.exec(node, ['test', '-e', JOURNAL])).code === 0, {
    what: `${node} is in the middle of it`,
    everyMs: 10,
  })
  await lab.cut(node)
  await start.letGo()
}

/** Fingerprint of what a node's influxdb serves, asked on the node itself. */
function servedOn(lab: Lab, node: string): Promise<string> {
  const ask = `openssl s_client -connect 127.0.0.1:${PORTS.influxdb} </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256`
  return until(() => lab.output(node, ['sh', '-c', ask]), { what: `${node} serves TLS` })
}
