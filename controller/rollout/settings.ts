// What a rollout waits for and tolerates. Given in the fleet spec under `rollout:`; what is not given
// depends on the size of the change. Pure.

import type { ExternalGate } from './rollout.ts'

export interface RolloutSettings {
  /** Failures that are tolerated; one more drains the rollout. */
  readonly maxFailures: number
  /** Steps in motion at once, once the canaries are through. */
  readonly maxParallel: number
  /** How long a node must be well before its step is done, beyond the agent's own `stableFor`. */
  readonly minHealthyMs: number
  /** Without any progress for so long, the rollout pauses. */
  readonly progressDeadlineMs: number
  readonly soakCanaryMs: number
  readonly soakMs: number
  readonly permitTtlMs: number
  /** A node that claimed its permit and is silent for longer is suspect. */
  readonly applyMsMax: number
  /** How long nodes that are offline are waited for, once all others are through. */
  readonly deferDeadlineMs: number
  /** Percentages of the nodes after the canaries; the last batch has the rest. Empty: one batch. */
  readonly ramp: readonly number[]
  /** Which batches an operator promotes. */
  readonly promote: 'none' | 'canary' | 'every'
  /** Gates from outside that every batch must pass, by name. */
  readonly gates: readonly string[]
  /** Those of them that others judge. */
  readonly external?: readonly ExternalGate[] | undefined
  /** Approvals that it takes, none of them the author's. */
  readonly approvals: number
  readonly autoRollback: boolean
  /** False: an operator starts it. */
  readonly autoStart: boolean
}

/** A change of fewer nodes is made one by one, and nobody waits for it to soak. */
export const WIDE_FROM = 10

const MINUTE_MS = 60_000
const PARALLEL_MAX = 64

const COMMON = {
  maxFailures: 0,
  progressDeadlineMs: 10 * MINUTE_MS,
  permitTtlMs: MINUTE_MS,
  applyMsMax: 10 * MINUTE_MS,
  promote: 'none',
  gates: [],
  approvals: 0,
  autoRollback: false,
  autoStart: true,
} as const satisfies Partial<RolloutSettings>

const SMALL: RolloutSettings = {
  ...COMMON,
  maxParallel: 1,
  minHealthyMs: 0,
  soakCanaryMs: 0,
  soakMs: 0,
  deferDeadlineMs: 0,
  ramp: [],
}

const WIDE: Omit<RolloutSettings, 'maxParallel'> = {
  ...COMMON,
  minHealthyMs: 30_000,
  soakCanaryMs: 5 * MINUTE_MS,
  soakMs: MINUTE_MS,
  deferDeadlineMs: 7 * 24 * 60 * MINUTE_MS,
  ramp: [10, 50, 100],
}

export interface GivenSettings extends Partial<RolloutSettings> {
  /** In place of `maxFailures`: a part of the nodes, rounded down. */
  readonly maxFailuresPercent?: number
}

/** `given` decides, the size of the change does where nothing is given. */
export function settingsFor(nodes: number, given: GivenSettings): RolloutSettings {
  const { maxFailuresPercent, ...plain } = given
  const isCareful = (given.soakCanaryMs ?? 0) > 0 || (given.promote ?? 'none') !== 'none'
  const maxParallel = Math.max(1, Math.min(PARALLEL_MAX, Math.floor(nodes / WIDE_FROM)))
  // A canary is of use only where something comes after it.
  const small = isCareful ? { ...SMALL, ramp: WIDE.ramp } : SMALL
  const tolerated =
    maxFailuresPercent === undefined
      ? {}
      : { maxFailures: Math.floor((maxFailuresPercent * nodes) / 100) }
  const size = nodes < WIDE_FROM ? small : { ...WIDE, maxParallel }
  return { ...size, ...tolerated, ...plain }
}

/** What contradicts itself, as sentences. */
export function settingsProblems(settings: Partial<RolloutSettings>): readonly string[] {
  const { minHealthyMs, progressDeadlineMs, ramp, maxParallel } = settings
  const problems: string[] = []
  const progressMs = progressDeadlineMs ?? COMMON.progressDeadlineMs
  if ((minHealthyMs ?? 0) >= progressMs)
    problems.push('minHealthy must be shorter than progressDeadline')
  if (maxParallel !== undefined && maxParallel < 1) problems.push('maxParallel is at least 1')
  if (ramp?.some((percent, index) => percent <= (ramp[index - 1] ?? 0) || percent > 100) === true)
    problems.push('ramp lists percentages that rise, up to 100')
  return problems
}
