// The tables as Kysely sees them. Columns named `…_json` hold text that the table's mapping function
// parses; times are milliseconds since the epoch.

import type { Generated } from 'kysely'

export interface Schema {
  readonly settings: { name: string; value: string }
  readonly authorities: {
    id: string
    kind: string
    number: number
    state: string
    root_certificate: string
    intermediate_certificate: string
    former_intermediates: string
    root_key_sealed: string | null
    intermediate_key_sealed: string | null
    former_key_sealed: string | null
    tainted_at_ms: number | null
    created_at_ms: number
    changed_at_ms: number
  }
  readonly nodes: {
    name: string
    labels_json: string
    names_json: string
    created_at_ms: number
    enrolled_at_ms: number | null
    seen_at_ms: number | null
  }
  readonly node_locks: { node: string; locked_at_ms: number; reason_json: string }
  readonly enrollment_tokens: {
    id: string
    node: string
    secret_hash: string
    expires_at_ms: number
    redeemed_by: string | null
    created_at_ms: number
    pin: string | null
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
    generation: number
    confirmed_at_ms: number | null
    denied_for: string | null
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
    epoch: number
    generation: number
    mode: string
    permit: number
    content_digest: string
    digest: string
    revision: number | null
    planned_json: string | null
    together: string | null
    alone: number | null
  }
  readonly node_previews: { digest: string; preview_json: string }
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
  readonly certificate_requests: {
    sequence: Generated<number>
    id: string
    node: string
    service: string
    issuer: string
    directory: string | null
    public_key_digest: string
    key_type: string
    csr: string
    names_json: string
    client_use: number
    lifetime_ms: number
    generation: number
    created_at_ms: number
    state: string
    certificate_chain: string | null
    reason_json: string | null
    settled_at_ms: number | null
  }
  readonly acme_accounts: {
    directory: string
    directory_url: string
    account_url: string | null
    key_sealed: string
    created_at_ms: number
  }
  readonly acme_orders: {
    request: string
    directory: string
    directory_url: string
    node: string
    service: string
    names_json: string
    state: string
    order_url: string | null
    ordered_at_ms: number | null
    dns_records_json: string
    attempts: number
    next_attempt_at_ms: number
    reason_json: string | null
    updated_at_ms: number
  }
  readonly provided: {
    sequence: Generated<number>
    name: string
    fingerprint: string
    certificate_chain: string
    trust: string
    key_sealed: string
    uploaded_at_ms: number
    uploaded_by: string
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
    plan_json: string | null
    state_json: string | null
    parent: string | null
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
    holds_digest: string | null
    time_ms: number
    healthy_time_ms: number | null
    claim_sequence: number | null
    held: string | null
  }
  readonly rollout_events: { rollout: string; version: number; at_ms: number; event_json: string }
  readonly rotations: {
    sequence: Generated<number>
    id: string
    kind: string
    version: number
    ended_at_ms: number | null
  }
  readonly rotation_events: {
    rotation: string
    version: number
    at_ms: number
    event_json: string
  }
  readonly self_signed: {
    node: string
    service: string
    current_certificate: string | null
    next_certificate: string | null
    is_next_given: number
    changed_at_ms: number
  }
  readonly renewals: { node: string; service: string; group_name: string; renew_at_ms: number }
  readonly notification_conditions: {
    event: string
    subject: string
    state: string
    reason_json: string
    since_ms: number
    is_told: number
  }
  readonly notification_outbox: {
    sequence: Generated<number>
    webhook: string
    body: string
    created_at_ms: number
  }
  readonly leases: {
    group_name: string
    node: string
    purpose: string
    generation: number
    taken_at_ms: number
    taken_time_ms: number
    taken_sequence: number
  }
  readonly debts: {
    debt_id: string
    node: string
    service: string
    groups_json: string
    since_ms: number
    since_time_ms: number
  }
  readonly controller_time: { id: number; time_ms: number; version: number }
  readonly freezes: {
    name: string
    scope_json: string
    reason: string
    actor: string
    at_ms: number
  }
  readonly idempotency: {
    actor: string
    key: string
    request_digest: string
    answer_json: string
    at_ms: number
  }
  readonly credentials: {
    sequence: Generated<number>
    id: string
    name: string
    role: string
    secret_hash: string
    created_at_ms: number
    expires_at_ms: number | null
    created_by: string
    last_used_at_ms: number | null
  }
  readonly operators: {
    name: string
    role: string
    is_disabled: number
    created_at_ms: number
    created_by: string
  }
  readonly operator_certificate_names: { certificate_name: string; operator: string }
  readonly denied_operator_serials: {
    serial: string
    operator: string
    denied_at_ms: number
    denied_by: string
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
