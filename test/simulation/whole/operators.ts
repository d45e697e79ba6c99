// What operators do, with the production code behind their routes: they plan and apply fleet specs, order
// rollouts about, freeze nodes, replace the CA of services.

import { OperationalError } from '../../../shared/errors.ts'
import { gatherPreviews } from '../../../controller/api/gather-previews.ts'
import { requireClosure } from '../../../controller/api/operator/closure.ts'
import {
  nodesToMove,
  planRequest,
  requireWhole,
} from '../../../controller/api/operator/plan-request.ts'
import { compileSpec } from '../../../controller/api/operator/spec.ts'
import { needsWhole } from '../../../controller/rollout/coordinated.ts'
import type { Rollout } from '../../../controller/rollout/rollout.ts'
import type { RolloutCommand } from '../../../controller/rollout/request.ts'
import type { Store } from '../../../controller/store/store.ts'
import type { Random } from '../random.ts'
import type { Controller } from './controller.ts'
import type { LiveCas } from './live-cas.ts'
import type { Scenario, Variant } from './scenario.ts'
import { T0 } from './trust.ts'

export interface Operators {
  /** Asks the nodes what they would change; resolves when the rollout is made, or is refused. */
  apply(variant: Variant): Promise<void>
  order(id: string, command: Exclude<RolloutCommand, { kind: 'claim' }>): Promise<void>
  /** Once nothing is wrong any more: whatever a rollout waits for is done, and what nobody can tell is given up. */
  help(rollout: Rollout): Promise<void>
  /** Something at random. */
  operate(): Promise<void>
  freeze(): Promise<void>
  thaw(): Promise<void>
  rotate(): Promise<void>
  /** Whatever a rotation waits for is done; false: none is under way. */
  helpRotation(): Promise<boolean>
  isRotationStopped(): Promise<boolean>
}

export interface OperatorsParts {
  readonly scenario: Scenario
  readonly random: Random
  readonly store: () => Store
  readonly cas: () => LiveCas
  readonly controllers: () => readonly Controller[]
  readonly nowMs: () => number
  readonly trace: (line: string) => void
  /** After anything that may have been committed. */
  readonly onCommit: () => Promise<void>
  /** Work that takes its time in the world. */
  readonly spawn: (work: () => Promise<void>) => void
}

const REASON = { code: 'operator', message: 'because' }
const WAIT_MS = 15_000

