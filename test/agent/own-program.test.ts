// A program that is run as root is one that nobody but root can replace, on the whole way to it.

import t from 'tap'
import { whyNotOwn } from '../../agent/own-program.ts'
import { newNode } from '../support/memory-fleet.ts'

const PROGRAM = '/opt/tools/save'

function nodeWith(mode = 0o755) {
  const { files } = newNode()
  files.put(PROGRAM, 'it', { mode })
  return files
}

await t.test('a program of root in directories of root is run', async t => {
  t.equal(await whyNotOwn(nodeWith(), PROGRAM), undefined)
})

await t.test('what others can write, or own, is not', async t => {
  t.equal(await whyNotOwn(nodeWith(), '/opt/tools/other'), 'there is no /opt/tools/other')
  t.match(await whyNotOwn(nodeWith(0o644), PROGRAM), /is no program/)
  t.match(await whyNotOwn(nodeWith(0o777), PROGRAM), /save can be written by others \(mode 777\)/)
  const directory = async (mode: number, uid = 0) => {
    const files = nodeWith()
    await files.setOwnership('/opt/tools', { mode, uid, gid: 0 })
    return whyNotOwn(files, PROGRAM)
  }
  t.match(await directory(0o775), /^\/opt\/tools can be written by others/)
  t.match(await directory(0o755, 1000), '/opt/tools belongs to user id 1000')
  t.equal(await directory(0o1777), undefined, 'in a sticky one nobody can replace what is root’s')
})

await t.test('behind a link, both ways count', async t => {
  const files = nodeWith()
  files.put('/usr/local/sbin/x', '')
  await files.switchLink('/usr/local/sbin/save', '../../../opt/tools/save')
  t.equal(await whyNotOwn(files, '/usr/local/sbin/save'), undefined)

  await files.setOwnership('/opt', { mode: 0o757, uid: 0, gid: 0 })
  t.match(await whyNotOwn(files, '/usr/local/sbin/save'), /^\/opt can be written/)
  await files.setOwnership('/opt', { mode: 0o755, uid: 0, gid: 0 })
  await files.setOwnership('/usr/local', { mode: 0o775, uid: 0, gid: 0 })
  t.match(await whyNotOwn(files, '/usr/local/sbin/save'), /^\/usr\/local can be written/)
})
