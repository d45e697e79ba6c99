// The parts of the fleet spec that say how changes move through the fleet:
//
//   groups:                        # nodes that must not be down together; clusters have one unasked
//     - name: meta
//       kind: raft                 # raft | master-eligible | replicated | pool
//       nodes: { labels: { role: meta } }
//       replication: 2             # kind replicated: copies of the data
//       percent: 25                # kind pool: how much of it may be down
//       maxUnavailable: 1          # at most so many, whatever the kind could spare
//       acceptQuorumLoss: false    # true: its outage is known and accepted
//   rollout:                       # all optional; what is absent depends on the number of nodes
//     maxFailures: 0               # or a part of the nodes, "5%", rounded down
//     maxParallel: 10
//     minHealthy: 30s
//     canarySoak: 5m
//     soak: 1m
//     progressDeadline: 10m
//     waitForOffline: 7d
//     ramp: [10, 50, 100]
//     promote: none                # none | canary | every
//     approvals: 0
//     autoRollback: false
//     autoStart: true
//     gates:                       # who else judges each batch; controller.toml lists whom may be asked
//       - webhook: https://desk.example.org/gate
//       - promql: { server: 'https://prometheus.example.org:9090', query: 'sum(up == 0)', expect: empty }
//   maintenance:                   # changes are made inside of these times only, UTC
//     - { days: [sat, sun], from: "22:00", to: "04:00" }

import * as z from 'zod/mini'
import { Name } from '../../shared/contract/schema.ts'
import { parseDuration } from '../../shared/duration.ts'
import type { Expectation, ExternalGate } from '../rollout/rollout.ts'
import { type GivenSettings, settingsProblems } from '../rollout/settings.ts'
import type { GroupIntent, GroupKind } from './groups.ts'
import type { Selector } from './selector.ts'
import type { Path } from './spec-problems.ts'

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000
const SPAN_MS_MAX = 366 * DAY_MS
const COUNT_MAX = 100_000

/** A duration that may be none at all. */
const Span = z.pipe(
  z.string({ error: 'must be a duration such as 0s, 90s, 5m or 7d' }),
  z.transform((text, context) => {
    const spanMs = parseDuration(text)
    if (spanMs !== undefined && spanMs <= SPAN_MS_MAX) return spanMs
    const message = `\`${text.slice(0, 40)}\` is not a duration such as 0s, 90s, 5m or 7d`
    context.issues.push({ code: 'custom', message, input: text })
    return z.NEVER
  }),
)

const Share = z.pipe(
  z.string().check(z.regex(/^\d{1,2}(\.\d+)?%$|^100%$/, { error: 'must be a number or `5%`' })),
  z.transform(text => ({ percent: Number(text.slice(0, -1)) })),
)

const Count = z.int().check(z.minimum(0), z.maximum(COUNT_MAX))
const Positive = z.int().check(z.minimum(1), z.maximum(COUNT_MAX))
const Percent = z.number().check(z.positive(), z.maximum(100))

const Labels = z.record(
  z.string(),
  z.union([z.string(), z.array(z.string()).check(z.minLength(1))]),
)
const Nodes = z.union([
  z.literal('all'),
  z.strictObject({
    labels: z.optional(Labels),
    names: z.optional(z.array(Name).check(z.minLength(1))),
  }),
])

const groupKeys = {
  name: Name,
  nodes: Nodes,
  maxUnavailable: z.optional(Positive),
  acceptQuorumLoss: z.optional(z.boolean()),
}

const Group = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('raft'), ...groupKeys }),
  z.strictObject({ kind: z.literal('master-eligible'), ...groupKeys }),
  z.strictObject({ kind: z.literal('replicated'), replication: Positive, ...groupKeys }),
  z.strictObject({ kind: z.literal('pool'), percent: Percent, ...groupKeys }),
])
type Group = z.infer<typeof Group>

const GateUrl = z.string().check(
  z.maxLength(512),
  z.refine(
    text => {
      const url = URL.parse(text)
      return (
        (url?.protocol === 'https:' || url?.protocol === 'http:') &&
        url.username === '' &&
        url.password === ''
      )
    },
    { error: 'must be an https URL (http on loopback) without user and password' },
  ),
)

