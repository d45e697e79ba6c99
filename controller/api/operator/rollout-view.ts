import type { RolloutView, StepView } from '../../../shared/contract/operator-api.ts'
import type { Rollout, RolloutEvent, Step } from '../../rollout/rollout.ts'
import type * as z from 'zod/mini'

type StepOf = z.infer<typeof StepView>

/** Steps in plan order. */
export function rolloutView(rollout: Rollout): RolloutView {
  const { id, plan, status, reason, version, startedAtMs, endedAtMs } = rollout
  return {
    id,
    revision: plan.revision,
    status,
    ...(reason === undefined ? {} : { reason }),
    version,
    steps: plan.nodes.flatMap(({ node }) => {
      const step = Object.hasOwn(rollout.steps, node) ? rollout.steps[node] : undefined
      return step === undefined ? [] : [stepView(step)]
    }),
    ...(startedAtMs === undefined ? {} : { startedAtMs }),
    ...(endedAtMs === undefined ? {} : { endedAtMs }),
  }
}

function stepView({ node, state, generation, reason, sinceMs }: Step): StepOf {
  return {
    node,
    state,
    ...(generation === undefined ? {} : { generation }),
    ...(reason === undefined ? {} : { reason }),
    sinceMs,
  }
}

export function eventView(stored: {
  readonly version: number
  readonly atMs: number
  readonly event: RolloutEvent
}) {
  const { version, atMs, event } = stored
  return {
    version,
    atMs,
    kind: event.kind,
    ...('node' in event ? { node: event.node } : {}),
    ...('reason' in event ? { reason: event.reason } : {}),
  }
}
