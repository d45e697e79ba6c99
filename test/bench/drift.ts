// How long an edit by hand lasts: from the write to the file being as it was, byte for byte.

import { readFileSync, watch, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import type { Daemon } from './daemon.ts'

const FILE = 'etc/influxdb/influxdb.conf'
// Every edit comes to an agent at rest, as edits do: nothing of the one before is measured with it.
const QUIET_MS = 400
const TIMEOUT_MS = 30_000

/** Milliseconds by edit. */
export async function correctDrift(daemon: Daemon, edits: number): Promise<readonly number[]> {
  const path = join(daemon.node.root, FILE)
  const good = readFileSync(path)
  const bad = good.toString().replace('https-enabled = true', 'https-enabled = false')
  if (bad === good.toString()) throw new Error(`${FILE} has no https-enabled = true`)
  const took: number[] = []
  while (took.length < edits) {
    await daemon.idle(QUIET_MS)
    const restored = untilRestored(path, good)
    const startMs = performance.now()
    writeFileSync(path, bad)
    took.push((await restored) - startMs)
  }
  return took
}

/** When the file had this content again; looked at whenever something moves in its directory. */
function untilRestored(path: string, good: Buffer): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  let isEdited = false
  const watcher = watch(dirname(path), (_, name) => {
    if (name !== basename(path)) return
    const nowMs = performance.now()
    const isGood = readFileSync(path).equals(good)
    if (isEdited && isGood) resolve(nowMs)
    if (!isGood) isEdited = true
  })
  const timer = setTimeout(() => reject(new Error(`${path} was not corrected`)), TIMEOUT_MS)
  return promise.finally(() => {
    clearTimeout(timer)
    watcher.close()
  })
}
