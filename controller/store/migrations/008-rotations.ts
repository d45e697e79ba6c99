// How one CA or issuer follows another, one at a time.

import type { Migration } from '../migrate.ts'

export const rotations: Migration = {
  number: 8,
  name: 'rotations',
  sql: `
create table rotations (
  sequence integer primary key,
  id text not null unique,
  kind text not null check (kind in ('service', 'identity', 'issuer')),
  version integer not null,
  ended_at_ms integer
) strict;
-- At most one that has not ended.
create unique index rotations_open on rotations (ended_at_ms is null) where ended_at_ms is null;

create table rotation_events (
  rotation text not null references rotations (id),
  version integer not null,
  at_ms integer not null,
  event_json text not null,
  primary key (rotation, version)
) strict, without rowid;
`,
}
