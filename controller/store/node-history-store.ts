// What a node was in, without what all others were in at the same time.

import type { Reason } from '../../shared/contract/schema.ts'
import type { RolloutStatus, StepState } from '../rollout/rollout.ts'

export interface NodeStepRecord {
  readonly rollout: string
  readonly revision: number
  readonly author: string
  readonly status: RolloutStatus
  readonly endedAtMs: number | undefined
  readonly state: StepState
  readonly generation: number | undefined
  readonly reason: Reason | undefined
  readonly sinceMs: number
}

export interface NodeHistory {
  /** Steps of the node, newest rollout first, of rollouts older than `before`. */
  rollouts(
    node: string,
    page: { readonly before?: string; readonly limit: number },
  ): Promise<readonly NodeStepRecord[]>
}
