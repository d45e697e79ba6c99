import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
} from 'node:fs'
import { readdirSync, readFileSync, readlinkSync, renameSync, rmSync, statSync } from 'node:fs'
import { statfsSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createFiles } from '../../../agent/edges/files.ts'
import { FILE_BYTES_MAX } from '../../../agent/host.ts'

// Parents that a group can write are refused, and t.testdir() would make such ones under umask 002.
process.umask(0o022)

const uid = process.getuid?.() ?? 0
const gid = process.getgid?.() ?? 0
const mine = { uid, gid }
const bytes = (text: string) => Buffer.from(text)
const ROOT_ONLY = uid === 0 ? false : 'only root can give files away'

function tree(t: Test, content: Parameters<Test['testdir']>[0] = { etc: { tls: {} } }) {
  const root = t.testdir(content)
  return { root, files: createFiles({ root }), at: (path: string) => join(root, path) }
}

await t.test('a new file has its contents, owner and mode, whatever the umask', async t => {
  const { files, at } = tree(t)

  for (const umask of [0o000, 0o077]) {
    process.umask(umask)
    await files.create('/etc/tls/key.pem', {
      ...mine,
      contents: bytes('key'),
      mode: 0o640,
      overwrite: true,
    })
    process.umask(0o022)

    t.equal(readFileSync(at('etc/tls/key.pem'), 'utf8'), 'key')
    t.equal(statSync(at('etc/tls/key.pem')).mode & 0o7777, 0o640)
  }

  t.match(await files.stat('/etc/tls/key.pem'), { kind: 'file', mode: 0o640, ...mine, links: 1 })
  t.same(await files.list('/etc/tls'), ['key.pem'])
})

await t.test('an existing file is replaced only when asked to', async t => {
  const { files, at } = tree(t, { etc: { a: 'old' } })
  const file = { ...mine, contents: bytes('new'), mode: 0o600 }

  await t.rejects(files.create('/etc/a', { ...file, overwrite: false }), {
    code: 'write-failed',
    details: { errno: 'EEXIST' },
  })
  t.equal(readFileSync(at('etc/a'), 'utf8'), 'old')
  await files.create('/etc/a', { ...file, overwrite: true })
  t.equal(readFileSync(at('etc/a'), 'utf8'), 'new')
})

await t.test(
  'a symlink, a FIFO or a hard link in the way is replaced, never written through',
  async t => {
    const { files, at } = tree(t, { etc: { victim: 'untouched' } })
    symlinkSync('victim', at('etc/link'))
    linkSync(at('etc/victim'), at('etc/hard'))
    spawnSync('mkfifo', [at('etc/fifo')])
    mkdirSync(at('etc/dir'))
    const file = { ...mine, contents: bytes('ours'), mode: 0o600, overwrite: true }

    for (const name of ['link', 'hard', 'fifo']) {
      await files.create(`/etc/${name}`, file)
      t.equal(readFileSync(at(`etc/${name}`), 'utf8'), 'ours', name)
      t.ok(lstatSync(at(`etc/${name}`)).isFile(), name)
    }
    t.equal(readFileSync(at('etc/victim'), 'utf8'), 'untouched')
    await t.rejects(files.create('/etc/dir', file), { code: 'unsafe-path' })
  },
)

await t.test('nothing is written through a directory that others can change', async t => {
  const { files, at } = tree(t, { etc: { real: {}, loose: {}, group: {}, file: '' } })
  symlinkSync('real', at('etc/linked'))
  chmodSync(at('etc/loose'), 0o1777)
  chmodSync(at('etc/group'), 0o775)
  const file = { ...mine, contents: bytes('x'), mode: 0o600, overwrite: false }

  for (const directory of ['linked', 'loose', 'group', 'file']) {
    const path = `/etc/${directory}/x`
    await t.rejects(files.create(path, file), { code: 'unsafe-path' }, directory)
    await t.rejects(files.remove(path), { code: 'unsafe-path' }, directory)
    await t.rejects(files.makeDirectory(path, { ...mine, mode: 0o755 }), { code: 'unsafe-path' })
    await t.rejects(files.switchLink(path, 'a'), { code: 'unsafe-path' }, directory)
    await t.rejects(files.setOwnership(path, { ...mine, mode: 0o600 }), { code: 'unsafe-path' })
    await t.rejects(files.rename('/etc/real/a', path), { code: 'unsafe-path' }, directory)
  }
  for (const path of ['/etc/../etc/x', 'etc/x', '/etc//x', '/etc/./x', '/', '/etc/x\0y'])
    await t.rejects(files.create(path, file), { code: 'unsafe-path' }, JSON.stringify(path))
  t.same(readdirSync(at('etc/real')), [])
  const loose = mkdtempSync(join(tmpdir(), 'tlsfleet-edges-'))
  t.teardown(() => rmSync(loose, { recursive: true }))
  await t.rejects(createFiles().create(join(loose, 'x'), file), {
    code: 'unsafe-path',
    message: /is writable by others/,
  })
})

