// What the agent does by itself while its controller does not answer. Pure.

import type { Purpose } from './disruption.ts'

/** From agent.toml, `[offline]`. */
export interface OfflineRule {
  /** `group`: a node in a group waits with what disturbs its services, one in no group goes ahead. */
  readonly disruptive: 'group' | 'wait' | 'go'
  /** A renewal goes ahead all the same when the certificate in use ends sooner than this. */
  readonly renewWithinMs: number | undefined
}

export const OFFLINE_RULE: OfflineRule = { disruptive: 'group', renewWithinMs: undefined }

export interface Alone {
  readonly rule: OfflineRule
  /** Undefined: the controller never said. */
  readonly grouped: boolean | undefined
  readonly purpose: Purpose
  /** When the first of the certificates that are served ends; undefined: none is known. */
  readonly endsAtMs: number | undefined
  readonly nowMs: number
}

/** Why it waits; undefined: it goes ahead. A permit is the controller's alone to give. */
export function whyWaitAlone(alone: Alone): string | undefined {
  const { rule, grouped, purpose, endsAtMs, nowMs } = alone
  if (purpose === 'rollout') return 'the permit of a rollout is not used without it'
  if (rule.disruptive === 'go') return undefined
  const { renewWithinMs } = rule
  const isEnding =
    renewWithinMs !== undefined && endsAtMs !== undefined && endsAtMs - nowMs < renewWithinMs
  if (purpose === 'renewal' && isEnding) return undefined
  if (rule.disruptive === 'wait') return 'agent.toml lets nothing be disturbed without it'
  if (grouped === false) return undefined
  return grouped === true
    ? 'this node is in a group, and others of it may be down'
    : 'it has not said yet whether this node is in a group'
}
