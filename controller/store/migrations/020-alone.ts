// A node that takes back alone what nodes of a cluster otherwise change as a whole.

import type { Migration } from '../migrate.ts'

export const alone: Migration = {
  number: 20,
  name: 'alone',
  sql: `
alter table desired_states add column alone integer;
`,
}
