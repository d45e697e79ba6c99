// The audit log without a controller: from a database file, read only and also while the controller runs, or from
// an export, one record in JSON a line.

import { createReadStream, existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { AuditRecordView } from '../../shared/contract/audit.ts'
import { canonicalJson, type Json } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { AuditRecord } from '../store/audit-store.ts'
import type { AuditPiece } from './verify.ts'

const PAGE = 500

/** Throws `file-unreadable` when it is not the database of a controller. */
export async function* logInDatabase(path: string): AsyncGenerator<AuditPiece> {
  const database = openDatabase(path)
  try {
    const rows = readRows(database, path)
    let records: AuditRecord[] = []
    for (const row of rows) {
      const { reason_json: reasonText, ...rest } = row
      const record = recordOf({ ...rest, reason: parseOrNone(reasonText) })
      if (record === undefined) {
        yield { kind: 'records', records }
        return yield { kind: 'unreadable' }
      }
      records.push(record)
      if (records.length < PAGE) continue
      yield { kind: 'records', records }
      records = []
    }
    yield { kind: 'records', records }
  } finally {
    database.close()
  }
}

/** Throws `file-unreadable`. */
export async function* logInExport(path: string): AsyncGenerator<AuditPiece> {
  let records: AuditRecord[] = []
  try {
    for await (const line of createInterface({ input: createReadStream(path) })) {
      const record = recordOf(parseOrNone(line))
      if (record === undefined) {
        yield { kind: 'records', records }
        return yield { kind: 'unreadable' }
      }
      records.push(record)
      if (records.length < PAGE) continue
      yield { kind: 'records', records }
      records = []
    }
  } catch (cause) {
    throw unreadable(path, cause)
  }
  yield { kind: 'records', records }
}

type Row = Readonly<Record<string, unknown>>

function openDatabase(path: string): DatabaseSync {
  // Opening would say less.
  if (!existsSync(path)) throw unreadable(path, new Error('there is no such file'))
  try {
    return new DatabaseSync(path, { readOnly: true })
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

function* readRows(database: DatabaseSync, path: string): Generator<Row> {
  try {
    const statement = database.prepare(
      'select sequence, at_ms as atMs, actor, action, subject, reason_json, hash from audit order by sequence',
    )
    yield* statement.iterate()
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

/** Undefined for what is no record, or has more in it than the hash covers. */
function recordOf(value: unknown): AuditRecord | undefined {
  const given = withoutNull(value)
  const parsed = AuditRecordView.safeParse(given)
  if (!parsed.success) return undefined
  const { reason, ...rest } = parsed.data
  const covered = { ...rest, ...(reason === undefined ? {} : { reason: { ...reason } }) }
  return canonicalJson(given) === canonicalJson(covered) ? { ...rest, reason } : undefined
}

function withoutNull(value: unknown): { readonly [key: string]: Json | undefined } {
  const { reason, ...rest } = Object(value)
  return reason === null || reason === undefined ? rest : { ...rest, reason }
}

function parseOrNone(text: unknown): unknown {
  if (text === null) return undefined
  try {
    return typeof text === 'string' ? JSON.parse(text) : 'unreadable'
  } catch {
    // No record looks like this.
    return 'unreadable'
  }
}

function unreadable(path: string, cause: unknown): OperationalError {
  return new OperationalError('file-unreadable', `could not read the audit log in ${path}`, {
    cause,
  })
}
