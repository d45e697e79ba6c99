import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createWatcher } from '../../../agent/edges/watch.ts'

// Not a measure of anything: an event that takes longer is a missed one.
const EVENT_MS = 30_000

await t.test('every way in which a file can change is seen, and nothing else', async t => {
  const root = t.testdir({
    etc: { 'web.yml': '1', other: 'x' },
    tls: {
      releases: { a: { cert: 'a' }, b: { cert: 'b' } },
      current: t.fixture('symlink', 'releases/a'),
    },
  })
  const at = (path: string) => join(root, path)
  const seen: string[] = []
  let wake = () => {}
  const watcher = createWatcher(path => {
    seen.push(path)
    wake()
  })
  t.teardown(() => watcher.close())
  const files = ['etc/web.yml', 'tls/current', 'tls/releases/a/cert', 'etc/new/later.yml'].map(at)
  watcher.setPaths(files)
  watcher.setPaths([...files])
  await watcher.settled()

  /** Fails by its deadline when the change is not seen. */
  async function sees(what: string, change: () => void): Promise<void> {
    seen.length = 0
    const woken = new Promise<boolean>(resolve => {
      const timer = setTimeout(() => resolve(false), EVENT_MS)
      wake = () => {
        clearTimeout(timer)
        resolve(true)
      }
    })
    change()
    t.ok(await woken, what)
    await watcher.settled()
  }
  const replace = (path: string, text: string) => {
    writeFileSync(at(`${path}.new`), text)
    renameSync(at(`${path}.new`), at(path))
  }

  await sees('written in place', () => writeFileSync(at('etc/web.yml'), '22'))
  await sees('replaced', () => replace('etc/web.yml', '3'))
  await sees('replaced again', () => replace('etc/web.yml', '4'))
  await sees('mode changed', () => chmodSync(at('etc/web.yml'), 0o600))
  // A file that is not managed, a staged one, then one that is: only the last is told.
  await sees('others are ignored', () => {
    writeFileSync(at('etc/other'), 'y')
    writeFileSync(at('etc/.tlsfleet-web.yml'), 'y')
    writeFileSync(at('etc/web.yml'), '8888')
  })
  t.same([...new Set(seen)], [at('etc/web.yml')])
  await sees('deleted', () => unlinkSync(at('etc/web.yml')))
  await sees('made again', () => writeFileSync(at('etc/web.yml'), '5'))
  await sees('link switched', () => {
    symlinkSync('releases/b', at('tls/t'))
    renameSync(at('tls/t'), at('tls/current'))
  })
  await sees('file in a new directory', () => {
    mkdirSync(at('etc/new'))
    writeFileSync(at('etc/new/later.yml'), '1')
  })
  await sees('and changed there', () => writeFileSync(at('etc/new/later.yml'), '22'))
  await sees('directory moved away', () => renameSync(at('etc'), at('etc.old')))
  await sees('and back', () => renameSync(at('etc.old'), at('etc')))
  await sees('and changed there', () => writeFileSync(at('etc/web.yml'), '666'))
  await sees('everything removed', () => rmSync(at('etc'), { recursive: true }))
  await sees('everything made again', () => {
    mkdirSync(at('etc'))
    writeFileSync(at('etc/web.yml'), '7')
  })
})

await t.test('what is seen is told at once, and once more for what is not', async t => {
  const root = t.testdir({ 'web.yml': '1' })
  const path = join(root, 'web.yml')
  const told: (number | undefined)[] = []
  let wake = () => {}
  const watcher = createWatcher(() => {
    const stat = lstatSync(path, { throwIfNoEntry: false })
    told.push(stat && stat.mode & 0o777)
    wake()
  })
  t.teardown(() => watcher.close())
  watcher.setPaths([path])
  await watcher.settled()
  told.length = 0

  const seen = new Promise<void>(resolve => {
    wake = resolve
  })
  writeFileSync(path, '2')
  await seen
  // Nothing of this comes from the library: it is within 50 ms of a change of the same file.
  chmodSync(path, 0o600)
  await watcher.settled()

  t.ok(told.length >= 2, `told ${told.length} times`)
  t.equal(told.at(-1), 0o600, 'who looks last sees the mode')
})

await t.test('closing ends everything, also what was not started yet', async t => {
  const watcher = createWatcher(() => t.fail('nothing is told after the end'))

  watcher.setPaths([join(t.testdir({ f: '' }), 'f')])
  await watcher.close()
  watcher.setPaths(['/etc/hosts'])

  await watcher.settled()
})

const NAMESPACE = ['unshare', '--user', '--map-root-user', 'sh', '-c']
const LIMIT = 'echo 0 >/proc/sys/user/max_inotify_watches && exec "$@"'
const limited = spawnSync(NAMESPACE[0] ?? '', [...NAMESPACE.slice(1), LIMIT, 'sh', 'true'])

await t.test(
  'where the system has no watches left it is told, and nothing breaks',
  { skip: limited.status === 0 ? false : 'no user namespaces with a limit of watches here' },
  t => {
    const program = `
      import { createWatcher } from ${JSON.stringify(join(import.meta.dirname, '../../../agent/edges/watch.ts'))}
      const codes = new Set()
      const watcher = createWatcher(() => {}, error => codes.add(error.code))
      watcher.setPaths(['/etc/hosts', '/etc/passwd'])
      await watcher.settled()
      await watcher.close()
      console.log([...codes].join())`
    const node = [process.execPath, '--input-type=module', '--eval', program]

    const run = spawnSync(NAMESPACE[0] ?? '', [...NAMESPACE.slice(1), LIMIT, 'sh', ...node], {
      encoding: 'utf8',
    })

    t.match(run, { status: 0, stdout: /ENOSPC/, stderr: '' })
    t.end()
  },
)

await t.test(
  'what changes while the watches are only being set is looked for once more',
  async t => {
    const root = t.testdir({ 'web.yml': '1' })
    const told: string[] = []
    const watcher = createWatcher(path => void told.push(path))
    t.teardown(() => watcher.close())

    watcher.setPaths([join(root, 'web.yml')])
    writeFileSync(join(root, 'web.yml'), '2')
    await watcher.settled()

    t.ok(told.length > 0, 'whoever looked before is told to look again')
    const before = told.length
    watcher.setPaths([join(root, 'web.yml')])
    await watcher.settled()
    t.equal(told.length, before, 'the same files are watched already')
  },
)
