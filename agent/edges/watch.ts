// Wakes the loop when a managed file may have changed. Files are watched together with the
// directories on their way, so that atomic replacement, deletion, switched links and directories
// that come and go are all seen. What it misses, the periodic full check finds.

import type { FSWatcher } from 'chokidar'
import { basename, dirname } from 'node:path'
import { STAGED_PREFIX } from './files.ts'

export interface Watcher {
  /** All files to be watched from now on. Cheap when they are the same as before. */
  setPaths(files: readonly string[]): void
  /** Resolves when what was set last is being watched, and nothing that was seen is still to be told. */
  settled(): Promise<void>
  close(): Promise<void>
}

// When a directory appears, more is about to appear in it.
const REARM_MS = 100
// chokidar drops what follows a change of the same file within 50 ms and differs in mode or owner
// only. Told once more this much later, whoever looks then sees that as well.
const TELL_AGAIN_MS = 75

interface Again {
  readonly timer: NodeJS.Timeout
  readonly again: () => void
  readonly told: Promise<void>
}

/**
 * `onChange` may be called for changes of this process itself, and several times for one change.
 * `onProblem` tells that not everything can be watched (the system's limit of watches).
 */
export function createWatcher(
  onChange: (path: string) => void,
  onProblem: (error: unknown) => void = () => {},
): Watcher {
  let files: readonly string[] = []
  let watcher: FSWatcher | undefined
  let work = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  const changed = new Map<string, Again>()
  let closed = false

  function enqueue(task: () => Promise<void>): void {
    work = work.then(task).catch(onProblem)
  }

  async function arm(): Promise<void> {
    await watcher?.close()
    watcher = undefined
    if (closed || files.length === 0) return
    // Loaded only where something is watched: plan, apply and verify need none.
    const chokidar = await import('chokidar')
    const wanted = withAncestors(files)
    const mine = chokidar.watch([...wanted], {
      depth: 0,
      ignoreInitial: true,
      followSymlinks: false,
      atomic: false,
      ignored: path => !wanted.has(path) || basename(path).startsWith(STAGED_PREFIX),
    })
    watcher = mine
    const managed = new Set(files)
    mine.on('all', (event, path) => {
      // A directory that comes or goes takes the watches of everything in it along.
      if (event === 'addDir' || event === 'unlinkDir') rearm()
      else if (managed.has(path)) tell(path)
    })
    mine.on('error', onProblem)
    await new Promise<void>(resolve => mine.once('ready', resolve))
  }

  function tell(path: string): void {
    if (closed || changed.has(path)) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const again = () => {
      changed.delete(path)
      if (!closed) onChange(path)
      resolve()
    }
    changed.set(path, { timer: setTimeout(again, TELL_AGAIN_MS), again, told: promise })
    onChange(path)
  }

  function rearm(): void {
    clearTimeout(timer)
    timer = setTimeout(() => enqueue(armAndLook), REARM_MS)
  }

  // What happened while nobody watched, since whoever set these files looked at them, is found by
  // looking once more.
  async function armAndLook(): Promise<void> {
    await arm()
    const [path] = files
    if (!closed && path !== undefined) onChange(path)
  }

  return {
    setPaths(next) {
      const same = next.length === files.length && next.every((file, i) => file === files[i])
      if (same || closed) return
      files = [...next]
      enqueue(armAndLook)
    },
    async settled() {
      await work
      while (changed.size > 0) await Promise.all([...changed.values()].map(({ told }) => told))
      await work
    },
    async close() {
      closed = true
      clearTimeout(timer)
      for (const { timer: pending, again } of changed.values()) {
        clearTimeout(pending)
        again()
      }
      await work
      await watcher?.close()
    },
  }
}

/** The root directory itself is left out: everything happens below it. */
function withAncestors(files: readonly string[]): ReadonlySet<string> {
  const paths = new Set<string>()
  for (const file of files)
    for (let path = file; path !== dirname(path); path = dirname(path)) paths.add(path)
  return paths
}
