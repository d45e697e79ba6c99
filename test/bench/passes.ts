// Warm passes over a converged node, in an agent process of their own: what they cost, what they
// start, what they write.

import { spawnSync } from 'node:child_process'
import { existsSync, globSync, lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { AGENT_FLAGS } from '../../systemd/flags.ts'
import { describeOutcome, runCommand } from '../lab/command.ts'
import type { Standalone } from './bench-node.ts'
import { MARKS, type PassResult } from './pass-process.ts'
import { ENVIRONMENT } from './programs.ts'

const PROGRAM = join(import.meta.dirname, 'pass-process.ts')

export async function measurePasses(at: Standalone, passes: number): Promise<PassResult> {
  return run(at, process.execPath, [], passes)
}

/** Files that these passes wrote, made, moved, removed or changed in any other way. */
export async function countWrites(at: Standalone, passes: number): Promise<number> {
  const strace = '/usr/bin/strace'
  if (!existsSync(strace) || spawnSync(strace, ['-qq', 'true']).status !== 0)
    return countByLooking(at, passes)
  const trace = join(at.node.root, 'tmp/trace')
  const calls = [...CHANGES, ...OPENS, ...WRITES, ...MARKERS].map(name => `?${name}`).join(',')
  await run(at, strace, ['-f', '-y', '-qq', '-o', trace, '-e', `trace=${calls}`], passes)
  return writesIn(readFileSync(trace, 'utf8')).length
}

async function run(
  { node, desired }: Standalone,
  file: string,
  before: readonly string[],
  passes: number,
): Promise<PassResult> {
  const program = [...AGENT_FLAGS, PROGRAM, node.root, node.systemctl, desired, String(passes)]
  const argv = file === process.execPath ? program : [...before, process.execPath, ...program]
  const outcome = await runCommand(file, argv, { env: ENVIRONMENT, timeoutMs: 120_000 })
  if (outcome.code !== 0) throw new Error(describeOutcome('passes', outcome))
  const result: PassResult = JSON.parse(outcome.stdout)
  return result
}

const CHANGES = words(`
  rename renameat renameat2 unlink unlinkat link linkat symlink symlinkat mkdir mkdirat rmdir mknod
  mknodat creat truncate ftruncate fallocate chmod fchmod fchmodat fchmodat2 chown fchown lchown
  fchownat utime utimes utimensat futimesat setxattr lsetxattr fsetxattr removexattr lremovexattr
  fremovexattr fsync fdatasync copy_file_range`)
const OPENS = words('open openat openat2')
const WRITES = words('write writev pwrite64 pwritev pwritev2 sendfile splice')
const MARKERS = words('stat lstat newfstatat statx')

function words(text: string): readonly string[] {
  return text.split(/\s+/).filter(word => word !== '')
}

/** Lines of the trace that say that a file was changed, between the two marks. */
export function writesIn(trace: string): readonly string[] {
  const lines = trace.split('\n')
  const begin = lines.findIndex(line => line.includes(MARKS.begin))
  const end = lines.findIndex(line => line.includes(MARKS.end))
  if (begin === -1 || end <= begin) throw new Error('the trace does not hold the passes')
  return lines.slice(begin + 1, end).filter(isWrite)
}

function isWrite(line: string): boolean {
  const [, call = '', rest = ''] = /^\d+\s+(\w+)\((.*)$/.exec(line) ?? []
  // What was refused has changed nothing.
  if (/ = -1 /.test(rest)) return false
  if (CHANGES.includes(call)) return true
  if (OPENS.includes(call)) return /O_WRONLY|O_RDWR|O_CREAT|O_TRUNC/.test(rest)
  // Sockets, pipes and events have no path.
  return WRITES.includes(call) && /^\d+<\//.test(rest)
}

// Without a tracer: what the passes leave behind. The products go on writing their own data.
async function countByLooking(at: Standalone, passes: number): Promise<number> {
  const before = look(at.node.root)
  await run(at, process.execPath, [], passes)
  const after = look(at.node.root)
  const paths = new Set([...before.keys(), ...after.keys()])
  return [...paths].filter(path => before.get(path) !== after.get(path)).length
}

function look(root: string): ReadonlyMap<string, string> {
  const paths = globSync('{etc,usr,root,tmp,var/lib/tlsfleet}/**', { cwd: root })
  return new Map(
    paths.map(path => {
      const stat = lstatSync(join(root, path), { bigint: true, throwIfNoEntry: false })
      return [path, `${stat?.ino} ${stat?.mode} ${stat?.size} ${stat?.mtimeNs} ${stat?.ctimeNs}`]
    }),
  )
}
