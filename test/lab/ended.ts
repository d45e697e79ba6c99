// The end of a program that `lab.spawn` has started.

import type { ChildProcess } from 'node:child_process'

/**
 * Kills it, and resolves when it is gone with all that it has started: none of them writes a file any
 * more. Its output must be read.
 */
export async function ended(child: ChildProcess): Promise<void> {
  // Its pipes are closed when every process that held them is gone.
  const closed = new Promise(resolve => child.once('close', resolve))
  const isClosed = child.stdout?.closed !== false && child.stderr?.closed !== false
  if (isClosed && (child.exitCode !== null || child.signalCode !== null)) return
  child.kill('SIGKILL')
  await closed
}
