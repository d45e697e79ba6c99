// Writing where the disk fails: really full, really read-only, with errors injected by strace.

import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import t from 'tap'

// Parents that a group can write are refused, and t.testdir() would make such ones under umask 002.
process.umask(0o022)

const CHILD = join(import.meta.dirname, 'edges-disk-child.ts')
const isRoot = process.getuid?.() === 0
const namespaces = spawnSync('unshare', ['--mount', 'true']).status === 0
const tracing = spawnSync('strace', ['-e', 'trace=none', 'true']).status === 0
const NO_MOUNT = isRoot && namespaces ? false : 'needs root and mount namespaces'
const NO_TRACE = isRoot && namespaces && tracing ? false : 'needs root, mount namespaces and strace'

/** `prepare` is run by sh with the fresh tmpfs as $1; `wrap` goes in front of the child's argv. */
function inNamespace(
  directory: string,
  options: {
    readonly scenario: string
    readonly mount: string
    readonly prepare?: string
    readonly wrap?: readonly string[]
  },
): unknown {
  const { scenario, mount, prepare = ':', wrap = [] } = options
  const script = `mount -t tmpfs -o mode=755,${mount} tmpfs "$1" && ${prepare} && shift && exec "$@"`
  const child = [...wrap, process.execPath, CHILD, scenario, directory]
  const run = spawnSync('unshare', ['--mount', 'sh', '-c', script, 'sh', directory, ...child], {
    encoding: 'utf8',
  })
  if (run.status !== 0) throw new Error(`exit ${run.status}: ${run.stderr}`)
  return JSON.parse(run.stdout)
}

await t.test(
  'on a full disk a file is complete or not there, and works again later',
  { skip: NO_MOUNT },
  t => {
    t.same(inNamespace(t.testdir({}), { scenario: 'fill', mount: 'size=64k' }), {
      outcomes: ['disk-full, retryable: nothing', 'done: all'],
      // An inode of a tmpfs is not taken from its size.
      whenFull: ['disk-full, retryable', 'done', 'done'],
      later: 'done',
      live: 'old',
    })
    t.end()
  },
)

await t.test('without inodes nothing is made and nothing is left', { skip: NO_MOUNT }, t => {
  const made = inNamespace(t.testdir({}), {
    scenario: 'attempts',
    mount: 'size=1m,nr_inodes=2',
    prepare: 'touch "$1/live"',
  })

  t.match(made, {
    codes: ['disk-full, retryable', 'disk-full, retryable', 'disk-full, retryable', 'done'],
  })
  t.match(made, { names: ['moved'] })
  t.end()
})

await t.test('a read-only file system is told as such', { skip: NO_MOUNT }, t => {
  const made = inNamespace(t.testdir({}), {
    scenario: 'attempts',
    mount: 'size=1m',
    prepare: 'touch "$1/live" && mount -o remount,ro "$1"',
  })

  const refused = 'read-only, retryable'
  t.same(made, { codes: [refused, refused, refused, refused, refused, refused], names: ['live'] })
  t.end()
})

await t.test('every fsync counts: one that fails fails its operation', { skip: NO_TRACE }, t => {
  const inject = (fault: string) =>
    inNamespace(t.testdir({}), {
      scenario: 'attempts',
      mount: 'size=1m',
      prepare: 'touch "$1/live"',
      // strace counts by thread, so there must be one only.
      wrap: [
        'env',
        'UV_THREADPOOL_SIZE=1',
        'strace',
        '-f',
        '-o',
        '/dev/null',
        '-e',
        `inject=fsync:${fault}`,
      ],
    })
  const done = ['done', 'done', 'done', 'done', 'done', 'write-failed']

  // File and directory of create, both directories of makeDirectory, that of switchLink, of rename.
  for (const [index, operation] of [0, 0, 1, 1, 2, 3].entries())
    t.match(inject(`error=EIO:when=${index + 1}`), {
      codes: done.with(operation, 'write-failed'),
      // A file that is not surely on disk is taken back, by create.
      names: operation === 0 ? ['dir', 'link', 'moved'] : ['dir', 'link', 'moved', 'next'],
    })
  t.match(inject('error=EIO:when=7'), { codes: done })
  t.match(inject('error=EDQUOT:when=1'), { codes: done.with(0, 'disk-full, retryable') })
  t.end()
})

await t.test('without descriptors it fails for now', t => {
  const argv = ['-c', 'ulimit -n 64 && exec "$@"', 'sh', process.execPath, CHILD, 'descriptors']
  const run = spawnSync('sh', [...argv, t.testdir({})], { encoding: 'utf8' })

  t.equal(run.stderr, '')
  t.same(JSON.parse(run.stdout), { codes: ['write-failed, retryable', 'done'], names: ['next'] })
  t.end()
})
