// What SQLite says, as errors that tell an operator what to do.

import { OperationalError } from '../../shared/errors.ts'

// Primary result codes, https://sqlite.org/rescode.html
const BUSY = 5
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const NOTADB = 26
// Extended ones.
const CONSTRAINT_FOREIGNKEY = 787
const CONSTRAINT_PRIMARYKEY = 1555
const CONSTRAINT_UNIQUE = 2067

const RESTORE_HINT =
  'keep a copy of the file and of its -wal file, and restore the last backup of the database'

/** The error to throw for one that a statement threw: SQLite's in our words, any other as it is. */
export function translateError(error: unknown, path: string): unknown {
  const code = sqliteCode(error)
  if (code === undefined) return error
  const options = { cause: error, details: { path } }
  switch (code & 0xff) {
    case CORRUPT:
    case NOTADB:
      return corrupt(`could not read the store ${path}`, error, { path })
    case BUSY:
      return new OperationalError('store-busy', `could not get at the store ${path} in time`, {
        ...options,
        retryable: true,
      })
    case FULL:
      return new OperationalError('disk-full', `could not write to the store ${path}`, {
        ...options,
        retryable: true,
        hint: 'make room on its file system; nothing of the transaction was kept',
      })
    case READONLY:
    case IOERR:
    case CANTOPEN:
      return new OperationalError('store-unavailable', `could not use the store ${path}`, {
        ...options,
        retryable: true,
        hint: 'check the file, its owner and its file system',
      })
    default:
      return error
  }
}

export function corrupt(
  message: string,
  cause: unknown,
  details: Readonly<Record<string, unknown>> = {},
): OperationalError {
  return new OperationalError('store-corrupt', message, { cause, details, hint: RESTORE_HINT })
}

export function isBusy(error: unknown): boolean {
  return ((sqliteCode(error) ?? 0) & 0xff) === BUSY
}

/** Runs an insert; `already-exists` when its key is taken, `not-found` when what it refers to is not there. */
export async function inserting<T>(what: string, insert: Promise<T>): Promise<T> {
  try {
    return await insert
  } catch (error) {
    const code = sqliteCode(error)
    if (isTaken(error)) {
      throw new OperationalError('already-exists', `could not add ${what}: it is there already`)
    }
    if (code === CONSTRAINT_FOREIGNKEY) {
      throw new OperationalError('not-found', `could not add ${what}: its node does not exist`)
    }
    throw error
  }
}

/** A unique key is taken. */
export function isTaken(error: unknown): boolean {
  const code = sqliteCode(error)
  return code === CONSTRAINT_PRIMARYKEY || code === CONSTRAINT_UNIQUE
}

function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errcode' in error)) return undefined
  return typeof error.errcode === 'number' ? error.errcode : undefined
}
