// The stored form of the events of rotations. The types live in rotation/rotation.ts; that both say
// the same is checked where the parser is given its type.

import * as z from 'zod/mini'
import { RolloutStatus } from '../../shared/contract/operator-api.ts'
import { parser, Reason, TimeMs } from '../../shared/contract/schema.ts'
import type { RotationEvent } from '../rotation/rotation.ts'

const by = { atMs: TimeMs, actor: z.string() }
const reason = { ...by, reason: Reason }

const Subject = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('service'), from: z.string(), to: z.string() }),
  z.strictObject({ kind: z.literal('identity'), from: z.string(), to: z.string() }),
  z.strictObject({ kind: z.literal('issuer'), from: z.int(), to: z.int() }),
])

const Event = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('created'),
    ...by,
    subject: Subject,
    pace: z.enum(['step', 'normal', 'auto']),
    approvals: z.optional(z.int()),
  }),
  z.strictObject({
    kind: z.literal('entered'),
    ...reason,
    phase: z.enum(['prepare', 'distribute', 'activate', 'retire', 'deny']),
  }),
  z.strictObject({ kind: z.literal('rollout-started'), ...by, rollout: z.string() }),
  z.strictObject({
    kind: z.literal('rollout-ended'),
    ...by,
    rollout: z.string(),
    status: RolloutStatus,
  }),
  z.strictObject({ kind: z.literal('stopped'), ...reason }),
  z.strictObject({ kind: z.literal('resumed'), ...reason }),
  z.strictObject({ kind: z.literal('confirmed'), ...reason }),
  z.strictObject({ kind: z.literal('tainted'), ...reason }),
  z.strictObject({ kind: z.literal('reversed'), ...reason }),
  z.strictObject({ kind: z.literal('ended'), ...by, status: z.enum(['completed', 'reversed']) }),
])

export const parseRotationEvent: (value: unknown) => RotationEvent = parser('rotation event', Event)
