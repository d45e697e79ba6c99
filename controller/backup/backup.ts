// `tlsfleet-controller backup`: one file with all that a controller keeps, beside a running one or
// without it. The file appears under its name only when it is complete, and is read back.

import { existsSync, renameSync, rmSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { OperationalError } from '../../shared/errors.ts'
import { checkBackup, type CheckedBackup } from './check.ts'
import { takeSnapshot } from './snapshot.ts'
import { syncPath, writeSynced } from './synced-file.ts'

export interface BackupOptions {
  readonly dataDir: string
  readonly out: string
  readonly version: string
  readonly nowMs: number
}

/** Throws what `takeSnapshot`, `writeArchive` and `checkBackup` throw. */
export async function writeBackup(options: BackupOptions): Promise<CheckedBackup> {
  const { dataDir, version, nowMs } = options
  const out = resolve(options.out)
  requireFree(out)
  const snapshot = await takeSnapshot({ dataDir, scratch: dirname(out), version, nowMs })
  try {
    await writeArchive(out, snapshot.content())
  } finally {
    snapshot.discard()
  }
  return checkBackup(out)
}

/** Writes beside the name, syncs, and takes the name. Throws `backup-exists`, `backup-unwritable`. */
export async function writeArchive(out: string, content: AsyncIterable<Buffer>): Promise<void> {
  requireFree(out)
  const part = join(dirname(out), `.${basename(out)}.${process.pid}.part`)
  try {
    await writeSynced(part, content)
    renameSync(part, out)
    syncPath(dirname(out))
  } catch (cause) {
    rmSync(part, { force: true })
    if (cause instanceof OperationalError) throw cause
    throw new OperationalError('backup-unwritable', `could not write ${out}`, { cause })
  }
}

// A good backup is not replaced by a later one that may be worse.
function requireFree(out: string): void {
  if (!existsSync(out)) return
  throw new OperationalError('backup-exists', `${out} exists and is left as it is`, {
    hint: 'Name another file.',
  })
}
