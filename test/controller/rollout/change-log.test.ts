import t from 'tap'
import { createChangeLog } from '../../../controller/rollout/change-log.ts'

await t.test('what has changed since somebody looked is told, each name once', async t => {
  const log = createChangeLog()
  const first = log.since(undefined)
  t.equal(first.nodes, undefined, 'nobody has looked yet')
  for (const node of ['a', 'b', 'a', 'a']) log.note(node)

  const second = log.since(first.cursor)

  t.strictSame(second.nodes, ['a', 'b'])
  t.strictSame(log.since(second.cursor).nodes, [])
  log.note('a')
  t.strictSame(log.since(second.cursor).nodes, ['a'], 'the same name as the last one before')
})

await t.test('who looked too long ago is told to look at all', async t => {
  const log = createChangeLog(4)
  const { cursor } = log.since(undefined)
  for (let index = 0; index < 7; index++) log.note(`n${index}`)
  t.equal(log.since(cursor).nodes?.length, 7)
  log.note('n7')
  const late = log.since(cursor)
  t.equal(late.nodes, undefined)
  t.strictSame(log.since(late.cursor).nodes, [])

  log.noteAll()
  t.equal(log.since(late.cursor).nodes, undefined, 'everything is in doubt')
})

await t.test('what was taken back is told again to those who looked meanwhile', async t => {
  const log = createChangeLog()
  const { cursor: begun } = log.since(undefined)
  log.note('a')
  const { cursor: inside } = log.since(begun)

  log.repeat(begun)

  t.strictSame(log.since(inside).nodes, ['a'])
  t.equal(log.since(inside + 99).nodes, undefined, 'of another log than this one')
})
