import t from 'tap'
import { createDirectory } from '../../../controller/fleet/directory.ts'
import { discover } from '../../../controller/fleet/membership.ts'
import type { ClusterView } from '../../../shared/contract/cluster-view.ts'

const nodes = createDirectory(
  new Map(
    ['m1', 'm2', 'm3'].map((name, index) => [
      name,
      { name, names: { dns: [`${name}.example.org`], ip: [`10.0.0.${index + 1}`] } },
    ]),
  ),
)
const group = { name: 'meta', members: ['m1', 'm2', 'm3'], type: { kind: 'raft' } } as const
const raft = (names: readonly string[], leader: string): ClusterView => ({
  kind: 'influxdb-meta',
  size: names.length,
  members: names.map(name => ({ name })),
  ...(leader === '' ? {} : { leader }),
  health: leader === '' ? 'red' : 'green',
})
const all = ['m1:8089', 'm2.example.org:8089', '10.0.0.3:8089']
const told = (...views: readonly ClusterView[]) =>
  new Map(views.map((view, index) => [`m${index + 1}`, view]))

await t.test(
  'members are known by name, address or first label, and most say who leads',
  async t => {
    const found = discover(group, told(raft(all, all[1] ?? ''), raft(all, all[1] ?? '')), nodes)
    t.match(found, { leader: 'm2', health: 'green', notices: [] })
    t.equal(found.missing.size, 0)
    const split = discover(group, told(raft(all, all[0] ?? ''), raft(all, all[1] ?? '')), nodes)
    t.equal(split.leader, undefined, 'two who disagree say nothing')
    t.equal(discover(group, told(raft(all, all[0] ?? ''), raft(all, '')), nodes).health, 'red')
  },
)

await t.test('who is seen and not declared, or declared and not seen, is told', async t => {
  const fewer = discover(group, told(raft(all.slice(0, 2), 'm1:8089')), nodes)
  t.match(fewer.notices, [{ code: 'members-unseen', message: /m3/ }])
  t.strictSame([...fewer.missing.keys()], ['m3'], 'it counts as out')

  const more = discover(group, told(raft([...all.slice(0, 2), 'other:8089'], 'm1:8089')), nodes)
  t.match(more.notices, [{ code: 'members-undeclared' }, { code: 'members-unseen' }])
  t.equal(more.missing.size, 0, 'the stranger may be the one that is looked for')
  t.equal(discover(group, new Map(), nodes).notices.length, 0, 'nobody says anything')
})
