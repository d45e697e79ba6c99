// One controller process per SQLite database. The lock is one of SQLite's own on a side database:
// the kernel drops it when its holder dies, however it dies, so nothing is left to clean up.

import { closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import { isBusy, translateError } from './sqlite-errors.ts'

export interface StoreLock {
  release(): void
}

/** Takes the lock `<path>.lock` or throws `store-locked`, naming the process that holds it. */
export function takeStoreLock(path: string, busyTimeoutMs: number): StoreLock {
  const lockPath = `${path}.lock`
  createPrivateFile(lockPath)
  const database = openLock(lockPath, busyTimeoutMs)
  try {
    // Readers are let in beside a reserved lock, so the next one can say who holds it.
    database.exec('begin immediate')
    database.exec('create table if not exists holder (id integer primary key, pid integer) strict')
    database.prepare('insert or replace into holder values (1, ?)').run(process.pid)
    database.exec('commit')
    database.exec('begin immediate')
  } catch (error) {
    const holder = isBusy(error) ? holderOf(database) : undefined
    database.close()
    if (!isBusy(error)) throw translateError(error, lockPath)
    const who = holder === undefined ? 'another process' : `process ${holder}`
    throw new OperationalError(
      'store-locked',
      `could not open the store ${path}: ${who} has it open`,
      {
        hint: 'one controller runs on a database; stop the other one',
        details: { path, pid: holder },
        cause: error,
      },
    )
  }
  return { release: () => database.close() }
}

/**
 * Creates the file for its owner alone; one that exists is not even opened, because closing it would
 * drop every lock that this process has on it.
 */
export function createPrivateFile(path: string): void {
  try {
    closeSync(openSync(path, 'ax', 0o600))
  } catch (cause) {
    if (systemErrorCode(cause) === 'EEXIST') return
    throw new OperationalError('store-unavailable', `could not create ${path}`, { cause })
  }
}

function openLock(lockPath: string, timeout: number): DatabaseSync {
  try {
    return new DatabaseSync(lockPath, { timeout })
  } catch (error) {
    throw translateError(error, lockPath)
  }
}

function holderOf(database: DatabaseSync): number | undefined {
  try {
    const pid = database.prepare('select pid from holder').get()?.['pid']
    return typeof pid === 'number' ? pid : undefined
  } catch {
    // Who holds it only makes the message better: it may be just about to write that.
    return undefined
  }
}
