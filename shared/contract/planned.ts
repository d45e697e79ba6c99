// What the plan of a rollout holds a node to: for each of its services the change that its own agent
// had found out, as a digest, and how much it disturbs.

import * as z from 'zod/mini'
import { Digest } from './schema.ts'
import { ServiceName } from './service.ts'

/**
 * How much a change disturbs: nothing is activated, a reload, a restart with one lease at a time, or
 * a group that is stopped as a whole.
 */
export const DisruptionClass = z.enum(['none', 'reload', 'rolling', 'coordinated'])
export type DisruptionClass = z.infer<typeof DisruptionClass>

export const PlannedService = z.strictObject({
  service: ServiceName,
  /** Of what would be written: equal for two looks at a node on which nothing has changed. */
  digest: Digest,
  /** Absent: the service was stopped, so nobody could know. */
  disruption: z.optional(DisruptionClass),
})
export type PlannedService = Readonly<z.infer<typeof PlannedService>>

/** By service; nothing is changed for one that is absent. */
export const PlannedServices = z.array(PlannedService).check(z.maxLength(32))
