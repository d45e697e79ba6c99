// Operators, the names in their certificates, and the serials that are not accepted any more.

import type { Kysely, Selectable } from 'kysely'
import { readWord } from '../json-column.ts'
import {
  type DeniedSerial,
  type OperatorRecord,
  type Operators,
  ROLES,
} from '../operators-store.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'

export function operatorsTable(db: Kysely<Schema>): Operators {
  const namesOf = async (operator: string) =>
    (
      await db
        .selectFrom('operator_certificate_names')
        .select('certificate_name')
        .where('operator', '=', operator)
        .orderBy('certificate_name')
        .execute()
    ).map(row => row.certificate_name)

  const toOperator = async (row: Selectable<Schema['operators']>): Promise<OperatorRecord> => ({
    name: row.name,
    role: readWord('a role', row.role, ROLES),
    certificateNames: await namesOf(row.name),
    isDisabled: row.is_disabled === 1,
    createdAtMs: row.created_at_ms,
    createdBy: row.created_by,
  })

  const read = async (name: string) => {
    const rows = db.selectFrom('operators').selectAll().where('name', '=', name)
    const row = await rows.executeTakeFirst()
    return row && toOperator(row)
  }

  const insertNames = async (operator: string, names: readonly string[]) => {
    for (const certificate_name of names) {
      const row = { certificate_name, operator }
      const insert = db.insertInto('operator_certificate_names').values(row).execute()
      await inserting(`an operator with certificates for ${certificate_name}`, insert)
    }
  }
  const removeNames = async (operator: string) => {
    await db.deleteFrom('operator_certificate_names').where('operator', '=', operator).execute()
  }

  return {
    ...serialsTable(db),
    async insert({ name, role, certificateNames, isDisabled, createdAtMs, createdBy }) {
      const values = {
        name,
        role,
        is_disabled: isDisabled ? 1 : 0,
        created_at_ms: createdAtMs,
        created_by: createdBy,
      }
      await inserting(`operator ${name}`, db.insertInto('operators').values(values).execute())
      await insertNames(name, certificateNames)
    },
    get: read,
    async list() {
      const rows = await db.selectFrom('operators').selectAll().orderBy('name').execute()
      const operators: OperatorRecord[] = []
      for (const row of rows) operators.push(await toOperator(row))
      return operators
    },
    async findByCertificateNames(names) {
      if (names.length === 0) return []
      const rows = await db
        .selectFrom('operator_certificate_names')
        .select('operator')
        .distinct()
        .where('certificate_name', 'in', [...names])
        .orderBy('operator')
        .execute()
      const operators: OperatorRecord[] = []
      for (const { operator } of rows) {
        const found = await read(operator)
        if (found !== undefined) operators.push(found)
      }
      return operators
    },
    async update({ name, role, certificateNames, isDisabled }) {
      const { numUpdatedRows } = await db
        .updateTable('operators')
        .set({ role, is_disabled: isDisabled ? 1 : 0 })
        .where('name', '=', name)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) return false
      await removeNames(name)
      await insertNames(name, certificateNames)
      return true
    },
    async remove(name) {
      await removeNames(name)
      await db.deleteFrom('credentials').where('name', '=', name).execute()
      const removed = db.deleteFrom('operators').where('name', '=', name)
      return (await removed.executeTakeFirst()).numDeletedRows > 0n
    },
  }
}

function serialsTable(
  db: Kysely<Schema>,
): Pick<Operators, 'denySerial' | 'isSerialDenied' | 'deniedSerials'> {
  return {
    async denySerial({ serial, operator, atMs, by }) {
      await db
        .insertInto('denied_operator_serials')
        .values({ serial, operator, denied_at_ms: atMs, denied_by: by })
        .onConflict(conflict => conflict.doNothing())
        .execute()
    },
    async isSerialDenied(serial) {
      const row = await db
        .selectFrom('denied_operator_serials')
        .select('serial')
        .where('serial', '=', serial)
        .executeTakeFirst()
      return row !== undefined
    },
    async deniedSerials(operator) {
      const rows = await db
        .selectFrom('denied_operator_serials')
        .selectAll()
        .where('operator', '=', operator)
        .orderBy('denied_at_ms')
        .orderBy('serial')
        .execute()
      return rows.map(toDenied)
    },
  }
}

function toDenied(row: Selectable<Schema['denied_operator_serials']>): DeniedSerial {
  return {
    serial: row.serial,
    operator: row.operator,
    atMs: row.denied_at_ms,
    by: row.denied_by,
  }
}
