// The operator's REST API: routes, bodies and answers. The CLI is a client of exactly this; the
// OpenAPI document is made from it.

import * as z from 'zod/mini'
import { Next } from './lists.ts'
import { Digest, Generation, LabelChanges, Labels, Name, Names, Reason, TimeMs } from './schema.ts'
import { Mode } from './desired-state.ts'
import { ServiceReport } from './report.ts'
import { NO_PLAN, PreviewResult, RolloutPlanView, UnheldNode } from './rollout-plan.ts'

export const OPERATOR_ROUTES = {
  health: '/healthz',
  openapi: '/v1/openapi.json',
  reference: '/v1/reference',
  metrics: '/metrics',
  whoami: '/v1/whoami',
  nodes: '/v1/nodes',
  node: '/v1/nodes/:name',
  nodeToken: '/v1/nodes/:name/token',
  nodeRevoke: '/v1/nodes/:name/revoke',
  revisions: '/v1/revisions',
  revision: '/v1/revisions/:number',
  plans: '/v1/plans',
  rollouts: '/v1/rollouts',
  rollout: '/v1/rollouts/:id',
  rolloutEvents: '/v1/rollouts/:id/events',
  leases: '/v1/leases',
  enrollmentTokens: '/v1/enrollment-tokens',
  rolloutAbort: '/v1/rollouts/:id/abort',
  trust: '/v1/trust',
  authorities: '/v1/authorities',
  authority: '/v1/authorities/:id',
  backup: '/v1/backup',
  certificates: '/v1/certificates',
  certificateRequests: '/v1/certificate-requests',
  certificateRequestExport: '/v1/certificate-requests/export',
  certificateRequestImport: '/v1/certificate-requests/import',
  certificateRequestRefuse: '/v1/certificate-requests/:id/refuse',
  provided: '/v1/provided',
  providedPair: '/v1/provided/:name',
  acme: '/v1/acme',
} as const

/** In every answer: digest of the identity roots. Who trusts others asks for them (`identity` of GET trust). */
export const IDENTITY_ROOTS_HEADER = 'tlsfleet-identity-roots'

/** Media type of the answer of GET backup. */
export const BACKUP_TYPE = 'application/vnd.tlsfleet.backup'

export { WhoAmI } from './operators.ts'

/** POST nodes. At least one DNS name or IP address. */
export const NodeAdd = z.strictObject({
  name: Name,
  labels: z._default(Labels, {}),
  names: Names,
  /** Also names that the service CA may not sign for: another issuer will. */
  outsideZones: z.optional(z.boolean()),
  /** For the audit log. */
  reason: z.optional(z.string().check(z.minLength(1), z.maxLength(1024))),
})
export type NodeAdd = Readonly<z.infer<typeof NodeAdd>>

/**
 * PATCH nodes/NAME (RFC 7396): labels that are named are set or taken away, a list of names that is given replaces the
 * one of before. Content and certificates follow with the next rollout of the fleet spec.
 */
export const NodeChange = z.strictObject({
  labels: z.optional(LabelChanges),
  names: z.optional(
    z.strictObject({ dns: z.optional(Names.shape.dns), ip: z.optional(Names.shape.ip) }),
  ),
  /** As when it is added. */
  outsideZones: z.optional(z.boolean()),
  /** For the audit log. */
  reason: z.optional(z.string().check(z.minLength(1), z.maxLength(1024))),
})
export type NodeChange = Readonly<z.infer<typeof NodeChange>>

/** The token is shown once, here. */
export const TokenAnswer = z.object({
  token: z.string(),
  expiresAtMs: TimeMs,
  /** The line to paste on the node. */
  command: z.string(),
})
export type TokenAnswer = Readonly<z.infer<typeof TokenAnswer>>

/** Locked: its identity is not accepted any more; it takes a new token. Converged: the last report is for the newest generation and every service is in sync or changed. */
export const NodeState = z.enum([
  'pending',
  'idle',
  'converged',
  'converging',
  'drifting',
  'waiting',
  'failed',
  'offline',
  'locked',
])
export type NodeState = z.infer<typeof NodeState>

