// The tables as Kysely sees them. Columns named `…_json` hold text that the table's mapping function
// parses; times are milliseconds since the epoch.

import type { Generated } from 'kysely'

export interface Schema {
  readonly settings: { name: string; value: string }
  readonly authorities: {
    kind: string
    root_certificate: string
    intermediate_certificate: string
    root_key_sealed: string
    intermediate_key_sealed: string
    created_at_ms: number
  }
  readonly nodes: {
    name: string
    labels_json: string
    names_json: string
    created_at_ms: number
    enrolled_at_ms: number | null
    seen_at_ms: number | null
  }
  readonly enrollment_tokens: {
    id: string
    node: string
    secret_hash: string
    expires_at_ms: number
    redeemed_by: string | null
    created_at_ms: number
  }
  readonly identities: {
    sequence: Generated<number>
    fingerprint: string
    node: string
    public_key_digest: string
    certificate_chain: string
    not_after_ms: number
    issued_at_ms: number
    denied_at_ms: number | null
  }
  readonly revisions: {
    number: number
    digest: string
    text: string
    author: string
    created_at_ms: number
  }
  readonly contents: { digest: string; content_json: string }
  readonly published_contents: { node: string; digest: string; revision: number | null }
  readonly generations: { node: string; highest: number }
  readonly desired_states: {
    node: string
    generation: number
    mode: string
    permit: number
    content_digest: string
    digest: string
    revision: number | null
  }
  readonly reports: {
    node: string
    sequence: number
    received_at_ms: number
    report_json: string
  }
  readonly leaves: {
    sequence: Generated<number>
    fingerprint: string
    serial: string
    node: string
    service: string
    public_key_digest: string
    certificate_chain: string
    not_before_ms: number
    not_after_ms: number
    issued_at_ms: number
  }
  readonly rollouts: {
    sequence: Generated<number>
    id: string
    revision: number
    author: string
    version: number
    status: string
    toward: string | null
    reason_json: string | null
    started_at_ms: number | null
    ended_at_ms: number | null
  }
  readonly rollout_steps: {
    rollout: string
    position: number
    node: string
    from_digest: string | null
    to_digest: string
    state: string
    generation: number | null
    reason_json: string | null
    since_ms: number
    /** 1 until the rollout has ended: a node is in one of those at a time. */
    active: number
  }
  readonly rollout_events: { rollout: string; version: number; at_ms: number; event_json: string }
  readonly leases: {
    group_name: string
    node: string
    purpose: string
    generation: number
    taken_at_ms: number
  }
  readonly credentials: {
    sequence: Generated<number>
    id: string
    name: string
    role: string
    secret_hash: string
    created_at_ms: number
    expires_at_ms: number | null
  }
  readonly audit: {
    sequence: number
    at_ms: number
    actor: string
    action: string
    subject: string
    reason_json: string | null
    hash: string
  }
}
