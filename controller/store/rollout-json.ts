// The stored form of rollout events. The types live in rollout/rollout.ts; that both say the same
// is checked where the parser is given its type.

import * as z from 'zod/mini'
import { Generation, Name, Reason, TimeMs, parser } from '../../shared/contract/schema.ts'
import type { RolloutEvent, RolloutStatus, StepState } from '../rollout/rollout.ts'

const at = { atMs: TimeMs }
const node = { ...at, node: Name }

const Event = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('planned'), ...at }),
  z.strictObject({ kind: z.literal('started'), ...at }),
  z.strictObject({ kind: z.literal('node-assigned'), ...node, generation: Generation }),
  z.strictObject({ kind: z.literal('node-staged'), ...node }),
  z.strictObject({ kind: z.literal('node-refused'), ...node, reason: Reason }),
  z.strictObject({ kind: z.literal('node-deferred'), ...node, reason: Reason }),
  z.strictObject({ kind: z.literal('staged'), ...at }),
  z.strictObject({ kind: z.literal('node-permitted'), ...node, generation: Generation }),
  z.strictObject({ kind: z.literal('permit-claimed'), ...node, generation: Generation }),
  z.strictObject({
    kind: z.literal('permit-withdrawn'),
    ...node,
    generation: Generation,
    reason: Reason,
  }),
  z.strictObject({ kind: z.literal('node-suspected'), ...node, reason: Reason }),
  z.strictObject({ kind: z.literal('node-done'), ...node }),
  z.strictObject({ kind: z.literal('node-reverted'), ...node, reason: Reason }),
  z.strictObject({ kind: z.literal('node-broken'), ...node, reason: Reason }),
  z.strictObject({
    kind: z.literal('draining'),
    ...at,
    toward: z.enum(['failed', 'aborted']),
    reason: Reason,
  }),
  z.strictObject({ kind: z.literal('node-released'), ...node, generation: Generation }),
  z.strictObject({
    kind: z.literal('ended'),
    ...at,
    status: z.enum(['succeeded', 'partial', 'failed', 'aborted']),
  }),
])

export const parseRolloutEvent: (value: unknown) => RolloutEvent = parser('rollout event', Event)

// Stops compiling when an event is added to the types alone.
type Missing = Exclude<RolloutEvent['kind'], z.infer<typeof Event>['kind']>
const COMPLETE: [Missing] extends [never] ? true : Missing = true
void COMPLETE

export const ROLLOUT_STATUSES = [
  'planned',
  'staging',
  'running',
  'draining',
  'succeeded',
  'partial',
  'failed',
  'aborted',
  'superseded',
] as const satisfies readonly RolloutStatus[]

export const STEP_STATES = [
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
] as const satisfies readonly StepState[]
