// Which statements are told of, by the triggers themselves: also those that no part of the store has.

import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { watchMembers } from '../../../controller/store/member-changes.ts'
import { migrate } from '../../../controller/store/migrate.ts'
import { T0 } from '../../contract/samples.ts'

const database = new DatabaseSync(':memory:')
migrate(database, { path: ':memory:', nowMs: T0 })
const changes = watchMembers(database)
const cursors = { members: 0, nodes: 0 }

function told(...statements: readonly string[]) {
  cursors.members = changes.members.since(undefined).cursor
  cursors.nodes = changes.nodes.since(undefined).cursor
  for (const statement of statements) database.exec(statement)
  return {
    members: changes.members.since(cursors.members).nodes,
    nodes: changes.nodes.since(cursors.nodes).nodes,
  }
}

const NODE = `insert into nodes (name, labels_json, names_json, created_at_ms) values ('a', '{}', '{"dns":[],"ip":[]}', 1)`
const DOCUMENT = `insert into desired_states (node, epoch, generation, mode, permit, content_digest, digest, revision)
  values ('a', 0, 1, 'stage', 0, 'c', 'd', 1)`

await t.test('a node that comes, or has other labels or names, is told of', async t => {
  t.strictSame(told(NODE), { members: ['a'], nodes: ['a'] })
  t.strictSame(told(`update nodes set labels_json = '{"a":"b"}'`), { members: [], nodes: ['a'] })
  t.strictSame(told(`update nodes set names_json = '{"dns":["a.test"],"ip":[]}'`), {
    members: [],
    nodes: ['a'],
  })
  t.strictSame(told('update nodes set enrolled_at_ms = 5'), { members: ['a'], nodes: [] })
  t.strictSame(told('update nodes set seen_at_ms = 5'), { members: [], nodes: [] })
})

await t.test('of a document only another revision makes other groups', async t => {
  told(`insert into contents (digest, content_json) values ('c', '{}')`)
  t.strictSame(told(DOCUMENT), { members: ['a'], nodes: ['a'] })
  t.strictSame(told(`update desired_states set generation = 2, revision = 1`), {
    members: ['a'],
    nodes: [],
  })
  t.strictSame(told('update desired_states set revision = 2'), { members: ['a'], nodes: ['a'] })
  t.strictSame(told('update desired_states set revision = null').nodes, ['a'])
  t.strictSame(told('delete from desired_states'), { members: ['a'], nodes: ['a'] })
})

await t.test('a node that goes is told of, and once more where it has not gone', async t => {
  database.exec('begin')
  changes.begin()
  t.strictSame(told('delete from nodes'), { members: ['a'], nodes: ['a'] })
  cursors.nodes = changes.nodes.since(undefined).cursor
  database.exec('rollback')
  changes.rollBack()
  t.strictSame(changes.nodes.since(cursors.nodes).nodes, ['a'])
})
