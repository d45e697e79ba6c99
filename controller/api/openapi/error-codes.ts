// Which errors an operation can answer with, beyond those that every operation of its kind has.

/** Of all that need a caller. */
export const ANY_CALLER = [
  'unauthenticated',
  'certificate-not-accepted',
  'role-insufficient',
  'foreign-page',
  'too-many-requests',
] as const
/** Of all. */
export const ANY = ['malformed-request', 'protocol-unsupported', 'store-busy', 'closing'] as const
/** Of all that change something. */
export const ANY_CHANGE = [
  'idempotency-mismatch',
  'idempotency-in-flight',
  'idempotency-unfinished',
  'idempotency-secret',
  'idempotency-not-kept',
] as const
export const ANY_BODY = ['body-too-large', 'media-type-unsupported'] as const

const ROLLOUT = ['not-found', 'version-conflict'] as const
const VERB = [...ROLLOUT, 'illegal-transition', 'version-mismatch'] as const

/** By method and path. Below a parameter `not-found` goes without saying. */
export const ERRORS_OF: Readonly<Record<string, readonly string[]>> = {
  'POST /v1/nodes': ['already-exists', 'names-missing', 'name-invalid', 'outside-name-constraints'],
  'DELETE /v1/nodes/{name}': ['version-mismatch'],
  'POST /v1/nodes/{name}/token': ['version-mismatch'],
  'POST /v1/nodes/{name}/revoke': ['version-mismatch'],
  'POST /v1/plans': ['invalid-spec', 'trust-closure', 'wrong-fleet', 'not-found'],
  'POST /v1/rollouts': [
    'invalid-spec',
    'trust-closure',
    'wrong-fleet',
    'overlapping-rollout',
    'stale-plan',
    'quorum-loss',
    'rotation-open',
    'version-mismatch',
  ],
  'POST /v1/rollouts/{id}/{verb}': [...VERB, 'nothing-to-do', 'overlapping-rollout'],
  'POST /v1/rollouts/{id}/nodes/{node}/{verb}': [...VERB],
  'POST /v1/rollouts/{id}/abort': [...VERB],
  'GET /v1/rollouts/{id}/events': ['too-many-streams'],
  'GET /v1/watch': ['too-many-streams'],
  'PUT /v1/freezes/{name}': ['version-mismatch'],
  'DELETE /v1/freezes/{name}': ['version-mismatch'],
  'POST /v1/rotations': ['rotation-open', 'nothing-to-rotate', 'fleet-unsettled', 'invalid-spec'],
  'POST /v1/rotations/{id}/advance': [...VERB],
  'POST /v1/rotations/{id}/resume': [...VERB],
  'POST /v1/rotations/{id}/abort': [...VERB],
  'POST /v1/rotations/{id}/taint': [...VERB],
  'PUT /v1/provided/{name}': ['provided-refused', 'version-mismatch'],
  'DELETE /v1/provided/{name}': ['provided-in-use', 'version-mismatch'],
  'POST /v1/certificate-requests/{id}/refuse': ['illegal-transition'],
  'GET /v1/backup': ['too-many-requests'],
}
