// How rollouts are seen from outside: what other agents see of the nodes that move, of their batch before
// it began, and of the clusters that they are in. Read-only; what follows from it, `decide` says.

import type { Clock } from '../../shared/clock.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { isServer } from '../../shared/contract/service.ts'
import { CLUSTER_GATE } from '../rollout/batches.ts'
import { hasEnded } from '../rollout/evolve.ts'
import type { ClusterOf } from '../rollout/fleet-view.ts'
import { judgeCluster, judgeSighting, togetherAs, worstOf } from '../rollout/gates.ts'
import { MOVING } from '../rollout/judge.ts'
import type {
  Baseline,
  GateVerdict,
  PlannedNode,
  Rollout,
  Step,
  Vantage,
  VantageOf,
} from '../rollout/rollout.ts'
import { phaseOf, plannedOf, stepsIn } from '../rollout/steps.ts'
import {
  type ClusterQuestion,
  clusterQuestions,
  type ListenerQuestion,
  listenerQuestions,
  watchersOf,
} from '../rollout/vantage.ts'
import type { Presence } from '../api/presence.ts'
import type { Store, Transaction } from '../store/store.ts'
import { createLooks, type Look, type LooksOptions, type Wanted } from './looks.ts'

export interface Lookout {
  /** Asks for what is to be known now. */
  look(): Promise<void>
  readonly vantageOf: VantageOf
  baselineOf(rollout: Rollout): Baseline | 'pending'
  readonly clusterOf: ClusterOf
  /** G2 of the current batch; undefined: not known yet, or it recovers. */
  verdictOf(rollout: Rollout): GateVerdict | undefined
  idle(): Promise<void>
}

export interface LookoutOptions extends LooksOptions {
  readonly store: Pick<Store, 'transaction'>
  readonly presence: Pick<Presence, 'present' | 'isOnline' | 'note'>
  readonly clock: Clock
}

// Somebody else may do better; two who see nothing are believed.
const BEFORE_ATTEMPTS_MAX = 2
// A leader may move at any time, and does when its node restarts.
const CLUSTER_FRESH_MS = 10_000
// What is older is no better than a report.
const CLUSTER_USED_MS = 30_000

export function createLookout(options: LookoutOptions): Lookout {
  const { store, clock } = options
  const looks = createLooks(options)
  let scenes: ReadonlyMap<string, Scene> = new Map()
  let vantages: ReadonlyMap<string, () => Vantage> = new Map()
  /** By rollout, phase and batch: when it was first seen settled. Monotonic. */
  let settled: ReadonlyMap<string, number> = new Map()

  const viewIn = (key: string, sinceMs: number) => {
    const look = looks.get(key)
    const isNew = look !== undefined && look.askedMs >= sinceMs
    return isNew && look.sighting?.kind === 'cluster' ? look.sighting.view : undefined
  }

  return {
    async look() {
      const seen = await store.transaction(tx => readScenes(tx, options))
      scenes = new Map(seen.map(scene => [scene.key, scene]))
      vantages = new Map(
        seen.flatMap(({ after }) =>
          after.map(one => [keyOf(one.node, one.generation), () => vantageFrom(one, looks.get)]),
        ),
      )
      const nowMs = clock.monotonic()
      settled = new Map(
        seen.flatMap(({ key, isSettled }) => (isSettled ? [[key, settled.get(key) ?? nowMs]] : [])),
      )
      looks.want(seen.flatMap(scene => wantedFor(scene, nowMs, settled.get(scene.key))))
    },
    // What was not asked for yet is asked for with the next look.
    vantageOf: (node, generation) =>
      vantages.get(keyOf(node, generation))?.() ?? { kind: 'pending' },
    baselineOf(rollout) {
      const scene = scenes.get(sceneKey(rollout))
      return scene === undefined ? 'pending' : baselineFrom(scene, looks.get)
    },
    clusterOf(node, kind) {
      const sinceMs = clock.monotonic() - CLUSTER_USED_MS
      for (const { clusters } of scenes.values()) {
        for (const { key } of clusters) {
          const view = looks.get(key)?.by === node ? viewIn(key, sinceMs) : undefined
          if (view?.kind === kind) return view
        }
      }
      return undefined
    },
    verdictOf(rollout) {
      const key = sceneKey(rollout)
      const sinceMs = settled.get(key)
      const clusters = rollout.baseline?.clusters ?? []
      const scene = scenes.get(key)
      if (clusters.length === 0 || sinceMs === undefined || scene === undefined) return undefined
      const limitMs = rollout.plan.settings.progressDeadlineMs
      const recovery = { waitedMs: clock.monotonic() - sinceMs, limitMs }
      const verdicts = clusters.map(before => {
        const now = scene.clusters.find(({ name }) => name === before.name)
        return judgeCluster(before, now && viewIn(now.key, sinceMs), recovery)
      })
      return togetherAs(CLUSTER_GATE, verdicts)
    },
    idle: () => looks.idle(),
  }
}