/** `empty`, `non-empty`, or a threshold such as `< 0.01`. */
const Expect = z.pipe(
  z.string(),
  z.transform((text, context): Expectation => {
    if (text === 'empty' || text === 'non-empty') return text
    const [, sign, number] = /^(<=|>=|==|<|>)\s*(-?\d+(?:\.\d+)?)$/.exec(text) ?? []
    const is = COMPARISONS.find(one => one === sign)
    if (is !== undefined) return { is, than: Number(number) }
    const message = 'must be empty, non-empty, or a threshold such as `< 0.01`'
    context.issues.push({ code: 'custom', message, input: text })
    return z.NEVER
  }),
)
const COMPARISONS = ['<', '<=', '>', '>=', '=='] as const

const Gate = z.union([
  z.strictObject({ webhook: GateUrl }),
  z.strictObject({
    promql: z.strictObject({
      server: GateUrl,
      query: z.string().check(z.minLength(1), z.maxLength(4096)),
      expect: z._default(Expect, 'non-empty'),
    }),
  }),
])

function externalOf(gate: z.infer<typeof Gate>, index: number): ExternalGate {
  if ('webhook' in gate) return { name: `webhook-${index + 1}`, kind: 'webhook', url: gate.webhook }
  return { name: `promql-${index + 1}`, kind: 'promql', ...gate.promql }
}

const Rollout = z.strictObject({
  maxFailures: z.optional(z.union([Count, Share])),
  maxParallel: z.optional(Positive),
  minHealthy: z.optional(Span),
  canarySoak: z.optional(Span),
  soak: z.optional(Span),
  progressDeadline: z.optional(Span),
  permitTtl: z.optional(Span),
  applyMax: z.optional(Span),
  waitForOffline: z.optional(Span),
  ramp: z.optional(z.array(Percent).check(z.maxLength(16))),
  promote: z.optional(z.enum(['none', 'canary', 'every'])),
  approvals: z.optional(z.int().check(z.minimum(0), z.maximum(10))),
  autoRollback: z.optional(z.boolean()),
  autoStart: z.optional(z.boolean()),
  gates: z.optional(z.array(Gate).check(z.maxLength(8))),
})
type Rollout = z.infer<typeof Rollout>

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const
const TimeOfDay = z
  .string()
  .check(z.regex(/^([01]\d|2[0-3]):[0-5]\d$/, { error: 'must be a time of day such as "22:30"' }))

const Maintenance = z.strictObject({
  days: z.optional(z.array(z.enum(DAYS)).check(z.minLength(1))),
  from: TimeOfDay,
  to: TimeOfDay,
})
type Maintenance = z.infer<typeof Maintenance>

/** Keys of the fleet spec that this file describes. */
export const rolloutKeys = {
  groups: z.optional(z.array(Group).check(z.maxLength(256))),
  rollout: z.optional(Rollout),
  maintenance: z.optional(z.array(Maintenance).check(z.minLength(1), z.maxLength(64))),
}

export const KNOWN_ROLLOUT_KEYS: readonly (readonly [string, readonly string[]])[] = [
  ['groups.*', ['kind', ...Object.keys(groupKeys), 'replication', 'percent']],
  ['groups.*.nodes', ['labels', 'names']],
  ['rollout', Object.keys(Rollout.shape)],
  ['maintenance.*', Object.keys(Maintenance.shape)],
  ['rollout.gates.*', ['webhook', 'promql']],
  ['rollout.gates.*.promql', ['server', 'query', 'expect']],
]

export interface MaintenanceTime {
  /** 0 is Sunday; when it begins. */
  readonly days: readonly number[]
  readonly fromMs: number
  /** At or below `fromMs`: on the next day. */
  readonly toMs: number
}

export interface RolloutIntent {
  readonly groups?: readonly GroupIntent[]
  readonly rollout?: GivenSettings
  readonly maintenance?: readonly MaintenanceTime[]
}