await t.test('a directory of the service user is refused', { skip: ROOT_ONLY }, async t => {
  const { files, at } = tree(t, { var: { influxdb: {} } })
  chownSync(at('var/influxdb'), 65534, 65534)

  const made = files.makeDirectory('/var/influxdb/tls', { ...mine, mode: 0o750 })

  await t.rejects(made, { code: 'unsafe-path', message: /belongs to user id 65534/ })
})

await t.test('rename replaces a file or a symlink, and follows none', async t => {
  const { files, at } = tree(t, { etc: { new: 'new', victim: 'untouched', b: {} } })
  symlinkSync('victim', at('etc/live'))

  await files.rename('/etc/new', '/etc/live')
  t.equal(readFileSync(at('etc/live'), 'utf8'), 'new')
  await files.rename('/etc/live', '/etc/b/live')

  t.equal(readFileSync(at('etc/b/live'), 'utf8'), 'new')
  t.equal(readFileSync(at('etc/victim'), 'utf8'), 'untouched')
  await t.rejects(files.rename('/etc/none', '/etc/live'), { code: 'write-failed' })
  await t.rejects(files.rename('/etc/victim', '/etc/b'), { code: 'unsafe-path' })
  await t.rejects(files.rename('/etc/victim', '/none/b'), { code: 'write-failed' })
})

await t.test('a link is switched in one step and may replace what a crash left', async t => {
  const { files, at } = tree(t, { tls: { releases: { a: { f: 'A' }, b: { f: 'B' } }, dir: {} } })
  symlinkSync('nowhere', at('tls/.tlsfleet-link-current'))

  await files.switchLink('/tls/current', 'releases/a')
  t.equal(await files.readLink('/tls/current'), 'releases/a')
  await files.switchLink('/tls/current', 'releases/b')

  t.equal(readlinkSync(at('tls/current')), 'releases/b')
  t.equal(Buffer.from((await files.read('/tls/current/f')) ?? []).toString(), 'B')
  await t.rejects(files.switchLink('/tls/current', '/etc/shadow'), { code: 'unsafe-path' })
  await t.rejects(files.switchLink('/tls/dir', 'releases/a'), { code: 'unsafe-path' })
  t.same(await files.list('/tls'), ['current', 'dir', 'releases'])
})

await t.test(
  'directories and owners are corrected, and left alone when they are right',
  async t => {
    const { files, at } = tree(t, { etc: { file: 'x' } })

    await files.makeDirectory('/etc/d', { ...mine, mode: 0o750 })
    await files.setOwnership('/etc/file', { ...mine, mode: 0o640 })
    const before = [await files.stat('/etc/d'), await files.stat('/etc/file')]
    await files.makeDirectory('/etc/d', { ...mine, mode: 0o750 })
    await files.setOwnership('/etc/file', { ...mine, mode: 0o640 })

    t.match(before, [
      { kind: 'directory', mode: 0o750 },
      { kind: 'file', mode: 0o640 },
    ])
    t.same([await files.stat('/etc/d'), await files.stat('/etc/file')], before)
    await files.makeDirectory('/etc/d', { ...mine, mode: 0o711 })
    t.match(await files.stat('/etc/d'), { mode: 0o711 })
    linkSync(at('etc/file'), at('etc/other'))
    spawnSync('mkfifo', [at('etc/fifo')])
    symlinkSync('file', at('etc/link'))
    for (const name of ['file', 'fifo', 'link'])
      await t.rejects(files.setOwnership(`/etc/${name}`, { ...mine, mode: 0o666 }), {
        code: 'unsafe-path',
      })
    await t.rejects(files.makeDirectory('/etc/file', { ...mine, mode: 0o755 }), {
      code: 'unsafe-path',
    })
    await t.rejects(files.makeDirectory('/no/d', { ...mine, mode: 0o755 }), {
      code: 'write-failed',
    })
    t.equal(lstatSync(at('etc/file')).mode & 0o777, 0o640)
  },
)

