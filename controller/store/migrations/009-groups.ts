// Rollouts with batches, budgets and gates.

import type { Migration } from '../migrate.ts'

export const groups: Migration = {
  number: 9,
  name: 'groups',
  sql: `
-- Null: a rollout from before this schema, which had one batch.
alter table rollouts add column plan_json text;
alter table rollouts add column state_json text;
alter table rollouts add column parent text;

alter table rollout_steps add column holds_digest text;
alter table rollout_steps add column time_ms integer not null default 0;
alter table rollout_steps add column healthy_time_ms integer;
alter table rollout_steps add column claim_sequence integer;
update rollout_steps set holds_digest = case state when 'done' then to_digest else from_digest end;

alter table leases add column taken_time_ms integer not null default 0;
-- Of the node's last report when it was taken: only a later one can end it.
alter table leases add column taken_sequence integer not null default 0;
create index leases_by_node on leases (node);

-- The clock of rollouts: it stands while no controller runs, and never goes back.
create table controller_time (
  id integer primary key check (id = 1),
  time_ms integer not null,
  version integer not null
) strict;
insert into controller_time values (1, 0, 0);

create table freezes (
  name text primary key,
  scope_json text not null,
  reason text not null,
  actor text not null,
  at_ms integer not null
) strict;

-- Answers to requests that change something, so that one that is repeated changes nothing more.
create table idempotency (
  actor text not null,
  key text not null,
  request_digest text not null,
  answer_json text not null,
  at_ms integer not null,
  primary key (actor, key)
) strict, without rowid;

-- Counts what groups are made from: which nodes there are, and their labels.
create table node_changes (id integer primary key check (id = 1), version integer not null) strict;
insert into node_changes values (1, 0);
create trigger node_was_added after insert on nodes begin
  update node_changes set version = version + 1;
end;
create trigger node_was_removed after delete on nodes begin
  update node_changes set version = version + 1;
end;
create trigger node_was_labelled after update of labels_json on nodes begin
  update node_changes set version = version + 1;
end;
`,
}
