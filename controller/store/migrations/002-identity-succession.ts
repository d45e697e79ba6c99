// Identities are counted per node, so that two machines that share one are told apart from one
// machine that renews; a node can be locked, and says why.

import type { Migration } from '../migrate.ts'

export const identitySuccession: Migration = {
  number: 2,
  name: 'identity-succession',
  sql: `
alter table identities add column generation integer not null default 0;
alter table identities add column confirmed_at_ms integer;
alter table identities add column denied_for text;

update identities set generation = (
  select count(*) from identities as older
  where older.node = identities.node and older.sequence <= identities.sequence
);
-- Of the newest one nobody wrote down whether it has arrived: its next use tells.
update identities set confirmed_at_ms = issued_at_ms where exists (
  select 1 from identities as newer
  where newer.node = identities.node and newer.sequence > identities.sequence
);
update identities set denied_for = 'removed' where denied_at_ms is not null;
create unique index identities_by_generation on identities (node, generation);

create table node_locks (
  node text primary key references nodes (name),
  locked_at_ms integer not null,
  reason_json text not null
) strict, without rowid;
`,
}
