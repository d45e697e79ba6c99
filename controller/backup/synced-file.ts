// Files that are on disk when a function returns.

import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'

/** A new file for its owner alone. */
export async function writeSynced(path: string, content: AsyncIterable<Buffer>): Promise<void> {
  const file = openSync(path, 'wx', 0o600)
  try {
    for await (const chunk of content) {
      for (let done = 0; done < chunk.length; ) done += writeSync(file, chunk, done)
    }
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** After a rename in it; also syncs a single file that somebody else wrote. */
export function syncPath(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
