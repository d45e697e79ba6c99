// How every list of the operator API is asked for and answered.
//
// `GET /v1/<collection>?limit=&after=` answers `{ "<collection>": [...], "next"?: cursor }`. The order
// is stable: what is there during the whole walk comes exactly once, whatever is added or removed
// meanwhile. A page may hold fewer than `limit` and still have a `next`, because one request does a
// bounded amount of work; only a missing `next` says that the list is over. A cursor is opaque, and
// one of another collection is refused (`malformed-request`).

import * as z from 'zod/mini'

export const LIST_LIMIT_DEFAULT = 100
export const LIST_LIMIT_MAX = 500

/** What `next` holds and `after` takes. */
export const Cursor = z.string().check(z.regex(/^[A-Za-z0-9_-]{1,700}$/))

/** Where the next page begins; absent on the last one. */
export const Next = z.optional(z.string())