export const NodeView = z.object({
  name: Name,
  labels: Labels,
  names: Names,
  state: NodeState,
  reason: Reason,
  createdAtMs: TimeMs,
  enrolledAtMs: z.optional(TimeMs),
  seenAtMs: z.optional(TimeMs),
  online: z.boolean(),
  generation: z.optional(Generation),
  observedGeneration: z.optional(Generation),
  mode: z.optional(Mode),
  revision: z.optional(z.int()),
  agentVersion: z.optional(z.string()),
  /** From the last report. */
  services: z.array(ServiceReport),
  facts: z.record(z.string(), z.string()),
})
export type NodeView = Readonly<z.infer<typeof NodeView>>

/** Of an enrolment token, what is not secret. `open`: somebody may still come with it. */
export const EnrollmentTokenView = z.object({
  id: z.string(),
  node: Name,
  state: z.enum(['open', 'redeemed', 'expired']),
  createdAtMs: TimeMs,
  expiresAtMs: TimeMs,
})
export type EnrollmentTokenView = Readonly<z.infer<typeof EnrollmentTokenView>>
/** By id. `?node=` */
export const EnrollmentTokenList = z.object({ tokens: z.array(EnrollmentTokenView), next: Next })

export const NodeAdded = z.object({ node: NodeView, enrollment: TokenAnswer })
export type NodeAdded = Readonly<z.infer<typeof NodeAdded>>

/** By name. `?selector=role=meta,env!=prod`, `?label=k=v`, `?state=`, `?product=`, `?name=` (all but the first repeatable). */
export const NodeList = z.object({ nodes: z.array(NodeView), next: Next })
export type NodeList = Readonly<z.infer<typeof NodeList>>

export const RevisionView = z.object({
  number: z.int(),
  digest: z.string(),
  author: z.string(),
  createdAtMs: TimeMs,
  text: z.optional(z.string()),
})
export type RevisionView = Readonly<z.infer<typeof RevisionView>>
export const RevisionList = z.object({
  revisions: z.array(RevisionView),
  next: Next,
})

/** POST plans and POST rollouts: the fleet spec as YAML text. Errors in it answer 422 with line and column. */
export const SpecBody = z.strictObject({
  spec: z.string().check(z.maxLength(200 * 1024)),
  /** How long to wait for each agent's answer. */
  waitMs: z._default(z.int().check(z.minimum(0), z.maximum(60_000)), 15_000),
  /** POST rollouts: digest of the plan that was shown; no other is carried out. */
  plan: z.optional(z.union([Digest, z.literal(NO_PLAN)])),
  /** Groups that are stopped, changed and started as a whole, in the order in which they start. */
  together: z.optional(z.array(z.string().check(z.maxLength(256))).check(z.maxLength(64))),
  /** POST rollouts: their downtime is known; else \`promote\` says so once all nodes are prepared. */
  acknowledgeDowntime: z.optional(z.boolean()),
  /** POST rollouts: for the audit log, and shown with the rollout. */
  reason: z.optional(z.string().check(z.minLength(1), z.maxLength(1024))),
})
export type SpecBody = Readonly<z.infer<typeof SpecBody>>

export const PlannedNodeView = z.object({
  node: Name,
  result: PreviewResult,
  reason: Reason,
  services: z.array(ServiceReport),
})
export type PlannedNodeView = Readonly<z.infer<typeof PlannedNodeView>>

/** Answer of POST plans: writes nothing. `changes` counts nodes that would change, the unreachable ones included. */
export const PlanView = z.object({
  specDigest: z.string(),
  nodes: z.array(PlannedNodeView),
  changes: z.int(),
  /** What is interrupted although every node is switched with care. */
  windows: z.array(Reason),
  /** Nodes of the fleet that the spec does not select. */
  unselected: z.array(Name),
  /** What POST rollouts takes as `plan`; `none`: every node is there already. */
  digest: z.optional(z.union([Digest, z.literal(NO_PLAN)])),
  /** How the nodes would move, without previews, which are in `nodes`. */
  rollout: z.optional(RolloutPlanView),
  /** What POST rollouts would refuse it for. */
  refused: z.optional(Reason),
})
export type PlanView = Readonly<z.infer<typeof PlanView>>

