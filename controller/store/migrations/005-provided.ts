// Pairs that operators have uploaded, every version that somebody may still use.

import type { Migration } from '../migrate.ts'

export const provided: Migration = {
  number: 5,
  name: 'provided',
  sql: `
create table provided (
  sequence integer primary key autoincrement,
  name text not null,
  fingerprint text not null,
  certificate_chain text not null,
  trust text not null,
  -- Of the kind that ca/sealed-key.ts makes. Never a key in clear.
  key_sealed text not null check (json_valid(key_sealed)),
  uploaded_at_ms integer not null,
  uploaded_by text not null,
  unique (name, fingerprint)
) strict;
`,
}
