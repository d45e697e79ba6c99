// The operator's REST API: routes, bodies and answers. The CLI is a client of exactly this; the
// OpenAPI document is made from it.

import * as z from 'zod/mini'
import { Generation, Labels, Name, Names, Reason, TimeMs } from './schema.ts'
import { Mode } from './desired-state.ts'
import { ServiceReport } from './report.ts'

export const OPERATOR_ROUTES = {
  health: '/healthz',
  openapi: '/openapi.json',
  whoami: '/v1/whoami',
  nodes: '/v1/nodes',
  node: '/v1/nodes/:name',
  nodeToken: '/v1/nodes/:name/token',
  revisions: '/v1/revisions',
  revision: '/v1/revisions/:number',
  plans: '/v1/plans',
  rollouts: '/v1/rollouts',
  rollout: '/v1/rollouts/:id',
  rolloutEvents: '/v1/rollouts/:id/events',
  rolloutAbort: '/v1/rollouts/:id/abort',
  trust: '/v1/trust',
} as const

export const WhoAmI = z.object({
  name: z.string(),
  role: z.enum(['viewer', 'operator', 'admin']),
  fleet: Name,
})
export type WhoAmI = Readonly<z.infer<typeof WhoAmI>>

/** POST nodes. At least one DNS name or IP address. */
export const NodeAdd = z.strictObject({
  name: Name,
  labels: z._default(Labels, {}),
  names: Names,
})
export type NodeAdd = Readonly<z.infer<typeof NodeAdd>>

/** The token is shown once, here. */
export const TokenAnswer = z.object({
  token: z.string(),
  expiresAtMs: TimeMs,
  /** The line to paste on the node. */
  command: z.string(),
})
export type TokenAnswer = Readonly<z.infer<typeof TokenAnswer>>

/** Converged: the last report is for the newest generation and every service is in sync or changed. */
export const NodeState = z.enum([
  'pending',
  'idle',
  'converged',
  'converging',
  'drifting',
  'waiting',
  'failed',
  'offline',
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

export const NodeAdded = z.object({ node: NodeView, enrollment: TokenAnswer })
export type NodeAdded = Readonly<z.infer<typeof NodeAdded>>

/** Pages: `?after=<last name>&limit=`; `next` is absent on the last one. Filter: `?label=k=v` (repeatable). */
export const NodeList = z.object({ nodes: z.array(NodeView), next: z.optional(z.string()) })
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
  next: z.optional(z.int()),
})

/** POST plans and POST rollouts: the fleet spec as YAML text. Errors in it answer 422 with line and column. */
export const SpecBody = z.strictObject({
  spec: z.string().check(z.maxLength(200 * 1024)),
  /** POST plans: how long to wait for agents' answers. */
  waitMs: z._default(z.int().check(z.minimum(0), z.maximum(60_000)), 15_000),
})
export type SpecBody = Readonly<z.infer<typeof SpecBody>>

export const PlannedNodeView = z.object({
  node: Name,
  /** `changes`: it would change; `none`: nothing to do; `unreachable`: no answer, the diff is unknown; `unsupported`: the node refuses. */
  result: z.enum(['changes', 'none', 'unreachable', 'unsupported']),
  reason: Reason,
  services: z.array(ServiceReport),
})
export type PlannedNodeView = Readonly<z.infer<typeof PlannedNodeView>>

/** Answer of POST plans: writes nothing. `changes` counts nodes that would change, the unreachable ones included. */
export const PlanView = z.object({
  specDigest: z.string(),
  nodes: z.array(PlannedNodeView),
  changes: z.int(),
  /** Nodes of the fleet that the spec does not select. */
  unselected: z.array(Name),
})
export type PlanView = Readonly<z.infer<typeof PlanView>>

export const StepView = z.object({
  node: Name,
  state: z.enum([
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
  ]),
  generation: z.optional(Generation),
  reason: z.optional(Reason),
  sinceMs: TimeMs,
})

/** POST rollouts: makes a revision (or takes the latest when the spec is the same) and starts. 200 with status `succeeded` and no steps when every node is there already. */
export const RolloutView = z.object({
  id: z.string(),
  revision: z.int(),
  status: z.enum([
    'planned',
    'staging',
    'running',
    'draining',
    'succeeded',
    'partial',
    'failed',
    'aborted',
    'superseded',
  ]),
  reason: z.optional(Reason),
  version: z.int(),
  steps: z.array(StepView),
  startedAtMs: z.optional(TimeMs),
  endedAtMs: z.optional(TimeMs),
})
export type RolloutView = Readonly<z.infer<typeof RolloutView>>
export const RolloutList = z.object({ rollouts: z.array(RolloutView) })

/** GET events?after=version&wait=ms: long poll until there is something after `after`, or the rollout has ended. */
export const RolloutEventList = z.object({
  rollout: RolloutView,
  events: z.array(
    z.object({
      version: z.int(),
      atMs: TimeMs,
      kind: z.string(),
      node: z.optional(z.string()),
      reason: z.optional(Reason),
    }),
  ),
})
export type RolloutEventList = Readonly<z.infer<typeof RolloutEventList>>

/** The bundle that clients of the fleet's services must trust. */
export const TrustView = z.object({ service: z.array(z.string()), digest: z.string() })
export type TrustView = Readonly<z.infer<typeof TrustView>>