await t.test('files can be given to a service user by root only', async t => {
  const { files, at } = tree(t)
  const file = { contents: bytes('k'), uid: 65534, gid: 65534, mode: 0o400, overwrite: false }

  if (uid === 0) {
    await files.create('/etc/tls/k', file)
    t.match(lstatSync(at('etc/tls/k')), { uid: 65534, gid: 65534 })
    t.match(await files.stat('/etc/tls/k'), { mode: 0o400 })
  } else {
    await t.rejects(files.create('/etc/tls/k', file), { code: 'permission-denied' })
    t.same(await files.list('/etc/tls'), [], 'nothing is left behind')
  }
})

await t.test('a whole directory is removed, without leaving it through a symlink', async t => {
  const { files, at } = tree(t, { keep: { f: 'kept' }, gone: { sub: { f: '1' }, g: '2' } })
  symlinkSync('../../keep', at('gone/sub/link'))
  symlinkSync('keep', at('link'))

  await files.remove('/gone')
  await files.remove('/link')
  await files.remove('/gone')
  await files.remove('/none/at/all')

  t.same(readdirSync(at('.')), ['keep'])
  t.equal(readFileSync(at('keep/f'), 'utf8'), 'kept')
})

await t.test('reading takes regular files only, of a bearable size, and never hangs', async t => {
  const { files, at } = tree(t, { etc: { f: 'text', empty: '' } })
  spawnSync('mkfifo', [at('etc/fifo')])
  symlinkSync('fifo', at('etc/to-fifo'))
  symlinkSync('nowhere', at('etc/dangling'))
  symlinkSync('ring', at('etc/ring'))
  writeFileSync(at('etc/big'), '')
  spawnSync('truncate', ['--size', String(FILE_BYTES_MAX + 1), at('etc/big')])

  t.equal(Buffer.from((await files.read('/etc/f')) ?? []).toString(), 'text')
  t.equal((await files.read('/etc/empty'))?.length, 0)
  for (const path of ['/etc/none', '/none/f', '/etc/f/x', '/etc/dangling'])
    t.equal(await files.read(path), undefined, path)
  for (const path of ['/etc/fifo', '/etc/to-fifo', '/etc'])
    await t.rejects(files.read(path), { code: 'not-a-file' }, path)
  await t.rejects(files.read('/etc/big'), { code: 'file-too-large' })
  await t.rejects(files.read('/etc/ring'), { code: 'file-unreadable' })
  t.match(await files.stat('/etc/fifo'), { kind: 'other' })
  t.match(await files.stat('/etc/dangling'), { kind: 'symlink' })
  t.equal(await files.statFollowed('/etc/dangling'), undefined)
  t.equal(await files.readLink('/etc/f'), undefined)
  t.equal(await files.readLink('/etc/none'), undefined)
  t.same(await files.list('/none'), [])
  await t.rejects(files.list('/etc/f'), { code: 'file-unreadable' })
})

await t.test('files without size, as those of /proc, are read to their end', async t => {
  const text = Buffer.from((await createFiles().read('/proc/self/status')) ?? []).toString()

  t.match(text, /^Name:.*nonvoluntary_ctxt_switches:\t\d+\n$/s)
})

await t.test(
  'the room that is left is that of the directory, or of the next one above',
  async t => {
    const { files, root } = tree(t)
    const { bavail, bsize } = statfsSync(root)
    const freeBytes = (await files.freeBytes('/etc/tls')) ?? 0

    // Others write to this disk meanwhile.
    t.ok(Math.abs(freeBytes - bavail * bsize) < 1024 ** 3, `${freeBytes}`)
    t.ok(((await files.freeBytes('/etc/none/of/it')) ?? 0) > 0)
    t.equal(await createFiles().freeBytes('/proc/self'), undefined, 'it has no size')
  },
)

await t.test('below another root no symlink leads out of it', async t => {
  const { files, at } = tree(t, { etc: { real: { f: 'inside' } }, usr: {} })
  symlinkSync('/etc/real', at('usr/absolute'))
  symlinkSync('../../../../../../etc/real', at('usr/above'))
  symlinkSync('/etc/passwd', at('usr/passwd'))
  symlinkSync('absolute/f', at('usr/twice'))

  for (const path of ['/usr/absolute/f', '/usr/above/f', '/usr/twice'])
    t.equal(Buffer.from((await files.read(path)) ?? []).toString(), 'inside', path)
  t.equal(await files.read('/usr/passwd'), undefined)
  t.match(await files.statFollowed('/usr/absolute'), { kind: 'directory' })
  t.match(await files.stat('/usr/absolute'), { kind: 'symlink' })
  t.equal(await files.readLink('/usr/passwd'), '/etc/passwd')
  t.same(await files.list('/usr/above'), ['f'])
  t.match(await files.stat('/'), { kind: 'directory' })
})

