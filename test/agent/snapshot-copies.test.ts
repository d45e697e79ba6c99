// Which copies of a service are kept, and under which names.

import t from 'tap'
import { createSnapshotCopies, snapshotsDirectory } from '../../agent/snapshot-copies.ts'
import { prepareState } from '../../agent/standalone.ts'
import { silentLog } from '../../shared/log.ts'
import { newNode, STATE } from '../support/memory-fleet.ts'

const DATA = '/var/lib/influxdb/meta'
const KEPT = snapshotsDirectory(STATE, 'influxdb-meta')

async function copiesOn(older: readonly string[] = []) {
  const node = newNode()
  await prepareState(node.host, STATE)
  node.files.put(`${DATA}/raft.db`, 'raft')
  for (const name of older) node.files.put(`${KEPT}/${name}/manifest.json`, '{}')
  const copies = createSnapshotCopies({ host: node.host, stateDirectory: STATE, log: silentLog })
  const make = (generation: number, isAnew = true, directories: readonly string[] = [DATA]) =>
    copies.make({ service: 'influxdb-meta', node: 'n1', generation, directories, isAnew })
  return { node, copies, make, names: () => node.files.list(KEPT) }
}

await t.test('the newest three are kept', async t => {
  const { node, make, names } = await copiesOn()

  for (const generation of [8, 9, 10, 11]) {
    t.match(await make(generation), new RegExp(`/2026[0-9]{4}T[0-9]{6}Z-${generation}$`))
    node.advance(1_000)
  }

  t.strictSame(
    (await names()).map(name => name.split('-')[1]),
    ['9', '10', '11'],
  )
})

await t.test('a clock that went back does not make the newest one the oldest', async t => {
  const later = [1, 2, 3].map(day => `2030010${day}T000000Z-${day}`)
  const { make, names } = await copiesOn(later)

  const path = await make(4)

  t.strictSame(
    (await names()).map(name => `${KEPT}/${name}`),
    [path, ...later.slice(1).map(name => `${KEPT}/${name}`)],
  )
})

await t.test('one of the same generation is made again only where the service has run', async t => {
  const { node, make, names } = await copiesOn()
  await make(4)
  node.advance(1_000)

  t.equal(await make(4, false), undefined)
  t.equal((await names()).length, 1)
  t.ok(await make(4, true))
  t.equal((await names()).length, 2)
})

await t.test('what cannot be copied leaves nothing behind', async t => {
  const { make, names, copies } = await copiesOn()

  const failed = { code: 'snapshot-failed', message: /could not copy \/var\/none of influxdb-meta/ }
  await t.rejects(make(4, true, [DATA, '/var/none']), failed)
  await t.rejects(copies.sizeOf('influxdb-meta', ['/var/none']), failed)

  t.strictSame(await names(), [])
  t.equal(await copies.sizeOf('influxdb-meta', [DATA]), 4)
})
