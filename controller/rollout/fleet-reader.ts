// What decisions see: the nodes of a rollout, the groups of the fleet spec with their members and leases,
// freezes and maintenance times.

import type { Clock } from '../../shared/clock.ts'
import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { ServiceName } from '../../shared/contract/service.ts'
import { type GroupDefinition, groupsOf } from '../fleet/groups.ts'
import type { FleetSpec } from '../fleet/intent.ts'
import { isMaintenance, type RolloutIntent } from '../fleet/rollout-spec.ts'
import { matches, type Selector } from '../fleet/selector.ts'
import type { RolloutMember } from '../store/store.ts'
import { createFleetCache, type FleetCacheOptions } from './fleet-cache.ts'
import type { FleetFrame } from './fleet-frame.ts'
import { outReason } from './fleet-view.ts'
import { makePlan } from './plan.ts'
import type {
  Condition,
  FleetView,
  GateVerdict,
  Now,
  Plan,
  PlannedNode,
  Rollout,
  RolloutPlan,
  VantageOf,
} from './rollout.ts'
import { allSteps } from './steps.ts'
import type { RolloutTransaction } from './rollout-store.ts'

export interface FleetReader {
  /** For one transaction: what it holds is kept up, not copied. */
  read(tx: RolloutTransaction, rollout: Rollout, now: Now): Promise<FleetView>
  /** Without a rollout: what a renewal or a correction of this node has to know. */
  readGroups(tx: RolloutTransaction, node: string, now: Now): Promise<FleetView>
  /** `spec`: the one to come, else that of the latest revision. */
  plan(tx: RolloutTransaction, request: RolloutPlan, spec?: FleetSpec): Promise<MadePlan>
  readAllGroups(tx: RolloutTransaction): Promise<{
    readonly definitions: readonly GroupDefinition[]
    readonly view: Pick<FleetView, 'groups' | 'groupsOf'>
  }>
  frame(tx: RolloutTransaction): Promise<FleetFrame>
  /** Of other rollouts nothing is kept. */
  retain(rollouts: ReadonlySet<string>): void
}

export interface MadePlan {
  readonly plan: Plan
  /** What it was made from: how its nodes were. */
  readonly conditions: ReadonlyMap<string, Condition>
  /** Of its nodes, those that are in the fleet. */
  readonly members: ReadonlyMap<string, RolloutMember>
}

export interface ReaderOptions
  extends Pick<FleetCacheOptions, 'isOnline' | 'clusterOf' | 'changedSince'> {
  readonly clock: Clock
  readonly verdictsOf?: ((rollout: Rollout) => readonly GateVerdict[]) | undefined
  readonly vantageOf?: VantageOf | undefined
  readonly baselineOf?: ((rollout: Rollout) => FleetView['baseline']) | undefined
}

export function createFleetReader(options: ReaderOptions): FleetReader {
  const { isOnline, verdictsOf, vantageOf, baselineOf } = options
  const cache = createFleetCache({ ...options, silentMs: createSilence(options) })

  return {
    async read(tx, rollout, now) {
      const { frame, fleet, scopes } = await cache.view(tx, rollout)
      const nodes = () => allSteps(rollout).flatMap(({ node }) => frame.nodes.get(node) ?? [])
      const isAffected = (scope: Selector) => scopes.holds(scope, nodes)
      const frozen = await freezeOf(tx, frame.intent, isAffected, now)
      const verdicts = verdictsOf?.(rollout) ?? []
      return { ...fleet, frozen, verdicts, vantageOf, baseline: baselineOf?.(rollout) }
    },
    async readGroups(tx, node, now) {
      const { frame, groups } = await cache.groups(tx, all => all.groupsOf.get(node) ?? [])
      const frozen = await freezeOf(tx, frame.intent, scope => isIn(frame, node, scope), now)
      return { nodes: new Map(), groups, groupsOf: frame.groupsOf, frozen }
    },
    async plan(tx, request, spec) {
      const frame = await cache.frame(tx)
      const intent = spec ?? frame.intent
      const groups =
        spec === undefined
          ? [...frame.groups.values()]
          : groupsOf(spec, [...frame.nodes.values()], frame.running)
      const nodes = request.phases?.flatMap(phase => phase.nodes) ?? request.nodes
      const members = await membersOf(tx, nodes)
      const conditions = await conditionsOf(tx, nodes, members, isOnline)
      const shown = request.shown?.conditions
      const flipping = await flips(tx, nodes)
      const plan = makePlan({
        request,
        settings: intent.rollout ?? {},
        groups,
        conditionOf: node => shown?.get(node) ?? conditions.get(node) ?? 'offline',
        flips: ({ node }) => flipping.has(node),
      })
      return { plan, conditions, members }
    },
    async readAllGroups(tx) {
      const { frame, groups } = await cache.groups(tx, all => all.groups.keys())
      return { definitions: [...frame.groups.values()], view: { groups, groupsOf: frame.groupsOf } }
    },
    frame: tx => cache.frame(tx),
    retain: rollouts => cache.retain(rollouts),
  }
}

