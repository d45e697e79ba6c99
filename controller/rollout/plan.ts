// From the nodes that are to change to the plan of their rollout: who moves in which batch, in which
// order, within which limits. Pure: equal inputs give the same bytes.

import { digestOf, type Json } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { rankOfNode } from '../fleet/edges.ts'
import { type GroupDefinition, limitOf } from '../fleet/groups.ts'
import type {
  Batch,
  Condition,
  OrderedNode,
  Phase,
  PhaseRequest,
  Plan,
  PlannedNode,
  RolloutPlan,
} from './rollout.ts'
import { aroundSection, inStartOrder } from './together.ts'
import { type GivenSettings, type RolloutSettings, settingsFor, WIDE_FROM } from './settings.ts'

export interface PlanInput {
  readonly request: RolloutPlan
  /** Of the fleet spec; those of the request stand above them. */
  readonly settings: GivenSettings
  readonly groups: readonly GroupDefinition[]
  readonly conditionOf: (node: string) => Condition
  /** Leads its group: moved after the others. */
  readonly isLeader?: (node: string) => boolean
  /** Speaks another scheme after the change than before it: what stands on it waits for it. */
  readonly flips?: (planned: PlannedNode) => boolean
}

/** Throws `quorum-loss` where a group would lose its quorum and nobody has accepted it. */
export function makePlan(input: PlanInput): Plan {
  const { request, groups } = input
  const { kind = 'change', revision, author, parent } = request
  const requested = phasesOf(input)
  const nodes = new Set(requested.flatMap(phase => phase.nodes.map(({ node }) => node)))
  const touched = groups.filter(({ members }) => members.some(member => nodes.has(member)))
  // A group that is stopped as a whole spares nobody.
  requireSpare(touched.filter(({ name }) => request.together?.includes(name) !== true))
  const given = { ...input.settings, ...request.settings }
  const settings = settingsFor(nodes.size, kind === 'rollback' ? { ...given, ...HASTE } : given)
  const { together = [], acknowledged, apart } = request
  const plan = {
    kind,
    revision,
    author,
    parent,
    settings,
    groups: touched,
    windows: [
      ...(request.windows ?? []),
      ...touched.flatMap(one => announce(one, nodes, together)),
    ],
    ...(together.length === 0 ? {} : { together }),
    ...(apart === true ? { apart } : {}),
    phases: requested.map(phase => planPhase(input, settings, phase)),
  }
  const digest = digestOf(asJson(plan))
  return acknowledged === true ? { ...plan, acknowledged, digest } : { ...plan, digest }
}

// The way back to what was proven: no canaries, and nobody waits. Budgets stay.
const HASTE = {
  ramp: [],
  soakCanaryMs: 0,
  soakMs: 0,
  promote: 'none',
  approvals: 0,
  autoRollback: false,
  autoStart: true,
} as const satisfies Partial<RolloutSettings>

function phasesOf(input: PlanInput): readonly PhaseRequest[] {
  const { nodes, phases = [], together = [] } = input.request
  if (phases.length > 0) return phases
  return together.length === 0
    ? wavesOf(input, nodes)
    : aroundSection(input, together, others => wavesOf(input, others))
}

function wavesOf(
  { request, flips }: PlanInput,
  nodes: readonly PlannedNode[],
): readonly PhaseRequest[] {
  const { kind = 'change' } = request
  const isSwitch = flips !== undefined && nodes.length >= WIDE_FROM && nodes.some(flips)
  if (!isSwitch || kind === 'rollback') return [{ name: 'change', nodes }]
  // A port speaks plaintext or TLS: a canary of every product at once would cut off the others.
  const ranks = Map.groupBy(nodes, ({ content }) => rankOfNode(content.services))
  return [...ranks.keys()]
    .toSorted((a, b) => a - b)
    .map((rank, index) => ({ name: `wave-${index + 1}`, nodes: ranks.get(rank) ?? [] }))
}

function requireSpare(groups: readonly GroupDefinition[]): void {
  const lost = groups.find(group => limitOf(group) === 0)
  if (lost === undefined) return
  throw new OperationalError(
    'quorum-loss',
    `could not plan a change of group ${lost.name}: it has ${lost.members.length} members and can spare none`,
    {
      hint: `acceptQuorumLoss: true in the group says that its outage is known`,
      details: { group: lost.name },
    },
  )
}

function announce(
  { name, members, tolerance, type }: GroupDefinition,
  moving: ReadonlySet<string>,
  together: readonly string[],
): readonly Reason[] {
  const code = `window-group-${name.replaceAll(/[^a-z0-9]+/g, '-')}`
  if (together.includes(name)) {
    const down = members.filter(member => moving.has(member))
    const isAll = down.length === members.length
    const who = isAll
      ? `group ${name} is down as a whole`
      : `${down.length} of ${members.length} members of group ${name} are down at the same time`
    return [{ code, message: `${who} while its members are changed together` }]
  }
  if (members.length === 1)
    return type.kind === 'pool' || type.kind === 'replicated'
      ? []
      : [{ code, message: `group ${name} has one member: its restart is its outage` }]
  if (tolerance > 0) return []
  const message = `group ${name} has ${members.length} members and no quorum while one of them restarts`
  return [{ code, message }]
}