interface Given {
  readonly groups?: readonly Group[] | undefined
  readonly rollout?: Rollout | undefined
  readonly maintenance?: readonly Maintenance[] | undefined
}

/** Absent where nothing was given, so that a spec without them keeps its digest. */
export function resolveRollout(
  { groups, rollout, maintenance }: Given,
  report: (path: Path, message: string) => void,
): RolloutIntent {
  const names = new Set<string>()
  for (const [index, { name }] of (groups ?? []).entries()) {
    if (names.has(name)) report(['groups', index, 'name'], `group \`${name}\` is given twice`)
    names.add(name)
  }
  const settings = rollout && settingsOf(rollout)
  for (const problem of settingsProblems(settings ?? {})) report(['rollout'], problem)
  return {
    ...(groups === undefined ? {} : { groups: groups.map(groupOf) }),
    ...(settings === undefined ? {} : { rollout: settings }),
    ...(maintenance === undefined ? {} : { maintenance: maintenance.map(timeOf) }),
  }
}

function groupOf(group: Group): GroupIntent {
  const { name, maxUnavailable, acceptQuorumLoss = false } = group
  return {
    name,
    nodes: selectorOf(group.nodes),
    type: kindOf(group),
    maxUnavailable,
    acceptQuorumLoss,
  }
}

function kindOf(group: Group): GroupKind {
  switch (group.kind) {
    case 'raft':
    case 'master-eligible':
      return { kind: group.kind }
    case 'replicated':
      return { kind: 'replicated', replication: group.replication }
    case 'pool':
      return { kind: 'pool', percent: group.percent }
  }
}

function selectorOf(nodes: Group['nodes']): Selector {
  if (nodes === 'all') return nodes
  const labels = Object.entries(nodes.labels ?? {}).map(
    ([label, value]) => [label, typeof value === 'string' ? [value] : value.toSorted()] as const,
  )
  return {
    ...(labels.length === 0 ? {} : { labels: Object.fromEntries(labels) }),
    ...(nodes.names === undefined ? {} : { names: nodes.names.toSorted() }),
  }
}

function settingsOf(given: Rollout): GivenSettings {
  const { maxFailures, minHealthy, canarySoak, soak, progressDeadline, ...more } = given
  const { permitTtl, applyMax, waitForOffline, gates, ...plain } = more
  const external = gates?.map(externalOf)
  const named = {
    maxFailures: typeof maxFailures === 'number' ? maxFailures : undefined,
    maxFailuresPercent: typeof maxFailures === 'object' ? maxFailures.percent : undefined,
    minHealthyMs: minHealthy,
    soakCanaryMs: canarySoak,
    soakMs: soak,
    progressDeadlineMs: progressDeadline,
    permitTtlMs: permitTtl,
    applyMsMax: applyMax,
    deferDeadlineMs: waitForOffline,
    gates: external?.map(({ name }) => name),
    external,
    ...plain,
  }
  return Object.fromEntries(Object.entries(named).filter(([, value]) => value !== undefined))
}

function timeOf({ days, from, to }: Maintenance): MaintenanceTime {
  const numbers = (days ?? DAYS).map(day => DAYS.indexOf(day))
  return { days: numbers, fromMs: minutesMs(from), toMs: minutesMs(to) }
}

function minutesMs(text: string): number {
  const [hours = 0, minutes = 0] = text.split(':').map(Number)
  return (hours * 60 + minutes) * MINUTE_MS
}

/** Is this a time at which changes are made? With no times given, always. */
export function isMaintenance(
  times: readonly MaintenanceTime[] | undefined,
  atMs: number,
): boolean {
  if (times === undefined) return true
  const ofDayMs = atMs % DAY_MS
  const day = new Date(atMs).getUTCDay()
  const yesterday = (day + 6) % 7
  return times.some(({ days, fromMs, toMs }) =>
    fromMs < toMs
      ? days.includes(day) && ofDayMs >= fromMs && ofDayMs < toMs
      : (days.includes(day) && ofDayMs >= fromMs) || (days.includes(yesterday) && ofDayMs < toMs),
  )
}