export function createOperators(parts: OperatorsParts): Operators {
  const { scenario, random, trace } = parts

  /** A controller that is up does something for an operator; undefined: it refuses, or dies over it. */
  async function ask<T>(work: (controller: Controller) => Promise<T>): Promise<T | undefined> {
    const up = parts.controllers().filter(one => !one.isDead())
    if (up.length === 0) return undefined
    const controller = random.pick(up)
    try {
      return await controller.alive(() => work(controller))
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      trace(`operator is told ${error.code}`)
      return undefined
    } finally {
      await parts.onCommit()
    }
  }

  async function apply(variant: Variant): Promise<void> {
    const text = scenario.spec(variant)
    await ask(async ({ context, runner }) => {
      const { store } = context
      const { compiled, moving } = await store.transaction(async tx => {
        const found = await compileSpec(context, tx, text)
        await requireClosure(tx, found)
        return { compiled: found, moving: await nodesToMove(tx, found) }
      })
      if (moving.length === 0) return
      const { records, digest } = compiled
      const signal = new AbortController().signal
      const waitMs = WAIT_MS
      const gathered = await gatherPreviews(context, { nodes: moving, records, waitMs, signal })
      const views = new Map(gathered.map(view => [view.node, view]))
      const revision = await store.transaction(async tx => {
        const latest = await tx.revisions.latest()
        if (latest?.digest === digest) return latest.number
        const made = { digest, text, author: 'ada', createdAtMs: T0 + parts.nowMs() }
        return (await tx.revisions.insert(made)).number
      })
      const request = planRequest({ revision, author: 'ada', moving, views })
      if (needsWhole(request))
        requireWhole(request, (await runner.plan(request, compiled.spec)).plan, compiled)
      trace(`operator applies ${revision} to ${moving.length} nodes`)
      await runner.create(request, 'ada')
    })
  }

  const rollouts = () => parts.store().transaction(tx => tx.rollouts.list({ limit: 3 }))

  async function order(
    id: string,
    command: Exclude<RolloutCommand, { kind: 'claim' }>,
  ): Promise<void> {
    trace(`operator: ${command.kind} ${id}`)
    await ask(({ runner }) => runner.order(id, { actor: 'bob', command }))
  }

  async function help(rollout: Rollout): Promise<void> {
    const { id, pausedBy } = rollout
    // A batch in which nothing was changed passes only when an operator says so.
    if (pausedBy.includes('inconclusive')) await order(id, { kind: 'promote', by: 'bob' })
    else if (pausedBy.length > 0) await order(id, { kind: 'resume' })
    for (const { node, state } of rollout.steps.flat())
      if (state === 'suspect' || state === 'broken')
        await order(id, { kind: 'force-release', node, reason: REASON })
  }

  async function operate(): Promise<void> {
    const [rollout] = await rollouts()
    if (rollout === undefined || random.chance(0.3)) {
      const variant = random.pick(scenario.variants)
      parts.spawn(() => apply(variant))
      return undefined
    }
    const { id, endedAtMs } = rollout
    if (endedAtMs !== undefined) {
      const kind = random.pick(['rollback', 'retry'] as const)
      trace(`operator: ${kind} ${id}`)
      await ask(({ runner }) => runner.follow(id, kind, 'bob'))
      return undefined
    }
    const kind = random.pick(['pause', 'resume', 'resume', 'promote', 'abort'] as const)
    if (kind === 'promote') return order(id, { kind, by: 'bob' })
    return order(id, kind === 'resume' ? { kind } : { kind, reason: REASON })
  }

  async function rotate(): Promise<void> {
    if (!parts.cas().hasNext()) return
    await ask(async ({ rotations }) => {
      const subject = { kind: 'service' } as const
      const { id } = await rotations.create({ actor: 'ada', pace: 'auto', subject })
      trace(`operator: rotation ${id}`)
    })
  }

  async function helpRotation(): Promise<boolean> {
    const open = await parts.store().transaction(tx => tx.rotations.open())
    if (open === undefined) return false
    const { id, stopped, phase } = open
    if (stopped === undefined) return true
    trace(`operator: resume ${id} in ${phase}`)
    await ask(({ rotations }) => rotations.request(id, { kind: 'resume', reason: REASON }, 'bob'))
    return true
  }

  async function thaw(): Promise<void> {
    await parts.onCommit()
    if (await parts.store().transaction(tx => tx.freezes.remove('f'))) trace('operator thaws')
    await parts.onCommit()
  }

  return {
    apply,
    order,
    help,
    operate,
    rotate,
    helpRotation,
    isRotationStopped: async () =>
      (await parts.store().transaction(tx => tx.rotations.open()))?.stopped !== undefined,
    thaw,
    async freeze() {
      const isThere = (await parts.store().transaction(tx => tx.freezes.list())).length > 0
      if (isThere) return random.chance(0.5) ? thaw() : undefined
      const scope = random.chance(0.5) ? ('all' as const) : { names: [random.pick(scenario.nodes)] }
      await parts.onCommit()
      trace(`operator freezes ${scope === 'all' ? 'all' : scope.names.join(', ')}`)
      const freeze = { name: 'f', scope, reason: 'no', actor: 'bob', atMs: T0 + parts.nowMs() }
      await parts.store().transaction(tx => tx.freezes.put(freeze))
      return parts.onCommit()
    },
  }
}
