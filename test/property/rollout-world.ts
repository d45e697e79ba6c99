// A fleet in one object, for properties of rollouts: nodes that are good or bad in every way, a lossy
// network, and the controller's pure decisions. Everything random comes from one seed.

import { decide, request } from '../../controller/rollout/decide.ts'
import {
  evolve,
  evolveAll,
  hasEnded,
  isFailure,
  isInMotion,
  publishes,
  startRollout,
} from '../../controller/rollout/evolve.ts'
import { viewFleet } from '../../controller/rollout/fleet-view.ts'
import type { FleetView, Rollout, RolloutEvent } from '../../controller/rollout/rollout.ts'
import type { ReportExcerpt } from '../../controller/store/store.ts'
import { canonicalJson, type Json } from '../../shared/digest.ts'
import { samplePlan, T0 } from '../contract/samples.ts'

export interface Random {
  /** 0 … below - 1. */
  below(limit: number): number
  chance(probability: number): boolean
  pick<T>(list: readonly T[]): T
}

/** mulberry32: small, seeded, the same everywhere. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (limit: number) => Math.floor(next() * limit)
  return {
    below,
    chance: probability => next() < probability,
    pick: list => {
      const value = list[below(list.length)]
      if (value === undefined) throw new Error('nothing to pick from')
      return value
    },
  }
}

const GOOD_KINDS = ['good', 'good', 'good', 'good', 'good', 'good', 'idle', 'stopped'] as const
const BAD_KINDS = ['refusing', 'late-refusing', 'restoring', 'breaking'] as const

interface Document {
  readonly generation: number
  readonly mode: 'stage' | 'enforce'
  readonly permit: boolean
  readonly content: 'from' | 'to'
}

type Telling = Pick<ReportExcerpt, 'observedGeneration' | 'observedDigest' | 'services'> & {
  readonly sequence: number
}

interface SimulatedNode {
  readonly name: string
  kind: (typeof GOOD_KINDS)[number] | (typeof BAD_KINDS)[number]
  isOnline: boolean
  isRemoved: boolean
  heardAtMs: number
  /** Generation of the document that is being switched to: the node is disturbed. */
  switching: number | undefined
  /** What its services run on, whatever anybody believes. */
  actual: 'old' | 'new' | 'broken'
  document: Document | undefined
  desired: Document | undefined
  highest: number
  sequence: number
  readonly inFlight: Telling[]
  stored: Telling | undefined
}

export class Violation extends Error {
  override readonly name = 'Violation'
}

export interface World {
  /** Goes on in order until all nodes that are there have staged. */
  stage(): void
  /** One random thing happens. */
  act(): void
  /** Everything that can come back does, and all goes on in order until the rollout ends. */
  heal(): void
  /** What must hold when all is over. */
  checkEnd(): void
  readonly rollout: () => Rollout
  /** What happened, for the one who looks into a violation. */
  readonly events: () => readonly RolloutEvent[]
}

