// Accounts and orders at ACME directories. Account keys are here sealed only.

import type { Kysely, Selectable } from 'kysely'
import * as z from 'zod/mini'
import { Names, parser } from '../../../shared/contract/schema.ts'
import { ServiceName } from '../../../shared/contract/service.ts'
import {
  ACME_ORDER_STATES,
  type Acme,
  type AcmeAccountRecord,
  type AcmeOrderRecord,
} from '../acme-store.ts'
import { readJson, readReason, readWord, writeReason } from '../json-column.ts'
import type { Schema } from '../schema.ts'
import { inserting } from '../sqlite-errors.ts'

const parseNames = parser('names', Names)
const parseRecords = parser(
  'DNS records',
  z.array(z.strictObject({ fqdn: z.string(), value: z.string() })),
)

export function acmeTables(db: Kysely<Schema>): Acme {
  const open = db
    .selectFrom('acme_orders')
    .selectAll()
    .where(eb => eb.or([eb('state', '!=', 'ended'), eb('dns_records_json', '!=', '[]')]))
  return {
    async account(directory, directoryUrl) {
      const row = await db
        .selectFrom('acme_accounts')
        .selectAll()
        .where('directory', '=', directory)
        .where('directory_url', '=', directoryUrl)
        .executeTakeFirst()
      return row && toAccount(row)
    },
    async accounts() {
      const rows = await db.selectFrom('acme_accounts').selectAll().orderBy('directory').execute()
      return rows.map(toAccount)
    },
    async insertAccount(account) {
      const values = {
        directory: account.directory,
        directory_url: account.directoryUrl,
        account_url: account.accountUrl ?? null,
        key_sealed: account.keySealed,
        created_at_ms: account.createdAtMs,
      }
      const insert = db.insertInto('acme_accounts').values(values).execute()
      await inserting(`the account at ${account.directory}`, insert)
    },
    async setAccountUrl(directory, directoryUrl, url) {
      await db
        .updateTable('acme_accounts')
        .set({ account_url: url ?? null })
        .where('directory', '=', directory)
        .where('directory_url', '=', directoryUrl)
        .execute()
    },
    async order(request) {
      const row = await db
        .selectFrom('acme_orders')
        .selectAll()
        .where('request', '=', request)
        .executeTakeFirst()
      return row && toOrder(row)
    },
    async putOrder(order) {
      const row = toRow(order)
      await db
        .insertInto('acme_orders')
        .values(row)
        .onConflict(conflict => conflict.column('request').doUpdateSet(row))
        .execute()
    },
    async openOrders() {
      const rows = await open.orderBy('next_attempt_at_ms').orderBy('request').execute()
      return rows.map(toOrder)
    },
    async listOrders({ after, limit }) {
      const rest = after === undefined ? open : open.where('request', '>', after)
      return (await rest.orderBy('request').limit(limit).execute()).map(toOrder)
    },
    async countOrdered(directory, sinceMs) {
      const row = await db
        .selectFrom('acme_orders')
        .select(eb => eb.fn.countAll<number>().as('count'))
        .where('directory', '=', directory)
        .where('ordered_at_ms', '>=', sinceMs)
        .executeTakeFirst()
      return row?.count ?? 0
    },
    async pruneOrders(endedBeforeMs) {
      await db
        .deleteFrom('acme_orders')
        .where('state', '=', 'ended')
        .where('updated_at_ms', '<', endedBeforeMs)
        .execute()
    },
  }
}

function toAccount(row: Selectable<Schema['acme_accounts']>): AcmeAccountRecord {
  return {
    directory: row.directory,
    directoryUrl: row.directory_url,
    accountUrl: row.account_url ?? undefined,
    keySealed: row.key_sealed,
    createdAtMs: row.created_at_ms,
  }
}

function toRow(order: AcmeOrderRecord) {
  return {
    request: order.request,
    directory: order.directory,
    directory_url: order.directoryUrl,
    node: order.node,
    service: order.service,
    names_json: JSON.stringify(order.names),
    state: order.state,
    order_url: order.orderUrl ?? null,
    ordered_at_ms: order.orderedAtMs ?? null,
    dns_records_json: JSON.stringify(order.dnsRecords),
    attempts: order.attempts,
    next_attempt_at_ms: order.nextAttemptAtMs,
    reason_json: writeReason(order.reason),
    updated_at_ms: order.updatedAtMs,
  }
}

function toOrder(row: Selectable<Schema['acme_orders']>): AcmeOrderRecord {
  return {
    request: row.request,
    directory: row.directory,
    directoryUrl: row.directory_url,
    node: row.node,
    service: readWord('a service', row.service, ServiceName.options),
    names: readJson(`names of the order for ${row.request}`, row.names_json, parseNames),
    state: readWord('a state of an order', row.state, ACME_ORDER_STATES),
    orderUrl: row.order_url ?? undefined,
    orderedAtMs: row.ordered_at_ms ?? undefined,
    dnsRecords: readJson(
      `DNS records of the order for ${row.request}`,
      row.dns_records_json,
      parseRecords,
    ),
    attempts: row.attempts,
    nextAttemptAtMs: row.next_attempt_at_ms,
    reason: readReason(row.reason_json),
    updatedAtMs: row.updated_at_ms,
  }
}