/** What there is to look at for the current batch of one rollout. */
interface Scene {
  readonly key: string
  readonly isSettled: boolean
  readonly before: readonly Asked[]
  readonly after: readonly AfterSwitch[]
  readonly clusters: readonly (ClusterQuestion & {
    readonly key: string
    readonly watchers: readonly string[]
  })[]
}

interface Asked extends ListenerQuestion {
  readonly key: string
  readonly watchers: readonly string[]
}

interface AfterSwitch {
  readonly node: string
  readonly generation: number
  readonly questions: readonly Asked[]
  /** Why there is no question. */
  readonly none: Vantage | undefined
}

function sceneKey({ id, phaseIndex, batchIndex }: Rollout): string {
  return `${id} ${phaseIndex} ${batchIndex}`
}

function keyOf(node: string, generation: number): string {
  return `${node} ${generation}`
}

async function readScenes(
  tx: Transaction,
  { presence }: LookoutOptions,
): Promise<readonly Scene[]> {
  const active = (await tx.rollouts.active()).filter(
    rollout =>
      !hasEnded(rollout) && (rollout.status === 'running' || rollout.status === 'draining'),
  )
  if (active.length === 0) return []
  const steps = active.flatMap(rollout => [...stepsIn(rollout, MOVING)])
  const moving = new Set(steps.map(({ node }) => node))
  const present = presence.present()
  // After a start of this process agents are on their way back.
  const isAwaiting = present.length < 2 && (await isSomebodyAway(tx, presence))
  const scenes: Scene[] = []
  for (const rollout of active) {
    const watchers = (target: string) =>
      watchersOf(target, peersOf(rollout, target), { present, moving })
    const key = sceneKey(rollout)
    const before: Asked[] = []
    const batch = phaseOf(rollout).batches[rollout.batchIndex]?.nodes ?? []
    for (const planned of rollout.baseline === undefined ? batch : [])
      before.push(...(await asked(tx, planned, `before ${key}`, watchers(planned.node))))
    const after: AfterSwitch[] = []
    for (const step of stepsIn(rollout, MOVING)) {
      const found = await afterSwitch(tx, rollout, step, { watchers, isAwaiting })
      if (found !== undefined) after.push(found)
    }
    const clusters = clusterQuestions(rollout).map(question => ({
      ...question,
      key: `cluster ${key} ${question.name}`,
      watchers: clusterWatchers(question, { present, moving }, batch),
    }))
    scenes.push({ key, isSettled: rollout.settledTimeMs !== undefined, before, after, clusters })
  }
  return scenes
}

async function isSomebodyAway(
  tx: Transaction,
  presence: LookoutOptions['presence'],
): Promise<boolean> {
  const nodes = await tx.nodes.list({ limit: 20 })
  return (
    nodes.filter(({ name, seenAtMs }) => presence.isOnline({ node: name, seenAtMs })).length > 1
  )
}

function peersOf({ plan }: Rollout, target: string): ReadonlySet<string> {
  const groups = plan.groups.filter(({ members }) => members.includes(target))
  return new Set(groups.flatMap(({ members }) => members))
}

// Members that stay as they are tell best what became of the others.
function clusterWatchers(
  { members }: ClusterQuestion,
  {
    present,
    moving,
  }: { readonly present: readonly string[]; readonly moving: ReadonlySet<string> },
  batch: readonly PlannedNode[],
): readonly string[] {
  const changed = new Set(batch.map(({ node }) => node))
  const rankOf = (node: string) => (moving.has(node) ? 2 : 0) + (changed.has(node) ? 1 : 0)
  return members.filter(node => present.includes(node)).toSorted((a, b) => rankOf(a) - rankOf(b))
}

async function asked(
  tx: Transaction,
  planned: PlannedNode,
  prefix: string,
  watchers: readonly string[],
): Promise<readonly Asked[]> {
  const report = (await tx.reports.get(planned.node))?.report
  return listenerQuestions(planned, report).map(question => {
    const { service, port } = question.probe
    const seen = `${service} ${port} ${question.served.fingerprint ?? question.tls}`
    return { ...question, watchers, key: `${prefix} ${planned.node} ${seen}` }
  })
}