export function createWorld(random: Random): World {
  const names = Array.from({ length: 3 + random.below(8) }, (_, index) => `n${index}`)
  const badness = random.pick([0, 0, 0.1, 0.3])
  const nodes = new Map(names.map(name => [name, createNode(name, random, badness)]))
  const plan = samplePlan(names)
  const planned: RolloutEvent = { kind: 'planned', atMs: T0 }
  const log: RolloutEvent[] = [planned]
  let rollout = startRollout('r1', plan, planned)
  let nowMs = T0
  const mayAbort = random.chance(0.1)
  const mayRemove = random.chance(0.2)

  const must = (condition: boolean, what: string) => {
    if (!condition) throw new Violation(what)
  }
  const nodeOf = (name: string): SimulatedNode => {
    const node = nodes.get(name)
    if (node === undefined) throw new Error(`no node ${name}`)
    return node
  }

  function fleet(): FleetView {
    const members = [...nodes.values()]
      .filter(node => !node.isRemoved)
      .map(({ name, desired, highest, stored, heardAtMs }) => ({
        node: name,
        enrolledAtMs: T0,
        seenAtMs: heardAtMs,
        desired: desired && {
          generation: desired.generation,
          digest: digestOf(desired),
          contentDigest: desired.content,
        },
        highestGeneration: highest,
        report: stored && { ...stored, receivedAtMs: heardAtMs },
      }))
    return viewFleet({ rollout, members, isOnline: ({ node }) => nodeOf(node).isOnline, nowMs })
  }

  function append(events: readonly RolloutEvent[], view: FleetView): void {
    for (const event of events) {
      const before = rollout
      rollout = evolve(rollout, event)
      log.push(event)
      checkEvent(before, event)
      if (!publishes(event) || view.nodes[event.node] === undefined) continue
      const node = nodeOf(event.node)
      must(
        event.generation > node.highest,
        `R4: ${event.node} got generation ${event.generation} again`,
      )
      node.highest = event.generation
      node.desired = {
        generation: event.generation,
        mode:
          event.kind === 'node-permitted' || event.kind === 'node-released' ? 'enforce' : 'stage',
        permit: event.kind === 'node-permitted',
        content: event.kind === 'node-released' ? 'from' : 'to',
      }
    }
  }

  function checkEvent(before: Rollout, event: RolloutEvent): void {
    const steps = Object.values(rollout.steps)
    must(steps.filter(isInMotion).length <= 1, 'more than one step is in motion')
    if (event.kind === 'node-permitted') {
      must(!Object.values(before.steps).some(isFailure), 'R3: a permit after a failure')
      must(before.status === 'running', 'R11: a permit after the drain began')
    }
    const actual = 'node' in event ? nodeOf(event.node).actual : undefined
    if (event.kind === 'node-done')
      must(actual === 'new', `R3: ${event.node} is done, but ${actual}`)
    if (event.kind === 'node-reverted') {
      must(actual === 'old', `R3: ${event.node} is reverted, but ${actual}`)
    }
    if (event.kind === 'permit-claimed')
      must(before.status === 'running', 'R11: a claim granted in a drain')
    if (event.kind === 'ended') must(!steps.some(isInMotion), 'R8: ended with a step in motion')
    must(!hasEnded(before), 'an event after the end')
  }

  function checkDisturbed(): void {
    const disturbed = [...nodes.values()].filter(node => node.switching !== undefined)
    must(
      disturbed.length <= 1,
      `R1: ${disturbed.map(node => node.name).join()} are disturbed at once`,
    )
  }

  function tick(): number {
    let count = 0
    for (let round = 0; ; round++) {
      must(round < 50, 'R20: decisions do not come to an end')
      const view = fleet()
      const events = decide(rollout, view, nowMs)
      append(events, view)
      count += events.length
      if (events.length === 0) return count
    }
  }

  /** The agent asks, and may not hear the answer. */
  function claim(node: SimulatedNode, generation: number): boolean {
    const { desired } = node
    if (node.isRemoved || desired?.generation !== generation || !desired.permit) return false
    if (rollout.steps[node.name]?.generation !== generation) return true
    const view = fleet()
    const answer = request(rollout, { kind: 'claim', node: node.name, generation }, view, nowMs)
    if ('kind' in answer) return false
    append(answer, view)
    return true
  }

  function tell(
    node: SimulatedNode,
    outcome: Outcome,
    code: string = outcome,
    activations = 0,
  ): void {
    if (node.document === undefined) return
    node.inFlight.push({
      sequence: ++node.sequence,
      observedGeneration: node.document.generation,
      observedDigest: digestOf(node.document),
      services: [{ service: 'prometheus', outcome, reason: { code, message: code }, activations }],
    })
  }

  /** One pass of the agent; it works whether it is connected or not. */
  function work(node: SimulatedNode, isAnswerLost: boolean): void {
    if (node.switching !== undefined) return finish(node)
    const { document } = node
    if (document === undefined) return
    if (node.kind === 'refusing') return tell(node, 'failed', 'config-unparsable')
    if (document.mode === 'stage') return tell(node, node.kind === 'idle' ? 'in-sync' : 'staged')
    if (node.kind === 'stopped') return tell(node, 'waiting', 'inactive')
    if (!document.permit || node.kind === 'idle') return tell(node, 'in-sync')
    if (node.kind === 'late-refusing') return tell(node, 'failed', 'validation-failed')
    if (!node.isOnline || alreadyThere(node, document)) return
    const isGranted = claim(node, document.generation)
    if (isGranted && !isAnswerLost) node.switching = document.generation
  }

  // An agent does not try again what it has done or given up.
  const reached = new Map<string, number>()
  const alreadyThere = (node: SimulatedNode, document: Document) =>
    reached.get(node.name) === document.generation

  function finish(node: SimulatedNode): void {
    const generation = node.switching
    node.switching = undefined
    if (generation !== node.document?.generation || generation === undefined) return
    reached.set(node.name, generation)
    if (node.kind === 'restoring') {
      tell(node, 'restored', 'restored', 2)
    } else if (node.kind === 'breaking') {
      node.actual = 'broken'
      tell(node, 'failed', 'restore-failed', 2)
    } else {
      node.actual = 'new'
      tell(node, 'changed', 'changed', 1)
    }
  }

  function poll(node: SimulatedNode): void {
    if (!node.isOnline || node.isRemoved || node.desired === undefined) return
    node.heardAtMs = nowMs
    // An agent in the middle of a switch finishes it before it looks at anything newer.
    if (node.switching === undefined) node.document = node.desired
  }

  /** Reports come in any order, some twice; the store takes the newest. */
  function deliver(node: SimulatedNode): void {
    if (!node.isOnline || node.isRemoved || node.inFlight.length === 0) return
    const index = random.below(node.inFlight.length)
    const telling = node.inFlight[index]
    if (telling === undefined) return
    node.heardAtMs = nowMs
    if (random.chance(0.8)) node.inFlight.splice(index, 1)
    if (telling.sequence > (node.stored?.sequence ?? 0)) node.stored = telling
  }

  function abort(): void {
    if (hasEnded(rollout)) return
    const view = fleet()
    const reason = { code: 'operator', message: 'not today' }
    const answer = request(rollout, { kind: 'abort', reason }, view, nowMs)
    if (!('kind' in answer)) append(answer, view)
  }

  /** Every node in turn does all it can. */
  function round(): void {
    for (const node of nodes.values()) {
      poll(node)
      work(node, false)
      for (let count = 2 * node.inFlight.length; count > 0; count--) deliver(node)
      tick()
      checkDisturbed()
      nowMs += 100
    }
  }

  return {
    rollout: () => rollout,
    events: () => log,
    stage() {
      for (let count = 0; count < 3 && rollout.status !== 'running'; count++) round()
    },
    act() {
      const node = nodeOf(random.pick(names))
      nowMs += random.below(5_000)
      const chosen = random.below(100)
      if (chosen < 25) tick()
      else if (chosen < 40) poll(node)
      else if (chosen < 55) work(node, random.chance(0.2))
      else if (chosen < 75) deliver(node)
      else if (chosen < 82) node.isOnline = false
      else if (chosen < 92) node.isOnline = true
      else if (chosen < 95) nowMs += 700_000
      else if (chosen < 96) node.isRemoved ||= mayRemove
      else if (chosen < 97 && node.kind !== 'idle') node.kind = 'good'
      else if (mayAbort) abort()
      checkDisturbed()
    },
    heal() {
      for (let count = 0; !hasEnded(rollout); count++) {
        must(count < 30 * names.length, `R20: it does not end: ${JSON.stringify(rollout.steps)}`)
        for (const node of nodes.values()) node.isOnline = true
        round()
      }
    },
    checkEnd() {
      const replayed = evolveAll(startRollout('r1', plan, planned), log.slice(1))
      must(same(replayed, rollout), 'replay does not give the state')
      const states = Object.values(rollout.steps).map(step => step.state)
      must(states.length === names.length, 'R8: the states do not sum to the fleet')
      const isFailed = Object.values(rollout.steps).some(isFailure)
      if (rollout.status === 'succeeded')
        must(
          states.every(state => state === 'done'),
          'succeeded, but not all done',
        )
      if (rollout.status === 'partial') must(!isFailed, 'partial with a failure')
      if (isFailed)
        must(
          rollout.status === 'failed' || rollout.toward === 'aborted',
          'a failure did not stop it',
        )
      for (const { node: name, state } of Object.values(rollout.steps)) {
        const node = nodeOf(name)
        if (node.isRemoved || node.desired === undefined) continue
        const wanted = state === 'done' || state === 'broken' ? 'to' : 'from'
        must(
          node.desired.content === wanted,
          `R8: ${name} is ${state} and is to have ${node.desired.content}`,
        )
        must(node.desired.mode === 'enforce', `${name} is left with a staged document`)
      }
      must(decide(rollout, fleet(), nowMs).length === 0, 'something follows after the end')
    },
  }
}

type Outcome = ReportExcerpt['services'][number]['outcome']

function createNode(name: string, random: Random, badness: number): SimulatedNode {
  const kind = random.chance(badness) ? random.pick(BAD_KINDS) : random.pick(GOOD_KINDS)
  return {
    name,
    kind,
    isOnline: random.chance(0.85),
    isRemoved: false,
    heardAtMs: T0,
    switching: undefined,
    actual: kind === 'idle' ? 'new' : 'old',
    document: undefined,
    desired: undefined,
    highest: random.below(4),
    sequence: 0,
    inFlight: [],
    stored: undefined,
  }
}

function digestOf({ generation, mode, content }: Document): string {
  return `${generation} ${mode} ${content}`
}

function same(left: Rollout, right: Rollout): boolean {
  return canonicalJson(asJson(left)) === canonicalJson(asJson(right))
}

function asJson({ plan: _plan, ...state }: Rollout): Json {
  const json: Json = JSON.parse(JSON.stringify(state))
  return json
}