async function membersOf(
  tx: RolloutTransaction,
  planned: readonly PlannedNode[],
): Promise<ReadonlyMap<string, RolloutMember>> {
  const names = [...new Set(planned.map(({ node }) => node))]
  return new Map((await tx.rollouts.membersNamed(names)).map(one => [one.node, one]))
}

async function conditionsOf(
  tx: RolloutTransaction,
  planned: readonly PlannedNode[],
  known: ReadonlyMap<string, RolloutMember>,
  isOnline: ReaderOptions['isOnline'],
): Promise<ReadonlyMap<string, Condition>> {
  const leased = new Set((await tx.leases.all()).map(({ node }) => node))
  const conditionOf = (node: string): Condition => {
    const member = known.get(node)
    if (leased.has(node)) return 'broken'
    if (member === undefined || !isOnline(member)) return 'offline'
    if (member.report === undefined) return 'unknown'
    return outReason(member, () => true) === undefined ? 'well' : 'out'
  }
  return new Map(planned.map(({ node }) => [node, conditionOf(node)]))
}

function isIn({ nodes }: FleetFrame, name: string, scope: Selector): boolean {
  const node = nodes.get(name)
  return node !== undefined && matches(node, scope)
}

async function freezeOf(
  tx: RolloutTransaction,
  { maintenance }: RolloutIntent,
  isAffected: (scope: Selector) => boolean,
  { atMs }: Now,
): Promise<Reason | undefined> {
  for (const { name, scope, reason } of await tx.freezes.list()) {
    if (!isAffected(scope)) continue
    return { code: 'frozen', message: `freeze ${name}: ${reason}` }
  }
  if (isMaintenance(maintenance, atMs)) return undefined
  return { code: 'outside-maintenance', message: 'changes are made in maintenance times only' }
}

/** Nodes one of whose services speaks another scheme after the change than before it. */
async function flips(
  tx: RolloutTransaction,
  nodes: readonly PlannedNode[],
): Promise<ReadonlySet<string>> {
  const flipping = new Set<string>()
  // Many nodes have the same before and the same after.
  const contents = new Map<string, DesiredContent>()
  const known = new Map<string, boolean>()
  for (const { node, from = '', to, content } of nodes) {
    const key = `${from} ${to}`
    const before = contents.get(from) ?? (await tx.desired.published(node, from))?.content
    if (before !== undefined) contents.set(from, before)
    const isFlip = known.get(key) ?? isOtherScheme(before, content)
    if (before !== undefined) known.set(key, isFlip)
    if (isFlip) flipping.add(node)
  }
  return flipping
}

function isOtherScheme(before: DesiredContent | undefined, after: DesiredContent): boolean {
  const schemeBefore = (service: ServiceName) =>
    before?.services.find(one => one.service === service)?.tls ?? 'off'
  return after.services.some(({ service, tls }) => schemeBefore(service) !== tls)
}

/** How long a node has been offline, as far as this process knows: it counts too little, never too much. */
function createSilence({ clock }: Pick<ReaderOptions, 'clock'>): (member: RolloutMember) => number {
  const since = new Map<string, { readonly heardAtMs: number; readonly monotonicMs: number }>()
  return ({ node, seenAtMs = 0, report }) => {
    const heardAtMs = Math.max(seenAtMs, report?.receivedAtMs ?? 0)
    const known = since.get(node)
    const monotonicMs = clock.monotonic()
    if (known?.heardAtMs === heardAtMs) return monotonicMs - known.monotonicMs
    since.set(node, { heardAtMs, monotonicMs })
    return 0
  }
}
