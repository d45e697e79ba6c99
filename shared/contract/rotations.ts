// Rotations of CAs and changes of issuers, as the operator's API answers them.

import * as z from 'zod/mini'
import { Next } from './lists.ts'
import { Name, Reason, TimeMs } from './schema.ts'
import { ServiceName } from './service.ts'

export const ROTATION_ROUTES = {
  rotations: '/v1/rotations',
  rotation: '/v1/rotations/:id',
  advance: '/v1/rotations/:id/advance',
  resume: '/v1/rotations/:id/resume',
  abort: '/v1/rotations/:id/abort',
  taint: '/v1/rotations/:id/taint',
  authorityTaint: '/v1/authorities/:id/taint',
} as const

/** `prepare`: the new CA exists. `distribute`: everybody trusts both. `activate`: the new one signs and is served. `retire`: nobody trusts the old one any more. `deny`: its keys are destroyed. */
export const RotationPhase = z.enum(['prepare', 'distribute', 'activate', 'retire', 'deny'])
export type RotationPhase = z.infer<typeof RotationPhase>

/** `step`: every phase waits for an operator. `normal`: `retire` does. `auto`: none does. */
export const RotationPace = z.enum(['step', 'normal', 'auto'])
export type RotationPace = z.infer<typeof RotationPace>

/** POST rotations. A `spec` goes with kind `issuer`: the fleet spec that is to hold. */
export const RotationCreate = z.strictObject({
  kind: z.enum(['service', 'identity', 'issuer']),
  pace: z._default(RotationPace, 'normal'),
  spec: z.optional(z.string().check(z.maxLength(200 * 1024))),
})
export type RotationCreate = Readonly<z.infer<typeof RotationCreate>>

/** POST advance, resume, abort, taint. */
export const RotationReason = z.strictObject({
  reason: z.optional(z.string().check(z.minLength(1), z.maxLength(1024))),
})
export type RotationReason = Readonly<z.infer<typeof RotationReason>>

export const BlockerView = z.object({
  node: Name,
  service: z.optional(ServiceName),
  listener: z.optional(z.string()),
  reason: Reason,
  /** Nobody knows: silence is no yes. */
  isUnknown: z.boolean(),
})
export type BlockerView = Readonly<z.infer<typeof BlockerView>>

/** Where a node is in the phase. `elsewhere`: the rotation does not concern it. */
export const RotationNodeView = z.object({
  node: Name,
  place: z.enum(['there', 'on-its-way', 'behind', 'silent', 'elsewhere']),
  online: z.boolean(),
})
export type RotationNodeView = Readonly<z.infer<typeof RotationNodeView>>

export const RotationSummary = z.object({
  id: z.string(),
  kind: z.enum(['service', 'identity', 'issuer']),
  /** Ids of CAs, or revisions of the fleet spec. */
  from: z.string(),
  to: z.string(),
  status: z.enum(['running', 'completed', 'reversed']),
  phase: RotationPhase,
  /** `reverse`: the phase is being undone. */
  direction: z.enum(['forward', 'reverse']),
  phaseSinceMs: TimeMs,
  pace: RotationPace,
  isTainted: z.boolean(),
  /** Who has begun it. */
  author: z.string(),
  /** How many others than the author must confirm `retire`; as `rollout.approvals` of the fleet spec was when it began. */
  approvals: z.int(),
  /** Who has confirmed the next phase so far. */
  confirmedBy: z.array(z.string()),
  /** Why it goes no further until it is resumed. */
  stopped: z.optional(Reason),
  /** The last rollout of the phase. */
  rollout: z.optional(z.string()),
  version: z.int(),
  startedAtMs: TimeMs,
  endedAtMs: z.optional(TimeMs),
})
export type RotationSummary = Readonly<z.infer<typeof RotationSummary>>
/** Newest first. */
export const RotationList = z.object({ rotations: z.array(RotationSummary), next: Next })
export type RotationList = Readonly<z.infer<typeof RotationList>>

export const RotationView = z.extend(RotationSummary, {
  waitsFor: z.enum(['nothing', 'rollout', 'barrier', 'advance', 'resume']),
  /** Others than its author whose `advance` is missing before trust is removed. */
  needsOthers: z.int(),
  barrier: z.object({
    verdict: z.enum(['holds', 'blocked', 'unknown']),
    /** The first of them. */
    blockers: z.array(BlockerView),
    total: z.int(),
  }),
  nodes: z.array(RotationNodeView),
  history: z.array(
    z.object({
      version: z.int(),
      atMs: TimeMs,
      actor: z.string(),
      kind: z.string(),
      phase: z.optional(RotationPhase),
      rollout: z.optional(z.string()),
      reason: z.optional(Reason),
    }),
  ),
})
export type RotationView = Readonly<z.infer<typeof RotationView>>
