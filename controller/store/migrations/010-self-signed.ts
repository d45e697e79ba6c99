// Self-signed certificates that clients are given, and when the leaves of our CA are renewed.

import type { Migration } from '../migrate.ts'

export const selfSigned: Migration = {
  number: 10,
  name: 'self-signed',
  sql: `
create table self_signed (
  node text not null references nodes (name),
  service text not null,
  current_certificate text,
  next_certificate text,
  -- 1: every client holds the next one.
  is_next_given integer not null,
  changed_at_ms integer not null,
  primary key (node, service)
) strict, without rowid;

create table renewals (
  node text not null references nodes (name),
  service text not null,
  group_name text not null,
  renew_at_ms integer not null,
  primary key (node, service)
) strict, without rowid;
create index renewals_by_time on renewals (service, renew_at_ms, group_name);
`,
}
