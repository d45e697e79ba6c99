// Settings of clusters that nodes have changed for the time of a restart, and have to take back.

import type { Migration } from '../migrate.ts'

export const debts: Migration = {
  number: 18,
  name: 'debts',
  sql: `
create table debts (
  debt_id text primary key,
  node text not null,
  service text not null,
  groups_json text not null,
  since_ms integer not null,
  since_time_ms integer not null
) strict, without rowid;
`,
}
