// The store on node:sqlite: one file, one process, one connection, one transaction at a time.

import { AsyncLocalStorage } from 'node:async_hooks'
import { closeSync, existsSync, fsyncSync, openSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { assert } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { RolloutPlan } from '../rollout/rollout.ts'
import { migrate } from './migrate.ts'
import type { Schema } from './schema.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import { corrupt, translateError } from './sqlite-errors.ts'
import type { Store, Transaction } from './store.ts'
import { createPrivateFile, takeStoreLock } from './store-lock.ts'
import { auditTable } from './tables/audit.ts'
import { authoritiesTable } from './tables/authorities.ts'
import { credentialsTable } from './tables/credentials.ts'
import { desiredTable } from './tables/desired.ts'
import { identitiesTable } from './tables/identities.ts'
import { leasesTable } from './tables/leases.ts'
import { leavesTable } from './tables/leaves.ts'
import { nodesTable } from './tables/nodes.ts'
import { reportsTable } from './tables/reports.ts'
import { revisionsTable } from './tables/revisions.ts'
import { rolloutsTable } from './tables/rollouts.ts'
import { settingsTable } from './tables/settings.ts'
import { tokensTable } from './tables/tokens.ts'

export interface SqliteStoreOptions {
  /** The database file, or `:memory:`. */
  readonly path: string
  /** How long to wait for a lock of another process, which blocks this one. */
  readonly busyTimeoutMs: number
  /** For the record of migrations. */
  readonly nowMs?: number
}

/**
 * Opens, and where needed creates and migrates, the database. Throws `store-locked` while another
 * process has it, `store-too-new`, `store-corrupt`, `store-unavailable`.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { path, busyTimeoutMs, nowMs = Date.now() } = options
  if (path === ':memory:') {
    const database = new DatabaseSync(path)
    migrate(database, { path, nowMs })
    return createStore(database, path, () => {})
  }
  const file = createFile(path)
  const lock = takeStoreLock(file, busyTimeoutMs)
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(file, { timeout: busyTimeoutMs })
    configure(database)
    requireSound(database, file)
    migrate(database, { path: file, nowMs })
    return createStore(database, file, () => lock.release())
  } catch (error) {
    database?.close()
    lock.release()
    throw translateError(error, file)
  }
}

/** Creates the file and syncs its directory; the real path, so that two links make one lock. */
function createFile(path: string): string {
  if (!existsSync(path)) {
    createPrivateFile(path)
    const directory = openSync(dirname(path), 'r')
    try {
      fsyncSync(directory)
    } finally {
      closeSync(directory)
    }
  }
  return realpathSync(path)
}

function configure(database: DatabaseSync): void {
  const mode = database.prepare('pragma journal_mode = wal').get()?.['journal_mode']
  assert(mode === 'wal', `sqlite keeps the journal mode ${String(mode)}`)
  // FULL, because a commit lost to a power cut would forget a permit that was given out.
  database.exec(`pragma synchronous = full; pragma foreign_keys = on; pragma trusted_schema = off;
    pragma cell_size_check = on; pragma temp_store = memory;`)
}

function requireSound(database: DatabaseSync, path: string): void {
  const finding = database.prepare('pragma quick_check(1)').get()?.['quick_check']
  if (finding !== 'ok') throw corrupt(`the store ${path} is damaged`, new Error(String(finding)))
}

function createStore(database: DatabaseSync, path: string, onClosed: () => void): Store {
  const db = new Kysely<Schema>({ dialect: sqliteDialect(database) })
  const plans = new Map<string, RolloutPlan>()
  const tx = transactionOn(db, plans)
  const inside = new AsyncLocalStorage<boolean>()
  let isClosed = false
  let tail: Promise<unknown> = Promise.resolve()

  async function run<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    if (isClosed) throw new OperationalError('store-closed', `could not use the store ${path}`)
    try {
      database.exec('begin immediate')
      const result = await inside.run(true, () => work(tx))
      database.exec('commit')
      return result
    } catch (error) {
      // SQLite has rolled back by itself after some errors, a full disk for one.
      if (database.isTransaction) database.exec('rollback')
      plans.clear()
      throw translateError(error, path)
    }
  }

  return {
    transaction(work) {
      assert(inside.getStore() !== true, 'a transaction inside of a transaction waits for itself')
      const result = tail.then(() => run(work))
      tail = result.catch(() => {})
      return result
    },
    async close() {
      await tail
      if (isClosed) return
      isClosed = true
      database.close()
      onClosed()
    },
  }
}

function transactionOn(db: Kysely<Schema>, plans: Map<string, RolloutPlan>): Transaction {
  const audit = auditTable(db)
  return {
    settings: settingsTable(db),
    authorities: authoritiesTable(db),
    nodes: nodesTable(db),
    tokens: tokensTable(db),
    identities: identitiesTable(db),
    revisions: revisionsTable(db),
    desired: desiredTable(db),
    reports: reportsTable(db),
    leaves: leavesTable(db),
    rollouts: rolloutsTable(db, audit, plans),
    leases: leasesTable(db),
    credentials: credentialsTable(db),
    audit,
  }
}
