// A copy of the database as of one moment, taken while a controller goes on writing to it: SQLite's
// own backup, from a second connection that holds that moment.

import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { Epoch, Name } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import { databasePath, notInitialised } from '../init.ts'
import { translateError } from '../store/sqlite-errors.ts'
import { createPrivateFile } from '../store/store-lock.ts'
import { archiveOf, type Header, type MemberName, memberOf } from './archive.ts'

export interface Snapshot {
  readonly header: Header
  /** The archive, once. */
  readonly content: () => AsyncGenerator<Buffer>
  /** Must be called, whatever became of the archive. */
  discard(): void
}

export interface SnapshotOptions {
  readonly dataDir: string
  /** An existing directory that only this user can look into gets a directory of its own in it. */
  readonly scratch: string
  readonly version: string
  readonly nowMs: number
}

// One page more than a busy disk reads in a moment: other work of the process goes on in between.
const PAGES_AT_ONCE = 256
const BUSY_TIMEOUT_MS = 5_000

/** Throws `not-initialised`, `backup-unwritable` and the errors of a store. */
export async function takeSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  const { dataDir, scratch, version, nowMs } = options
  const source = databasePath(dataDir)
  if (!existsSync(source)) throw notInitialised(dataDir)
  const directory = makeScratch(scratch)
  const discard = () => rmSync(directory, { recursive: true, force: true })
  try {
    const copy = join(directory, 'controller.db')
    await copyDatabase(source, copy)
    const facts = closeDatabase(copy, dataDir)
    const settings = join(dataDir, 'controller.toml')
    const paths = new Map<MemberName, string>([['controller.db', copy]])
    if (existsSync(settings)) paths.set('controller.toml', settings)
    const members = []
    for (const [name, path] of paths) members.push(await memberOf(name, path))
    const header = { ...facts, createdAtMs: nowMs, version, members }
    const pathOf = (name: MemberName) => paths.get(name) ?? join(dirname(copy), name)
    return { header, content: () => archiveOf(header, pathOf), discard }
  } catch (error) {
    discard()
    throw translateError(error, source)
  }
}

const SCRATCH = '.tlsfleet-backup-'

/** What a controller that was killed in the middle of a backup has left behind. */
export function discardLeftovers(dataDir: string): void {
  for (const name of readdirSync(dataDir))
    if (name.startsWith(SCRATCH)) rmSync(join(dataDir, name), { recursive: true, force: true })
}

function makeScratch(parent: string): string {
  try {
    return mkdtempSync(join(parent, SCRATCH))
  } catch (cause) {
    throw new OperationalError('backup-unwritable', `could not write to ${parent}`, { cause })
  }
}

async function copyDatabase(source: string, copy: string): Promise<void> {
  // SQLite would make it with the permissions that the umask leaves.
  createPrivateFile(copy)
  const reader = new DatabaseSync(source, { readOnly: true, timeout: BUSY_TIMEOUT_MS })
  try {
    // Holds the moment: without it every commit of the controller would begin the copy anew.
    reader.exec('begin; select 1 from sqlite_schema')
    await backup(reader, copy, { rate: PAGES_AT_ONCE })
  } finally {
    reader.close()
  }
}

// After it the file does not change any more.
function closeDatabase(copy: string, dataDir: string): Pick<Header, 'fleet' | 'epoch'> {
  const database = new DatabaseSync(copy)
  try {
    // One file, without a log beside it.
    database.exec('pragma journal_mode = delete')
    const setting = database.prepare('select value from settings where name = ?')
    const fleet = Name.safeParse(setting.get('fleet')?.['value'])
    if (!fleet.success) throw notInitialised(dataDir)
    const epoch = Epoch.safeParse(Number(setting.get('epoch')?.['value'] ?? 0))
    return { fleet: fleet.data, ...(epoch.success ? { epoch: epoch.data } : {}) }
  } finally {
    database.close()
  }
}
