// Brings a database to this program's schema, one migration a transaction.

import type { DatabaseSync } from 'node:sqlite'
import { OperationalError } from '../../shared/errors.ts'
import { initial } from './migrations/001-initial.ts'
import { identitySuccession } from './migrations/002-identity-succession.ts'
import { epoch } from './migrations/003-epoch.ts'
import { certificateRequests } from './migrations/004-certificate-requests.ts'
import { provided } from './migrations/005-provided.ts'
import { acme } from './migrations/006-acme.ts'
import { authorities } from './migrations/007-authorities.ts'
import { rotations } from './migrations/008-rotations.ts'
import { groups } from './migrations/009-groups.ts'
import { selfSigned } from './migrations/010-self-signed.ts'
import { notifications } from './migrations/011-notifications.ts'
import { plans } from './migrations/013-plans.ts'
import { idempotencyAge } from './migrations/015-idempotency-age.ts'
import { operators } from './migrations/016-operators.ts'
import { sections } from './migrations/017-sections.ts'
import { debts } from './migrations/018-debts.ts'
import { nodeChanges } from './migrations/019-node-changes.ts'
import { alone } from './migrations/020-alone.ts'

export interface Migration {
  /** Ascending, starting at 1. */
  readonly number: number
  readonly name: string
  readonly sql: string
}

export const MIGRATIONS: readonly Migration[] = [
  initial,
  identitySuccession,
  epoch,
  certificateRequests,
  provided,
  acme,
  authorities,
  rotations,
  groups,
  selfSigned,
  notifications,
  plans,
  idempotencyAge,
  operators,
  sections,
  debts,
  nodeChanges,
  alone,
]

/** Throws `store-too-new` for a database that a newer program has migrated. */
export function migrate(
  database: DatabaseSync,
  { path, nowMs, migrations = MIGRATIONS }: MigrateOptions,
): void {
  database.exec(`create table if not exists schema_migrations (
    number integer primary key, name text not null, applied_at_ms integer not null) strict`)
  const row = database.prepare('select max(number) as number from schema_migrations').get()
  const current = typeof row?.['number'] === 'number' ? row['number'] : 0
  const newest = migrations.at(-1)?.number ?? 0
  if (current > newest) {
    throw new OperationalError(
      'store-too-new',
      `could not use the store ${path} of a newer version`,
      {
        hint: 'install that version again, or restore a backup made before the upgrade',
        details: { path, schema: current, supported: newest },
      },
    )
  }
  for (const migration of migrations) {
    if (migration.number > current) apply(database, migration, nowMs)
  }
}

export interface MigrateOptions {
  readonly path: string
  readonly nowMs: number
  readonly migrations?: readonly Migration[]
}

// The row goes first: whoever else is at it fails there, before any table has changed.
function apply(database: DatabaseSync, { number, name, sql }: Migration, nowMs: number): void {
  database.exec('begin immediate')
  try {
    database.prepare('insert into schema_migrations values (?, ?, ?)').run(number, name, nowMs)
    database.exec(sql)
    database.exec('commit')
  } catch (error) {
    if (database.isTransaction) database.exec('rollback')
    throw error
  }
}
