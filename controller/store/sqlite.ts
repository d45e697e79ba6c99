// The store on node:sqlite: one file, one process, one connection, one transaction at a time.

import { AsyncLocalStorage } from 'node:async_hooks'
import { closeSync, existsSync, fsyncSync, openSync, realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Kysely } from 'kysely'
import { assert } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import { type MemberChanges, watchMembers } from './member-changes.ts'
import { migrate } from './migrate.ts'
import { createRolloutCache, type RolloutCache } from './rollout-cache.ts'
import type { Schema } from './schema.ts'
import { sqliteDialect } from './sqlite-dialect.ts'
import { corrupt, translateError } from './sqlite-errors.ts'
import type { Store, Transaction } from './store.ts'
import { createPrivateFile, takeStoreLock } from './store-lock.ts'
import { acmeTables } from './tables/acme.ts'
import { auditTable } from './tables/audit.ts'
import { authoritiesTable } from './tables/authorities.ts'
import { credentialsTable } from './tables/credentials.ts'
import { desiredTable } from './tables/desired.ts'
import { controllerTimeTable, freezesTable } from './tables/groups.ts'
import { idempotencyTable } from './tables/idempotency.ts'
import { identitiesTable } from './tables/identities.ts'
import { debtsTable } from './tables/debts.ts'
import { leasesTable } from './tables/leases.ts'
import { leavesTable } from './tables/leaves.ts'
import { nodeHistoryTable } from './tables/node-history.ts'
import { nodesTable } from './tables/nodes.ts'
import { notificationsTable } from './tables/notifications.ts'
import { previewsTable } from './tables/previews.ts'
import { operatorsTable } from './tables/operators.ts'
import { providedTable } from './tables/provided.ts'
import { sealedKeys } from './tables/sealed.ts'
import { reportsTable } from './tables/reports.ts'
import { requestsTable } from './tables/requests.ts'
import { revisionsTable } from './tables/revisions.ts'
import { rolloutsTable } from './tables/rollouts.ts'
import { rotationsTable } from './tables/rotations.ts'
import { renewalsTable, selfSignedTable } from './tables/self-signed.ts'
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
  // FULL, because a commit lost to a power cut would forget a permit that was given out. What is deleted is
  // overwritten: a key that was sealed with a passphrase of before must not stay in a page that is free.
  database.exec(`pragma synchronous = full; pragma foreign_keys = on; pragma trusted_schema = off;
    pragma cell_size_check = on; pragma temp_store = memory; pragma secure_delete = on;`)
}

function requireSound(database: DatabaseSync, path: string): void {
  const finding = database.prepare('pragma quick_check(1)').get()?.['quick_check']
  if (finding !== 'ok') throw corrupt(`the store ${path} is damaged`, new Error(String(finding)))
}

function createStore(database: DatabaseSync, path: string, onClosed: () => void): Store {
  const db = new Kysely<Schema>({ dialect: sqliteDialect(database) })
  const rollouts = createRolloutCache()
  const members = watchMembers(database)
  const tx = transactionOn(db, rollouts, members)
  const inside = new AsyncLocalStorage<boolean>()
  let isClosed = false
  let tail: Promise<unknown> = Promise.resolve()

  async function run<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    if (isClosed) throw new OperationalError('store-closed', `could not use the store ${path}`)
    try {
      database.exec('begin immediate')
      if (members.begin()) rollouts.clear()
      rollouts.begin()
      const result = await inside.run(true, () => work(tx))
      database.exec('commit')
      return result
    } catch (error) {
      // SQLite has rolled back by itself after some errors, a full disk for one.
      if (database.isTransaction) database.exec('rollback')
      rollouts.rollBack()
      members.rollBack()
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

function transactionOn(
  db: Kysely<Schema>,
  rollouts: RolloutCache,
  changes: MemberChanges,
): Transaction {
  const audit = auditTable(db)
  return {
    settings: settingsTable(db),
    authorities: authoritiesTable(db),
    nodes: nodesTable(db, changes.nodes),
    tokens: tokensTable(db),
    identities: identitiesTable(db),
    revisions: revisionsTable(db),
    desired: desiredTable(db),
    reports: reportsTable(db),
    leaves: leavesTable(db),
    provided: providedTable(db),
    sealed: sealedKeys(db),
    requests: requestsTable(db),
    acme: acmeTables(db),
    rollouts: rolloutsTable(db, audit, { cache: rollouts, changes: changes.members }),
    nodeHistory: nodeHistoryTable(db),
    previews: previewsTable(db),
    rotations: rotationsTable(db, audit),
    selfSigned: selfSignedTable(db),
    renewals: renewalsTable(db),
    leases: leasesTable(db),
    debts: debtsTable(db),
    controllerTime: controllerTimeTable(db),
    freezes: freezesTable(db),
    idempotency: idempotencyTable(db),
    operators: operatorsTable(db),
    credentials: credentialsTable(db),
    notifications: notificationsTable(db),
    audit,
  }
}
