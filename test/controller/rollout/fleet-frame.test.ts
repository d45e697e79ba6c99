// Groups on a real store: who is in them by the spec, and by what nodes already run.

import t from 'tap'
import { createFleetReader } from '../../../controller/rollout/fleet-reader.ts'
import { createFrameReader } from '../../../controller/rollout/frame-reader.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import type { ClusterView } from '../../../shared/contract/cluster-view.ts'
import { sealDesiredState } from '../../../shared/contract/desired-state.ts'
import { nowAt, sampleContent, sampleNode, sampleReport, T0 } from '../../contract/samples.ts'

const spec = (...names: readonly string[]) =>
  `version: 1\nfleet: demo\nservices:\n  - { service: influxdb-meta, nodes: { names: [${names.join(', ')}] } }\n`

await t.test('a later spec that names one meta node leaves the group as it is', async t => {
  const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
  t.teardown(() => store.close())
  const revise = (text: string) =>
    store.transaction(tx =>
      tx.revisions.insert({ digest: text, text, author: 'ann', createdAtMs: T0 }),
    )
  const names = ['m1', 'm2', 'm3', 'x1']
  await store.transaction(async tx => {
    for (const name of names) await tx.nodes.insert(sampleNode(name))
  })
  const { number } = await revise(spec('m1', 'm2', 'm3'))
  await store.transaction(async tx => {
    for (const node of names) {
      const state = sealDesiredState({
        node,
        generation: 1,
        mode: 'enforce',
        permit: false,
        content: sampleContent(node),
      })
      await tx.desired.put({ state, revision: node === 'x1' ? undefined : number })
    }
  })

  await revise(spec('m1'))
  const frame = await store.transaction(
    async tx => (await createFrameReader().look(tx)).take().frame,
  )

  t.same(frame.groups.get('influxdb-meta')?.members, ['m1', 'm2', 'm3'])
  t.equal(frame.groups.get('influxdb-meta')?.tolerance, 1)
  t.same(frame.groupsOf.get('m3'), ['influxdb-meta'])
  t.notOk(frame.groupsOf.has('x1'))
})

await t.test(
  'a cluster is looked at again when a node has the name of one of its members',
  async t => {
    const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0, nowMs: T0 })
    t.teardown(() => store.close())
    const text = spec('m1', 'm2')
    const view: ClusterView = {
      kind: 'influxdb-meta',
      size: 2,
      members: ['m1', 'm2', 'm9.elsewhere:8089'].map(name => ({ name })),
      leader: 'm9.elsewhere:8089',
      health: 'green',
    }
    await store.transaction(async tx => {
      await tx.revisions.insert({ digest: text, text, author: 'ann', createdAtMs: T0 })
      for (const name of ['m1', 'm2']) await tx.nodes.insert(sampleNode(name))
      const report = sampleReport()
      const services = report.services.map(
        one => ({ ...one, service: 'influxdb-meta', cluster: view }) as const,
      )
      await tx.reports.put({ node: 'm1', receivedAtMs: T0, report: { ...report, services } })
    })
    const clock = { now: () => T0, monotonic: () => 0, sleep: async () => {} }
    const reader = createFleetReader({ clock, isOnline: () => true })
    const leader = async () => {
      const { groups } = await store.transaction(tx => reader.readGroups(tx, 'm2', nowAt()))
      return groups.get('influxdb-meta')?.leader
    }

    t.equal(await leader(), undefined, 'nobody knows it')
    await store.transaction(tx => tx.nodes.insert(sampleNode('m9')))
    t.equal(await leader(), 'm9')
    await store.transaction(tx =>
      tx.nodes.insert({ ...sampleNode('x'), names: sampleNode('m9.b').names }),
    )
    t.equal(await leader(), undefined, 'there are two of this first label')
    await store.transaction(tx => tx.nodes.remove('x', T0))
    t.equal(await leader(), 'm9')
    await store.transaction(tx => tx.nodes.remove('m9', T0))
    t.equal(await leader(), undefined)
  },
)
