// Answers that are kept for repeated requests are forgotten by age, and the oldest of a caller first.

import type { Migration } from '../migrate.ts'

export const idempotencyAge: Migration = {
  number: 15,
  name: 'idempotency-age',
  sql: `
create index idempotency_by_age on idempotency (at_ms);
create index idempotency_by_actor on idempotency (actor, at_ms);
`,
}
