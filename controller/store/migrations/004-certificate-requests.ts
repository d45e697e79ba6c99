// Requests that people outside or an ACME directory sign.

import type { Migration } from '../migrate.ts'

export const certificateRequests: Migration = {
  number: 4,
  name: 'certificate-requests',
  sql: `
create table certificate_requests (
  sequence integer primary key,
  id text not null unique,
  node text not null references nodes (name),
  service text not null,
  issuer text not null,
  directory text,
  public_key_digest text not null,
  key_type text not null,
  csr text not null,
  names_json text not null,
  client_use integer not null,
  lifetime_ms integer not null,
  generation integer not null,
  created_at_ms integer not null,
  state text not null,
  certificate_chain text,
  reason_json text,
  settled_at_ms integer
) strict;
create index certificate_requests_by_key on certificate_requests (public_key_digest);
create index certificate_requests_by_node on certificate_requests (node, state);
create index certificate_requests_pending on certificate_requests (issuer) where state = 'pending';
create index certificate_requests_settled on certificate_requests (settled_at_ms)
  where settled_at_ms is not null;
`,
}
