// CAs follow one another: of each kind there may be several, and one of them signs. Tokens say which
// root they name.

import type { Migration } from '../migrate.ts'

export const authorities: Migration = {
  number: 7,
  name: 'authorities',
  sql: `
create table authority_generations (
  id text primary key,
  kind text not null check (kind in ('identity', 'service')),
  number integer not null,
  state text not null
    check (state in ('prepared', 'trusted', 'active', 'outgoing', 'retired', 'denied')),
  root_certificate text not null,
  intermediate_certificate text not null,
  -- Concatenated PEM, oldest first.
  former_intermediates text not null default '',
  root_key_sealed text,
  intermediate_key_sealed text,
  former_key_sealed text,
  tainted_at_ms integer,
  created_at_ms integer not null,
  changed_at_ms integer not null,
  check (state <> 'denied'
    or coalesce(root_key_sealed, intermediate_key_sealed, former_key_sealed) is null),
  unique (kind, number)
) strict;
insert into authority_generations (id, kind, number, state, root_certificate,
    intermediate_certificate, root_key_sealed, intermediate_key_sealed, created_at_ms, changed_at_ms)
  select kind || '-1', kind, 1, 'active', root_certificate,
    intermediate_certificate, root_key_sealed, intermediate_key_sealed, created_at_ms, created_at_ms
  from authorities;
drop table authorities;
alter table authority_generations rename to authorities;
create unique index authorities_active on authorities (kind) where state = 'active';

-- Absent for those of before: they name the one root that there was.
alter table enrollment_tokens add column pin text;
`,
}