const GOOD: ReadonlySet<string> = new Set(['in-sync', 'changed'])

/** Undefined: it does not say that it is there yet. */
async function afterSwitch(
  tx: Transaction,
  rollout: Rollout,
  { node, generation }: Step,
  given: {
    readonly watchers: (target: string) => readonly string[]
    readonly isAwaiting: boolean
  },
): Promise<AfterSwitch | undefined> {
  const planned = plannedOf(rollout, node)
  const report = (await tx.reports.get(node))?.report
  const isThere =
    report?.observedGeneration === generation &&
    report?.services.every(({ outcome }) => GOOD.has(outcome)) === true
  if (planned === undefined || generation === undefined || !isThere) return undefined
  const watchers = given.watchers(node)
  const questions = await asked(tx, planned, `after ${rollout.id} ${generation}`, watchers)
  const none = noneFor(planned, questions, watchers.length === 0, given.isAwaiting)
  return { node, generation, questions, none }
}

function noneFor(
  { content }: PlannedNode,
  questions: readonly Asked[],
  isAlone: boolean,
  isAwaiting: boolean,
): Vantage | undefined {
  if (!content.services.some(isServer)) return { kind: 'agrees' }
  if (questions.length === 0) return { kind: 'none', reason: NO_ADDRESS }
  if (!isAlone) return undefined
  return isAwaiting ? { kind: 'pending' } : { kind: 'none', reason: ALONE }
}

const NO_ADDRESS: Reason = {
  code: 'no-second-vantage',
  message: 'no second vantage: no name or address of its certificate leads to it from elsewhere',
}
const ALONE: Reason = {
  code: 'no-second-vantage',
  message: 'no second vantage: no other agent is there to look',
}

type Get = (key: string) => Look | undefined

function isReached(look: Look | undefined): boolean {
  const kind = look?.sighting?.kind
  return kind === 'tls' || kind === 'plaintext'
}

function baselineFrom({ before, clusters }: Scene, get: Get): Baseline | 'pending' {
  const isDone = (watchers: readonly string[], look: Look | undefined, isFound: boolean) =>
    watchers.length === 0 || isFound || (look?.attempts ?? 0) >= BEFORE_ATTEMPTS_MAX
  const unseen = new Set<string>()
  for (const { key, target, watchers } of before) {
    const look = get(key)
    if (!isDone(watchers, look, isReached(look))) return 'pending'
    if (!isReached(look)) unseen.add(target)
  }
  const found: Baseline['clusters'][number][] = []
  for (const { key, name, watchers } of clusters) {
    const look = get(key)
    // That a node cannot tell is an answer: it has no credentials, say.
    if (!isDone(watchers, look, look?.sighting !== undefined)) return 'pending'
    if (look?.sighting?.kind === 'cluster') found.push({ name, view: look.sighting.view })
  }
  return { unseen: [...unseen].toSorted(), clusters: found }
}

function vantageFrom({ questions, none }: AfterSwitch, get: Get): Vantage {
  return none ?? worstOf(questions.map(question => vantageOn(question, get(question.key))))
}

function vantageOn(question: Asked, look: Look | undefined): Vantage {
  const { tls, served } = question
  if (look?.sighting !== undefined && look.by !== undefined)
    return judgeSighting(look.sighting, { tls, served }, look.by)
  if ((look?.attempts ?? 0) < BEFORE_ATTEMPTS_MAX) return { kind: 'pending' }
  const message = `${served.listener}: no agent that was asked to look has answered`
  return { kind: 'unreachable', reason: { code: 'vantage-silent', message } }
}

function wantedFor(scene: Scene, nowMs: number, settledMs: number | undefined): readonly Wanted[] {
  const { before, after, clusters } = scene
  return [
    ...before.map(question => ({
      ...question,
      isEnough: (look: Look) => isReached(look) || look.attempts >= BEFORE_ATTEMPTS_MAX,
    })),
    ...after.flatMap(({ questions }) =>
      questions.map(question => ({
        ...question,
        isEnough: (look: Look) => vantageOn(question, look).kind === 'agrees',
      })),
    ),
    ...clusters.map(question => ({
      ...question,
      isEnough: (look: Look) =>
        nowMs - look.askedMs < CLUSTER_FRESH_MS &&
        look.sighting !== undefined &&
        (settledMs === undefined || look.askedMs >= settledMs),
    })),
  ]
}
