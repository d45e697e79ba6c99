// Whole directories on a real file system: every file and mode, nothing from outside, nothing half.

import { chmodSync, linkSync, lstatSync, mkdirSync, readFileSync, readlinkSync } from 'node:fs'
import { mkdtempSync, realpathSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createTrees } from '../../../agent/edges/trees.ts'

// Not below the directory for temporary files, which everybody may write to.
const BASE = realpathSync(mkdtempSync(join(t.testdir(), 'trees-')))
let count = 0

function newRoot() {
  const root = join(BASE, `r${++count}`)
  mkdirSync(join(root, 'data/meta/snapshots/1'), { recursive: true, mode: 0o755 })
  mkdirSync(join(root, 'state'), { mode: 0o700 })
  writeFileSync(join(root, 'data/meta/raft.db'), 'raft', { mode: 0o600 })
  writeFileSync(join(root, 'data/meta/snapshots/1/state.bin'), 'state', { mode: 0o640 })
  writeFileSync(join(root, 'outside'), 'secret', { mode: 0o600 })
  return { root, trees: createTrees({ root }), at: (path: string) => join(root, path) }
}

await t.test('a copy has every file with its contents and its mode', async t => {
  const { trees, at } = newRoot()
  chmodSync(at('data/meta/snapshots'), 0o750)
  symlinkSync('1/state.bin', at('data/meta/snapshots/newest'))

  const entries = await trees.copy('/data/meta', '/state/copy')

  t.equal(await trees.sizeOf('/data/meta'), 9)
  t.equal(readFileSync(at('state/copy/raft.db'), 'utf8'), 'raft')
  t.equal(readFileSync(at('state/copy/snapshots/1/state.bin'), 'utf8'), 'state')
  t.equal(readlinkSync(at('state/copy/snapshots/newest')), '1/state.bin')
  const modeOf = (path: string) => lstatSync(at(path)).mode & 0o7777
  t.equal(modeOf('state/copy/raft.db'), 0o600)
  t.equal(modeOf('state/copy/snapshots/1/state.bin'), 0o640)
  t.equal(modeOf('state/copy/snapshots'), 0o750)
  t.strictSame(
    entries.map(({ path, kind, mode }) => [path, kind, kind === 'symlink' ? '' : mode.toString(8)]),
    [
      ['.', 'directory', '755'],
      ['raft.db', 'file', '600'],
      ['snapshots', 'directory', '750'],
      ['snapshots/1', 'directory', '755'],
      ['snapshots/1/state.bin', 'file', '640'],
      ['snapshots/newest', 'symlink', ''],
    ],
  )
  t.match(entries[1], { uid: process.getuid?.(), gid: process.getgid?.(), sizeBytes: 4 })
})

await t.test('a file may be larger than what is read as a whole', async t => {
  const { trees, at } = newRoot()
  writeFileSync(at('data/meta/large'), 'begin', { mode: 0o600 })
  truncateSync(at('data/meta/large'), 40 * 1024 * 1024)

  await trees.copy('/data/meta', '/state/copy')

  t.equal(lstatSync(at('state/copy/large')).size, 40 * 1024 * 1024)
})

await t.test('data that was moved is found behind the symlink that leads to it', async t => {
  const { trees, at } = newRoot()
  symlinkSync('/data/meta', at('moved'))

  await trees.copy('/moved', '/state/copy')

  t.equal(readFileSync(at('state/copy/raft.db'), 'utf8'), 'raft')
  t.equal(await trees.sizeOf('/moved'), 9)
})

for (const target of ['/outside', '../../outside', 'snapshots/../../../outside'])
  await t.test(`a symlink to ${target} in it is not followed`, async t => {
    const { trees, at } = newRoot()
    symlinkSync(target, at('data/meta/link'))

    const refusal = { code: 'tree-unusable', message: /link in it is a symlink/ }
    await t.rejects(trees.sizeOf('/data/meta'), refusal)
    await t.rejects(trees.copy('/data/meta', '/state/copy'), refusal)

    t.throws(() => lstatSync(at('state/copy/link')), { code: 'ENOENT' })
  })

await t.test('what is not there, or in the way, is an error', async t => {
  const { trees, at } = newRoot()
  t.equal(await trees.sizeOf('/data/none'), undefined)
  t.equal(await trees.sizeOf('/outside'), undefined, 'nor is a file a directory')
  await t.rejects(trees.copy('/data/none', '/state/copy'), { code: 'tree-unusable' })
  mkdirSync(at('state/copy'), { mode: 0o700 })
  await t.rejects(trees.copy('/data/meta', '/state/copy'), { code: 'write-failed' })
  await t.rejects(trees.copy('/data/meta', '/none/copy'), { code: 'write-failed' })
  chmodSync(at('state'), 0o777)
  await t.rejects(trees.copy('/data/meta', '/state/other'), { code: 'unsafe-path' })
})

await t.test('a file with two names is copied, and a tree without end is not', async t => {
  const { trees, at } = newRoot()
  linkSync(at('data/meta/raft.db'), at('data/meta/again.db'))
  t.equal((await trees.copy('/data/meta', '/state/copy')).length, 6)

  mkdirSync(at(`data/meta/${'d/'.repeat(20)}`), { recursive: true, mode: 0o755 })
  await t.rejects(trees.sizeOf('/data/meta'), { code: 'tree-unusable', message: /levels deep/ })
})
