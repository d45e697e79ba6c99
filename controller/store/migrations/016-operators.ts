// Operators are records of their own, tokens know who made them and when they were last used, and the
// audit log can be searched.

import type { Migration } from '../migrate.ts'

export const operators: Migration = {
  number: 16,
  name: 'operators',
  sql: `
create table operators (
  name text primary key,
  role text not null,
  is_disabled integer not null,
  created_at_ms integer not null,
  created_by text not null
) strict, without rowid;
insert into operators
  select name,
    case
      when max(role = 'admin') = 1 then 'admin'
      when max(role = 'operator') = 1 then 'operator'
      else 'viewer'
    end,
    0, min(created_at_ms), 'local'
  from credentials group by name;

create table operator_certificate_names (
  certificate_name text primary key,
  operator text not null references operators (name)
) strict, without rowid;
create index operator_certificate_names_by_operator on operator_certificate_names (operator);

create table denied_operator_serials (
  serial text primary key,
  operator text not null,
  denied_at_ms integer not null,
  denied_by text not null
) strict, without rowid;

alter table credentials add column created_by text not null default 'local';
alter table credentials add column last_used_at_ms integer;
create index credentials_by_name on credentials (name);

create index audit_by_actor on audit (actor, sequence);
create index audit_by_action on audit (action, sequence);
create index audit_by_subject on audit (subject, sequence);
`,
}
