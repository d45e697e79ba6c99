// Accounts and orders at ACME directories.

import type { Migration } from '../migrate.ts'

export const acme: Migration = {
  number: 6,
  name: 'acme',
  sql: `
create table acme_accounts (
  directory text not null,
  directory_url text not null,
  account_url text,
  key_sealed text not null,
  created_at_ms integer not null,
  primary key (directory, directory_url)
) strict, without rowid;

-- No reference to requests: records that were set for an order are removed after its request is gone.
create table acme_orders (
  request text primary key,
  directory text not null,
  directory_url text not null,
  node text not null,
  service text not null,
  names_json text not null,
  state text not null check (state in ('waiting', 'ordered', 'finalizing', 'ended')),
  order_url text check (order_url is not null or state in ('waiting', 'ended')),
  ordered_at_ms integer,
  dns_records_json text not null,
  attempts integer not null,
  next_attempt_at_ms integer not null,
  reason_json text,
  updated_at_ms integer not null
) strict, without rowid;
create index acme_orders_by_time on acme_orders (directory, ordered_at_ms);
`,
}