await t.test(
  'paths that share a directory are found together where each is found alone',
  async t => {
    const { files, at } = tree(t, {
      etc: { a: { f: 'one', sub: { f: 'below' } }, b: { f: 'two' } },
    })
    symlinkSync('/etc/a/sub', at('etc/b/sub'))
    symlinkSync('../a', at('etc/b/up'))
    const paths = [
      '/',
      '/..',
      '/etc',
      '/etc/',
      '/etc/a/.',
      '/etc/a/..',
      '/etc/b/sub/f',
      '/etc/b/sub/../f',
    ]
    paths.push(
      '/etc/b/sub/..',
      '/etc/b/up/sub/f',
      '/etc/b/f/x',
      '/etc//b/f',
      '/../etc/b/f',
      'etc/b/f',
    )
    const together = await files.versions([...paths, ...paths.toReversed()])
    for (const path of paths)
      t.equal(together.get(path), (await files.stat(path))?.version ?? 'none', path)
    t.equal(new Set(together.values()).size, 7, 'root, etc, a, b/f, a/f, sub/f, and none')
  },
)

await t.test('versions of many paths are those of each, behind symlinks as well', async t => {
  const { files, at } = tree(t, { etc: { a: { f: 'one' }, b: { f: 'two' } } })
  symlinkSync('a', at('etc/current'))
  symlinkSync('/etc/current/f', at('etc/far'))
  symlinkSync('nowhere', at('etc/dangling'))
  const paths = ['/etc/a/f', '/etc/current', '/etc/current/f', '/etc/far', '/etc/dangling', '/no/f']
  const look = async () => {
    const together = await files.versions(paths)
    for (const path of paths)
      t.equal((await files.versions([path])).get(path), together.get(path), path)
    return together
  }

  const before = await look()
  t.equal(before.get('/no/f'), 'none')
  t.equal(before.get('/etc/current/f'), before.get('/etc/a/f'))
  t.same(await look(), before)
  unlinkSync(at('etc/current'))
  symlinkSync('b', at('etc/current'))
  const switched = await look()
  for (const path of paths) {
    const isBehind = path.startsWith('/etc/current') || path === '/etc/far'
    t.equal(switched.get(path) !== before.get(path), isBehind, path)
  }
})

await t.test('the version of a file moves with every change, and only then', async t => {
  const { files, at } = tree(t, { etc: { f: 'one' } })
  const versions = new Set<string | undefined>()
  const note = async () => versions.add((await files.stat('/etc/f'))?.version)

  await note()
  await note()
  t.equal(versions.size, 1)
  writeFileSync(at('etc/f'), 'two')
  await note()
  chmodSync(at('etc/f'), 0o600)
  await note()
  writeFileSync(at('etc/g'), 'two')
  renameSync(at('etc/g'), at('etc/f'))
  await note()
  unlinkSync(at('etc/f'))
  await note()

  t.equal(versions.size, 5)
  t.ok(versions.has(undefined))
})

await t.test(
  'a parent that is swapped for a symlink meanwhile leads no write elsewhere',
  async t => {
    const { files, at } = tree(t, { victim: {}, work: { d: {} } })
    const file = { ...mine, contents: bytes('x'), mode: 0o600, overwrite: true }
    // Swaps work/d between a directory and a symlink to the victim as fast as it can.
    const swap = `cd "$1" && while :; do mv -T d e; ln -s ../victim d; rm d; mv -T e d; done 2>/dev/null`
    const { spawn } = await import('node:child_process')
    const attacker = spawn('sh', ['-c', swap, 'sh', at('work')], {
      detached: true,
      stdio: 'ignore',
    })
    const seen = new Map<string, number>()
    const count = (what: string) => seen.set(what, (seen.get(what) ?? 0) + 1)

    for (let i = 0; i < 300; i++) {
      const outcome = files.create('/work/d/f', file).then(
        () => 'written',
        (error: unknown) =>
          error instanceof Error && 'code' in error ? String(error.code) : 'odd',
      )
      count(await outcome)
    }
    if (attacker.pid !== undefined) process.kill(-attacker.pid)

    t.comment(Object.fromEntries(seen))
    t.same(readdirSync(at('victim')), [])
    t.notOk(existsSync(at('victim/f')))
    t.notOk(seen.has('odd'))
  },
)
