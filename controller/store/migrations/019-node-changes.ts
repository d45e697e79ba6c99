// Changes of nodes are told by the connection that makes them; nobody reads this number any more.

import type { Migration } from '../migrate.ts'

export const nodeChanges: Migration = {
  number: 19,
  name: 'node-changes',
  sql: `
drop trigger node_was_added;
drop trigger node_was_removed;
drop trigger node_was_labelled;
drop table node_changes;
`,
}
