// The stored form of rollouts: events, plans without their contents, and what of the folded state is
// not a step. The types live in rollout/rollout.ts; that both say the same is checked where a parser
// is given its type.

import * as z from 'zod/mini'
import { ClusterView } from '../../shared/contract/cluster-view.ts'
import { Digest, Generation, Name, Reason, TimeMs, parser } from '../../shared/contract/schema.ts'
import { ServiceName } from '../../shared/contract/service.ts'
import type { Batch, OrderedNode, Phase, Plan, Rollout, RolloutEvent } from '../rollout/rollout.ts'

// Events of before the controller had a clock of its own carry none.
const at = { atMs: TimeMs, timeMs: z._default(TimeMs, 0) }
const node = { ...at, node: Name }
const because = { ...node, reason: Reason }
const numbered = { ...node, generation: Generation }
const By = z.string().check(z.maxLength(256))
const Verdict = z.enum(['pass', 'fail', 'inconclusive'])
const Cause = z.enum(['manual', 'inconclusive', 'deadline', 'frozen'])
const Toward = z.enum(['failed', 'aborted', 'superseded'])
const Section = z.enum(['stop', 'switch', 'start', 'back'])
const Gate = z.strictObject({ gate: z.string(), verdict: Verdict, reason: Reason })
const Baseline = z.strictObject({
  unseen: z.array(Name),
  clusters: z.array(z.strictObject({ name: z.string(), view: ClusterView })),
})

const Event = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('planned'), ...at, reason: z.optional(Reason) }),
  z.strictObject({ kind: z.literal('approved'), ...at, by: By }),
  z.strictObject({ kind: z.literal('started'), ...at }),
  z.strictObject({ kind: z.literal('node-assigned'), ...numbered }),
  z.strictObject({ kind: z.literal('node-staged'), ...node }),
  z.strictObject({ kind: z.literal('node-refused'), ...because }),
  z.strictObject({ kind: z.literal('node-deferred'), ...because }),
  z.strictObject({ kind: z.literal('node-returned'), ...node }),
  z.strictObject({ kind: z.literal('node-skipped'), ...because }),
  z.strictObject({ kind: z.literal('staged'), ...at }),
  z.strictObject({ kind: z.literal('node-permitted'), ...numbered }),
  z.strictObject({ kind: z.literal('permit-claimed'), ...numbered, sequence: z.optional(TimeMs) }),
  z.strictObject({
    kind: z.literal('node-held'),
    ...node,
    at: z.enum(['saved', 'stopped', 'switched']),
  }),
  z.strictObject({ kind: z.literal('permit-withdrawn'), ...numbered, reason: Reason }),
  z.strictObject({ kind: z.literal('node-suspected'), ...because }),
  z.strictObject({ kind: z.literal('node-healthy'), ...node }),
  z.strictObject({ kind: z.literal('node-done'), ...node, reason: z.optional(Reason) }),
  z.strictObject({ kind: z.literal('node-reverted'), ...because }),
  z.strictObject({ kind: z.literal('node-broken'), ...because }),
  z.strictObject({ kind: z.literal('lease-forced'), ...because }),
  z.strictObject({ kind: z.literal('baseline-taken'), ...at, ...Baseline.shape }),
  z.strictObject({ kind: z.literal('batch-settled'), ...at }),
  z.strictObject({ kind: z.literal('gate-judged'), ...at, ...Gate.shape }),
  z.strictObject({ kind: z.literal('promoted'), ...at, by: By }),
  z.strictObject({ kind: z.literal('section-moved'), ...at, to: Section }),
  z.strictObject({ kind: z.literal('downtime-acknowledged'), ...at, by: By }),
  z.strictObject({ kind: z.literal('batch-passed'), ...at }),
  z.strictObject({ kind: z.literal('phase-passed'), ...at }),
  z.strictObject({ kind: z.literal('paused'), ...at, cause: Cause, reason: Reason }),
  z.strictObject({ kind: z.literal('resumed'), ...at, cause: Cause }),
  z.strictObject({ kind: z.literal('draining'), ...at, toward: Toward, reason: Reason }),
  z.strictObject({ kind: z.literal('node-released'), ...numbered }),
  z.strictObject({
    kind: z.literal('ended'),
    ...at,
    status: z.enum(['succeeded', 'partial', 'failed', 'aborted', 'superseded']),
  }),
])

export const parseRolloutEvent: (value: unknown) => RolloutEvent = parser('rollout event', Event)

// Stops compiling when an event is added to the types alone.
type Missing = Exclude<RolloutEvent['kind'], z.infer<typeof Event>['kind']>
const COMPLETE: [Missing] extends [never] ? true : Missing = true
void COMPLETE

const Count = z.int().check(z.nonnegative())

const External = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('webhook'), name: z.string(), url: z.string() }),
  z.strictObject({
    kind: z.literal('promql'),
    name: z.string(),
    server: z.string(),
    query: z.string(),
    expect: z.union([
      z.enum(['empty', 'non-empty']),
      z.strictObject({ is: z.enum(['<', '<=', '>', '>=', '==']), than: z.number() }),
    ]),
  }),
])