function planPhase(input: PlanInput, settings: RolloutSettings, phase: PhaseRequest): Phase {
  const { name, barrier = false, coordinated = false } = phase
  const inOrder = inMovingOrder(input, phase.nodes)
  const ordered = coordinated ? inStartOrder(input, inOrder) : inOrder
  const { lists, canaries } = coordinated
    ? { lists: [ordered], canaries: 0 }
    : rampOf(input, settings, ordered)
  return {
    name,
    barrier,
    coordinated,
    // A failure that is tolerated before a barrier would leave it waiting for ever.
    maxFailures: barrier || coordinated ? 0 : settings.maxFailures,
    batches: lists.map((nodes, index): Batch => {
      const isCanary = index < canaries
      const isLast = index === lists.length - 1
      const asks = settings.promote === 'every' || (settings.promote === 'canary' && isCanary)
      return {
        rule: isCanary || isSerial(input, settings) ? 'strict' : 'wide',
        soakMs: isCanary ? settings.soakCanaryMs : settings.soakMs,
        promote: asks && !isLast ? 'manual' : 'automatic',
        nodes,
      }
    }),
  }
}

function isSerial({ request }: PlanInput, settings: RolloutSettings): boolean {
  return settings.ramp.length === 0 && request.kind !== 'rollback'
}

function inMovingOrder(
  { conditionOf, groups, isLeader, request }: PlanInput,
  nodes: readonly PlannedNode[],
): readonly OrderedNode[] {
  const isRollback = request.kind === 'rollback'
  const grouped = new Set(groups.flatMap(({ members }) => members))
  const rows = nodes.map(planned => ({
    planned: { ...planned, rank: rankOfNode(planned.content.services) },
    // Where nothing is spared for anybody, who is out stands in nobody's way.
    condition:
      isRollback || grouped.has(planned.node) ? ORDER.indexOf(conditionOf(planned.node)) : 0,
    isLeader: isLeader?.(planned.node) === true ? 1 : 0,
  }))
  // A rollback repairs first, whatever stands on what.
  const rank = isRollback ? () => 0 : (row: (typeof rows)[number]) => row.planned.rank
  return rows
    .toSorted(
      (a, b) =>
        rank(a) - rank(b) ||
        a.condition - b.condition ||
        a.isLeader - b.isLeader ||
        (a.planned.node < b.planned.node ? -1 : 1),
    )
    .map(({ planned }) => (isRollback ? { ...planned, rank: 0 } : planned))
}

// Who is out already makes nothing worse; who cannot be reached is left for the end.
const ORDER: readonly Condition[] = ['broken', 'out', 'unknown', 'well', 'offline']

interface Ramp {
  readonly lists: readonly (readonly OrderedNode[])[]
  readonly canaries: number
}

/** One per product, one per group, then parts of the rest. Batches of nobody are left out. */
function rampOf(
  { conditionOf, groups }: PlanInput,
  { ramp }: RolloutSettings,
  ordered: readonly OrderedNode[],
): Ramp {
  if (ramp.length === 0) return { lists: [ordered], canaries: 0 }
  const left = new Set(ordered)
  const take = (keysOf: (planned: OrderedNode) => readonly string[]): OrderedNode[] => {
    const seen = new Set<string>()
    const taken: OrderedNode[] = []
    for (const planned of left) {
      if (conditionOf(planned.node) === 'offline') continue
      const fresh = keysOf(planned).filter(key => !seen.has(key))
      if (fresh.length === 0) continue
      for (const key of keysOf(planned)) seen.add(key)
      left.delete(planned)
      taken.push(planned)
    }
    return taken
  }
  const products = take(({ content }) => content.services.map(({ service }) => service))
  const tried = new Set(products.map(({ node }) => node))
  const groupsOf = new Map<string, string[]>()
  for (const { name, members } of groups) {
    if (members.some(member => tried.has(member))) continue
    for (const member of members) groupsOf.set(member, [...(groupsOf.get(member) ?? []), name])
  }
  const grouped = take(({ node }) => groupsOf.get(node) ?? [])
  const lists = [products, grouped, ...parts([...left], ramp)]
  const canaries = [products, grouped].filter(list => list.length > 0).length
  return { lists: lists.filter(list => list.length > 0), canaries }
}

function parts<T>(rest: readonly T[], ramp: readonly number[]): readonly (readonly T[])[] {
  const ends = ramp.map(percent => Math.floor((percent * rest.length) / 100))
  return [...ends, rest.length].map((end, index) => rest.slice(ends[index - 1] ?? 0, end))
}

// Who applies it is no part of what is done.
function asJson({ author: _author, ...plan }: Omit<Plan, 'digest'>): Json {
  const phases = plan.phases.map(phase => ({
    ...phase,
    batches: phase.batches.map(batch => ({
      ...batch,
      nodes: batch.nodes.map(({ content: _content, ...planned }) => planned),
    })),
  }))
  const json: Json = JSON.parse(JSON.stringify({ ...plan, phases }))
  return json
}
