// The controller is killed with SIGKILL at every event of a rollout and started again: nothing is
// permitted twice, nothing is lost, and every service is interrupted once.

import t from 'tap'
import { createLabFleet, PORTS } from '../support/lab-fleet.ts'
import { until } from './lab.ts'
import {
  createRolloutScene,
  joinAll,
  type RolloutScene,
  startsOf,
  type StoreReader,
} from './rollout-scene.ts'
import { withLab } from './with-lab.ts'

const GROUP = 'databases'

// For another key influxdb has to be restarted. Of three members one may be out.
const spec = (key: string): string => `version: 1
fleet: lab
defaults:
  key: ${key}
  lifetime: 30d
  verify: { stableFor: 1s, deadline: 60s }
services:
  - service: influxdb
    nodes: all
groups:
  - { name: ${GROUP}, kind: raft, nodes: all }
`

await withLab(t, { nodes: 3 }, async lab => {
  const fleet = await createLabFleet(lab)
  t.teardown(() => fleet.end())
  const scene = createRolloutScene(fleet)
  t.teardown(() => scene.log.close())
  const starts = () => Promise.all(lab.nodes.map(node => startsOf(lab, node, 'influxdb')))
  const served = () => Promise.all(lab.nodes.map(node => fleet.handshake(node, PORTS.influxdb)))

  await t.test('three nodes of a group come to TLS', async t => {
    await joinAll(fleet, lab, ['role=all'])
    const applied = await fleet.apply(spec('ec-p256'))
    t.equal(applied.code, 0, applied.stdout + applied.stderr)
  })

  await t.test('killed at every event, the rollout is the one that was begun', async t => {
    const before = { starts: await starts(), served: await served() }
    const last = scene.log.newest()
    // The operator may be left without an answer: what was stored goes on all the same.
    const asked = fleet.apply(spec('rsa-2048'))
    const id = await until(
      () => {
        const now = scene.log.newest()
        return now !== last && now
      },
      { what: 'there is another rollout', everyMs: 2 },
    )

    const seen = await crashAtEveryEvent(scene, id, () => fleet.crashController())

    await until(() => fleet.answers(), { what: 'the controller answers' })
    await asked
    const { status } = await scene.untilEnded(id)
    const events = scene.log.events(id)
    t.comment(`${events.length} events; killed after ${seen.kills.join(', ')}`)
    t.equal(status, 'succeeded')
    t.ok(seen.kills.length >= lab.nodes.length * 3, 'permits, claims and reports among them')
    t.strictSame(seen.contradictions, [], 'one generation has one document')
    t.strictSame(seen.crowds, [], 'one lease at a time')
    t.strictSame(scene.log.leases(), [], 'none is left')
    for (const node of lab.nodes) {
      const own = events.filter(event => event.node === node)
      const of = (kind: string) => own.filter(event => event.kind === kind)
      t.equal(of('node-done').length, 1, `${node} is done once`)
      const claimed = of('permit-claimed').map(({ generation }) => generation)
      t.equal(new Set(claimed).size, 1, `${node} claimed one permit`)
      // A permit that waits in vain is taken back and given again; each is a generation of its own.
      const given = own.flatMap(({ generation, kind }) =>
        generation === undefined || kind === 'permit-claimed' ? [] : [generation],
      )
      t.strictSame(
        given,
        [...new Set(given)].toSorted((a, b) => a - b),
        `${node} goes forward`,
      )
      await fleet.untilState(node, 'converged')
    }
    const after = await starts()
    t.strictSame(
      after,
      before.starts.map(count => count + 1),
      'each was restarted once',
    )
    const now = await served()
    for (const [index, fingerprint] of now.entries()) t.not(fingerprint, before.served[index])
  })
})

interface Crashes {
  /** Versions that were there when the controller was gone. */
  readonly kills: readonly number[]
  /** Generations of a node that stood for two documents. */
  readonly contradictions: readonly string[]
  /** Nodes that held a lease at the same time. */
  readonly crowds: readonly string[]
}

/** As soon as there is another event; until the last one. */
async function crashAtEveryEvent(
  { log }: RolloutScene,
  id: string,
  crash: () => Promise<void>,
): Promise<Crashes> {
  const kills: number[] = []
  const watch = createWatch(log)
  const hasEnded = () => log.events(id).at(-1)?.kind === 'ended'
  let last = 0
  for (;;) {
    const version = await until(
      () => {
        watch.look()
        const now = log.version(id)
        return now > last && now
      },
      { what: `an event after ${last} of ${id}`, everyMs: 2, timeoutMs: 240_000 },
    )
    await crash()
    // What was stored between the look and the signal.
    last = Math.max(version, log.version(id))
    kills.push(last)
    watch.look()
    if (hasEnded()) return { kills, ...watch.found() }
  }
}

function createWatch(log: StoreReader) {
  const digests = new Map<string, string>()
  const contradictions = new Set<string>()
  const crowds = new Set<string>()
  return {
    look() {
      for (const { node, generation, digest } of log.documents()) {
        const key = `${node} ${generation}`
        const known = digests.get(key) ?? digest
        if (known !== digest) contradictions.add(key)
        digests.set(key, known)
      }
      const holders = log.leases().map(({ node }) => node)
      if (holders.length > 1) crowds.add(holders.join(' '))
    },
    found: () => ({ contradictions: [...contradictions], crowds: [...crowds] }),
  }
}