const StoredPlan = z.strictObject({
  kind: z.enum(['change', 'rollback', 'retry']),
  revision: Count,
  author: z.string(),
  parent: z.optional(z.string()),
  settings: z.strictObject({
    maxFailures: Count,
    maxParallel: Count,
    minHealthyMs: Count,
    progressDeadlineMs: Count,
    soakCanaryMs: Count,
    soakMs: Count,
    permitTtlMs: Count,
    applyMsMax: Count,
    deferDeadlineMs: Count,
    ramp: z.array(z.number()),
    promote: z.enum(['none', 'canary', 'every']),
    gates: z.array(z.string()),
    external: z.optional(z.array(External)),
    approvals: Count,
    autoRollback: z.boolean(),
    autoStart: z.boolean(),
  }),
  groups: z.array(
    z.strictObject({
      name: z.string(),
      type: z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('raft') }),
        z.strictObject({ kind: z.literal('master-eligible') }),
        z.strictObject({ kind: z.literal('replicated'), replication: Count }),
        z.strictObject({ kind: z.literal('pool'), percent: z.number() }),
      ]),
      members: z.array(Name),
      maxUnavailable: Count,
      tolerance: Count,
      acceptQuorumLoss: z.boolean(),
      declared: z.boolean(),
    }),
  ),
  windows: z.array(Reason),
  together: z.optional(z.array(z.string())),
  acknowledged: z.optional(z.boolean()),
  apart: z.optional(z.boolean()),
  phases: z.array(
    z.strictObject({
      name: z.string(),
      barrier: z.boolean(),
      coordinated: z.boolean(),
      maxFailures: Count,
      batches: z.array(
        z.strictObject({
          rule: z.enum(['strict', 'wide']),
          soakMs: Count,
          promote: z.enum(['manual', 'automatic']),
          nodes: z.array(
            z.strictObject({
              node: Name,
              from: z.optional(Digest),
              to: Digest,
              rank: z.int(),
              preview: z.optional(Digest),
              together: z.optional(ServiceName),
            }),
          ),
        }),
      ),
    }),
  ),
  digest: Digest,
})

const parseStoredPlan = parser('rollout plan', StoredPlan)

/** Contents are stored by their digests, once each. */
export function planToJson(plan: Plan): string {
  const phases = plan.phases.map(phase => ({
    ...phase,
    batches: phase.batches.map(batch => ({
      ...batch,
      nodes: batch.nodes.map(({ content: _content, ...rest }) => rest),
    })),
  }))
  return JSON.stringify({ ...plan, phases })
}

export function parsePlan(
  contentOf: (node: string, digest: string) => OrderedNode['content'],
): (value: unknown) => Plan {
  return value => {
    const stored = parseStoredPlan(value)
    const phases = stored.phases.map((phase): Phase => {
      const batches = phase.batches.map((batch): Batch => {
        const nodes = batch.nodes.map((row): OrderedNode => {
          const { node: name, from, to, rank, preview, together } = row
          const planned = { node: name, from, to, content: contentOf(name, to), rank }
          return {
            ...planned,
            ...(preview === undefined ? {} : { preview }),
            ...(together === undefined ? {} : { together }),
          }
        })
        return { ...batch, nodes }
      })
      return { ...phase, batches }
    })
    return { ...stored, parent: stored.parent, phases }
  }
}

/** What of a rollout is neither its plan, nor a step, nor a column of its own. */
export type RolloutState = Pick<
  Rollout,
  | 'pausedBy'
  | 'pausedTimeMs'
  | 'approvedBy'
  | 'phaseIndex'
  | 'batchIndex'
  | 'incomplete'
  | 'gates'
  | 'baseline'
  | 'promoted'
  | 'acknowledgedBy'
  | 'section'
  | 'settledTimeMs'
  | 'progressTimeMs'
  | 'deferredTimeMs'
>

const StoredState = z.strictObject({
  pausedBy: z.array(Cause),
  pausedTimeMs: z.optional(TimeMs),
  approvedBy: z.array(By),
  phaseIndex: Count,
  batchIndex: Count,
  incomplete: z.boolean(),
  gates: z.array(Gate),
  baseline: z.optional(Baseline),
  promoted: z.boolean(),
  acknowledgedBy: z.optional(By),
  section: z.optional(Section),
  settledTimeMs: z.optional(TimeMs),
  progressTimeMs: TimeMs,
  deferredTimeMs: z.optional(TimeMs),
})

const parseStoredState = parser('rollout state', StoredState)

export function parseRolloutState(value: unknown): RolloutState {
  const stored = parseStoredState(value)
  const { pausedTimeMs, settledTimeMs, deferredTimeMs } = stored
  const { baseline, acknowledgedBy, section } = stored
  const times = { pausedTimeMs, settledTimeMs, deferredTimeMs }
  return { ...stored, ...times, baseline, acknowledgedBy, section }
}

export function stateToJson(rollout: RolloutState): string {
  const { pausedBy, pausedTimeMs, approvedBy, phaseIndex, batchIndex, incomplete } = rollout
  const { gates, baseline, promoted, acknowledgedBy, section } = rollout
  const { settledTimeMs, progressTimeMs, deferredTimeMs } = rollout
  const place = { pausedBy, pausedTimeMs, approvedBy, phaseIndex, batchIndex, incomplete }
  const times = { settledTimeMs, progressTimeMs, deferredTimeMs }
  const batch = { gates, baseline, promoted, acknowledgedBy, section, ...times }
  return JSON.stringify({ ...place, ...batch })
}

/** Of a rollout that was stored before there was anything of this. */
export const NO_STATE: RolloutState = {
  pausedBy: [],
  pausedTimeMs: undefined,
  approvedBy: [],
  phaseIndex: 0,
  batchIndex: 0,
  incomplete: false,
  gates: [],
  baseline: undefined,
  promoted: false,
  acknowledgedBy: undefined,
  section: undefined,
  settledTimeMs: undefined,
  progressTimeMs: 0,
  deferredTimeMs: undefined,
}
