// What webhooks are told: conditions that hold, and what is still to be delivered.

import type { Migration } from '../migrate.ts'

export const notifications: Migration = {
  number: 11,
  name: 'notifications',
  sql: `
create table notification_conditions (
  event text not null,
  subject text not null,
  state text not null,
  reason_json text not null,
  since_ms integer not null,
  -- 0: it was noted where it happened, and is in no outbox yet.
  is_told integer not null,
  primary key (event, subject, state)
) strict, without rowid;

create table notification_outbox (
  sequence integer primary key autoincrement,
  webhook text not null,
  body text not null,
  created_at_ms integer not null
) strict;
create index notification_outbox_by_webhook on notification_outbox (webhook, sequence);
`,
}
