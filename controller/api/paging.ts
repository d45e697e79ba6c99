// Pages of lists, by key: how a query asks for one, and how an answer says where the next one begins.
// shared/contract/lists.ts has the rules.

import * as z from 'zod/mini'
import { Cursor, LIST_LIMIT_DEFAULT, LIST_LIMIT_MAX } from '../../shared/contract/lists.ts'
import { OperationalError } from '../../shared/errors.ts'
import { count } from './fields.ts'

/** Members of the query of every list: `z.strictObject({ ...PAGE_QUERY, state: … })`. */
export const PAGE_QUERY = {
  limit: z.optional(
    count(1, LIST_LIMIT_MAX).check(
      z.describe(`How many at most; ${LIST_LIMIT_DEFAULT} when absent`),
    ),
  ),
  after: z.optional(Cursor.check(z.describe('`next` of the page before'))),
}

export interface PageAsked {
  readonly limit?: number | undefined
  readonly after?: string | undefined
}

/** The words of a collection's key are its own: only the collection that made a cursor reads it. */
export function cursorOf(collection: string, key: string | number): string {
  return Buffer.from(`${collection}\n${key}`).toString('base64url')
}

/** The key in `after`; undefined on the first page. */
export function keyAfter(collection: string, { after }: PageAsked): string | undefined {
  if (after === undefined) return undefined
  const [name, key] = Buffer.from(after, 'base64url').toString('utf8').split('\n', 2)
  if (name === collection && key !== undefined && key !== '') return key
  throw notOurs(collection)
}

/** The same for keys that are whole numbers. */
export function numberAfter(collection: string, asked: PageAsked): number | undefined {
  const key = keyAfter(collection, asked)
  if (key === undefined) return undefined
  if (!/^\d{1,15}$/.test(key)) throw notOurs(collection)
  return Number(key)
}

export function limitOf({ limit = LIST_LIMIT_DEFAULT }: PageAsked): number {
  return limit
}

export interface Page<T> {
  readonly shown: readonly T[]
  readonly next: { readonly next?: string }
}

/** Of one more than the page holds: the extra one tells whether there is a next page. */
export function pageOf<T>(
  collection: string,
  { found, limit }: { readonly found: readonly T[]; readonly limit: number },
  keyOf: (item: T) => string | number,
): Page<T> {
  const shown = found.slice(0, limit)
  const last = shown.at(-1)
  if (found.length <= limit || last === undefined) return { shown, next: {} }
  return { shown, next: { next: cursorOf(collection, keyOf(last)) } }
}

/** A page of a list that is short by its nature, made of the whole of it, which is in the order of its keys. */
export function pageOfAll<T>(
  collection: string,
  asked: PageAsked,
  { all, keyOf }: { readonly all: readonly T[]; readonly keyOf: (item: T) => string },
): Page<T> {
  const after = keyAfter(collection, asked)
  const limit = limitOf(asked)
  const sorted = all.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
  const found = sorted.filter(item => after === undefined || keyOf(item) > after)
  return pageOf(collection, { found, limit }, keyOf)
}

function notOurs(collection: string): OperationalError {
  return new OperationalError(
    'malformed-request',
    `\`after\` is no cursor of the list of ${collection}`,
    { hint: 'Take it from `next` of the page before, or leave it out.' },
  )
}
