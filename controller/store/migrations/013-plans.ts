// What nodes said when a rollout was planned, and what their documents hold them to because of it.

import type { Migration } from '../migrate.ts'

export const plans: Migration = {
  number: 13,
  name: 'plans',
  sql: `
alter table desired_states add column planned_json text;

-- By the digest of the JSON: equal nodes say the same, and plans name it. Never read by a tick.
create table node_previews (
  digest text primary key,
  preview_json text not null
) strict, without rowid;
`,
}