/**
 * POST plans with `Accept: text/event-stream`: `data` of the events `progress`, while nodes are asked. The last event is
 * `answer`, with the plan in its `data`, or `problem`, with what any refused request answers.
 */
export const PlanProgress = z.object({
  /** Nodes to be asked. */
  of: z.int(),
  answered: z.int(),
  /** Of which no answer comes: they are offline, or did not answer in time. */
  silent: z.int(),
})
export type PlanProgress = Readonly<z.infer<typeof PlanProgress>>

export const RolloutStatus = z.enum([
  'planned',
  'staging',
  'running',
  'draining',
  'succeeded',
  'partial',
  'failed',
  'aborted',
  'superseded',
])
export type RolloutStatus = z.infer<typeof RolloutStatus>

/** Of one node in a rollout. */
export const StepState = z.enum([
  'waiting',
  'assigned',
  'staged',
  'permitted',
  'applying',
  'suspect',
  'done',
  'reverted',
  'refused',
  'broken',
  'deferred',
  'skipped',
])
export type StepState = z.infer<typeof StepState>

export const StepView = z.object({
  node: Name,
  state: StepState,
  generation: z.optional(Generation),
  reason: z.optional(Reason),
  sinceMs: TimeMs,
})

/** POST rollouts: makes a revision (or takes the latest when the spec is the same) and starts. 200 with status `succeeded` and no steps when every node is there already. */
export const RolloutView = z.object({
  id: z.string(),
  revision: z.int(),
  /** `system`: the controller itself, as `reason` says. */
  author: z.optional(z.string()),
  status: RolloutStatus,
  reason: z.optional(Reason),
  version: z.int(),
  steps: z.array(StepView),
  /** With `?steps=counts`: how many nodes are in each state, in place of `steps`. */
  stepCounts: z.optional(z.partialRecord(StepState, z.int())),
  /** Of the current batch, as last judged; `GET …/gates` has all of them. */
  gates: z.optional(
    z.array(
      z.object({
        gate: z.string(),
        verdict: z.enum(['pass', 'fail', 'inconclusive']),
        evidence: Reason,
      }),
    ),
  ),
  startedAtMs: z.optional(TimeMs),
  endedAtMs: z.optional(TimeMs),
  /** Where it has just been made: nodes that did not say what they would change, and are held to no diff. */
  unheld: z.optional(z.array(UnheldNode)),
})
export type RolloutView = Readonly<z.infer<typeof RolloutView>>
/** Newest first. `?status=` (repeatable), `?steps=none`: without their steps, which are as many as nodes; `counts`: how many are in which state. */
export const RolloutList = z.object({ rollouts: z.array(RolloutView), next: Next })

/** What a stream of events has in `data` of `event: event`; its id is the version. */
export const RolloutEventView = z.object({
  version: z.int(),
  atMs: TimeMs,
  kind: z.string(),
  node: z.optional(z.string()),
  reason: z.optional(Reason),
})

/** GET events?after=version&wait=ms: long poll until there is something after `after`, or the rollout has ended. */
export const RolloutEventList = z.object({
  rollout: RolloutView,
  events: z.array(RolloutEventView),
})
export type RolloutEventList = Readonly<z.infer<typeof RolloutEventList>>

/** The bundle that clients of the fleet's services must trust. */
export const TrustView = z.object({
  service: z.array(z.string()),
  digest: z.string(),
  /** What clients of the controller itself must trust. */
  identity: z.optional(z.array(z.string())),
})
export type TrustView = Readonly<z.infer<typeof TrustView>>
