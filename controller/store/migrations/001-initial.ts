// The first schema. Released migrations never change; a new one is added instead.

import type { Migration } from '../migrate.ts'

export const initial: Migration = {
  number: 1,
  name: 'initial',
  sql: `
create table settings (name text primary key, value text not null) strict, without rowid;

create table authorities (
  kind text primary key,
  root_certificate text not null,
  intermediate_certificate text not null,
  root_key_sealed text not null,
  intermediate_key_sealed text not null,
  created_at_ms integer not null
) strict;

create table nodes (
  name text primary key,
  labels_json text not null,
  names_json text not null,
  created_at_ms integer not null,
  enrolled_at_ms integer,
  seen_at_ms integer
) strict;

create table enrollment_tokens (
  id text primary key,
  node text not null references nodes (name),
  secret_hash text not null,
  expires_at_ms integer not null,
  redeemed_by text,
  created_at_ms integer not null
) strict;
create index enrollment_tokens_by_node on enrollment_tokens (node);

-- No reference to nodes: the denylist outlives them.
create table identities (
  sequence integer primary key,
  fingerprint text not null unique,
  node text not null,
  public_key_digest text not null,
  certificate_chain text not null,
  not_after_ms integer not null,
  issued_at_ms integer not null,
  denied_at_ms integer
) strict;
create index identities_by_key on identities (public_key_digest, node);
create index identities_by_node on identities (node);
create index identities_denied on identities (not_after_ms) where denied_at_ms is not null;

create table revisions (
  number integer primary key,
  digest text not null,
  text text not null,
  author text not null,
  created_at_ms integer not null
) strict;

create table contents (digest text primary key, content_json text not null) strict;

create table published_contents (
  node text not null references nodes (name),
  digest text not null references contents (digest),
  revision integer,
  primary key (node, digest)
) strict, without rowid;

-- No reference to nodes: a name that comes back goes on where it was.
create table generations (node text primary key, highest integer not null) strict, without rowid;

create table desired_states (
  node text primary key references nodes (name),
  generation integer not null,
  mode text not null,
  permit integer not null,
  content_digest text not null references contents (digest),
  digest text not null,
  revision integer
) strict;

create table reports (
  node text primary key references nodes (name),
  sequence integer not null,
  received_at_ms integer not null,
  report_json text not null
) strict;

create table leaves (
  sequence integer primary key,
  fingerprint text not null unique,
  serial text not null unique,
  node text not null references nodes (name),
  service text not null,
  public_key_digest text not null,
  certificate_chain text not null,
  not_before_ms integer not null,
  not_after_ms integer not null,
  issued_at_ms integer not null
) strict;
create index leaves_by_key on leaves (public_key_digest, node, service);
create index leaves_by_node on leaves (node);

create table rollouts (
  sequence integer primary key,
  id text not null unique,
  revision integer not null,
  author text not null,
  version integer not null,
  status text not null,
  toward text,
  reason_json text,
  started_at_ms integer,
  ended_at_ms integer
) strict;
create index rollouts_active on rollouts (sequence) where ended_at_ms is null;

create table rollout_steps (
  rollout text not null references rollouts (id),
  position integer not null,
  node text not null,
  from_digest text,
  to_digest text not null references contents (digest),
  state text not null,
  generation integer,
  reason_json text,
  since_ms integer not null,
  active integer not null,
  primary key (rollout, position)
) strict, without rowid;
create unique index rollout_steps_by_node on rollout_steps (rollout, node);
create unique index rollout_steps_active on rollout_steps (node) where active = 1;

create table rollout_events (
  rollout text not null references rollouts (id),
  version integer not null,
  at_ms integer not null,
  event_json text not null,
  primary key (rollout, version)
) strict, without rowid;

create table leases (
  group_name text not null,
  node text not null,
  purpose text not null,
  generation integer not null,
  taken_at_ms integer not null,
  primary key (group_name, node)
) strict, without rowid;

create table credentials (
  sequence integer primary key,
  id text not null unique,
  name text not null,
  role text not null,
  secret_hash text not null,
  created_at_ms integer not null,
  expires_at_ms integer
) strict;

create table audit (
  sequence integer primary key,
  at_ms integer not null,
  actor text not null,
  action text not null,
  subject text not null,
  reason_json text,
  hash text not null
) strict;
create trigger audit_is_not_updated before update on audit begin
  select raise(abort, 'the audit log is append-only');
end;
create trigger audit_is_not_deleted before delete on audit begin
  select raise(abort, 'the audit log is append-only');
end;
`,
}
