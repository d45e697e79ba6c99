// node:sqlite in the shape that Kysely's SQLite dialect wants, with a cache of prepared statements.

import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely'
import { assert } from '../../shared/assert.ts'

// The store has some hundred statements; lists of varying length make more, the oldest of which go.
const STATEMENTS_MAX = 512

export function sqliteDialect(database: DatabaseSync): SqliteDialect {
  return new SqliteDialect({ database: kyselyShape(database) })
}

function kyselyShape(database: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, SqliteStatement>()
  return {
    close: () => database.close(),
    prepare(sql) {
      assert(database.isTransaction, 'the store is used in a transaction only')
      const cached = statements.get(sql)
      if (cached !== undefined) return cached
      const oldest = statements.size < STATEMENTS_MAX ? undefined : statements.keys().next().value
      if (oldest !== undefined) statements.delete(oldest)
      const statement = statementShape(database.prepare(sql))
      statements.set(sql, statement)
      return statement
    },
  }
}

function statementShape(statement: StatementSync): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: parameters => statement.all(...parameters.map(bindable)),
    run: parameters => statement.run(...parameters.map(bindable)),
    iterate: parameters => statement.iterate(...parameters.map(bindable)),
  }
}

function bindable(value: unknown): SQLInputValue {
  if (typeof value === 'boolean') return value ? 1 : 0
  const isBindable = value === null || typeof value === 'string' || typeof value === 'number'
  assert(isBindable, `a statement has a parameter of type ${typeof value}`)
  return value
}
