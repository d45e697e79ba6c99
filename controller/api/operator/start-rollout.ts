// POST rollouts: a fleet spec becomes a revision, and the nodes that are not there yet a rollout. With
// the digest of a plan exactly that plan is carried out, or nothing.

import type { FastifyRequest } from 'fastify'
import { OPERATOR_ROUTES, RolloutView, SpecBody } from '../../../shared/contract/operator-api.ts'
import { NO_PLAN, type UnheldNode } from '../../../shared/contract/rollout-plan.ts'
import { needsWhole } from '../../rollout/coordinated.ts'
import { unheldNodes } from '../../rollout/node-preview.ts'
import { stalePlan } from '../../rollout/runner.ts'
import type { PlannedNode, RolloutPlan, ShownPlan } from '../../rollout/rollout.ts'
import type { RevisionRecord, Transaction } from '../../store/store.ts'
import { requireCaller } from '../ask-nodes.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { departureOf, reasonOf } from '../fields.ts'
import { gatherPreviews } from '../gather-previews.ts'
import { requireVersion } from '../versions.ts'
import { requireApprovalsKept } from './approvals-kept.ts'
import { requireClosure, requireNoIssuerRotation } from './closure.ts'
import { nodesToMove, planRequest, requireWhole, revisionNumber } from './plan-request.ts'
import { madeView } from './rollout-view.ts'
import { compileSpec, type CompiledSpec } from './spec.ts'

export function startRolloutRoute(app: App, context: ApiContext): void {
  const { store, runner, clock, log } = context
  app.post(
    OPERATOR_ROUTES.rollouts,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Apply a fleet spec; without steps when every node is there already',
        description:
          'The nodes are asked what they would change, and are held to it: one that has changed since refuses. With `together` these groups are stopped, changed and started as a whole, once all of their nodes are prepared and somebody acknowledges the downtime: with `acknowledgeDowntime`, or by `promote`. With `plan`, the digest of a plan that was shown, exactly that one is carried out; `stale-plan` (409) when it cannot be made any more.',
        body: SpecBody,
        response: { 200: RolloutView, 201: RolloutView },
      },
    },
    async (request, reply) => {
      const caller = operatorOf(request)
      const actor = caller.name
      const { spec, plan, waitMs, together, acknowledgeDowntime = false } = request.body
      const prepared = await store.transaction(async tx => {
        await requireLatest(tx, request)
        await requireNoIssuerRotation(tx)
        const compiled = await compileSpec(context, tx, spec)
        await requireApprovalsKept(tx, caller, compiled.spec)
        await requireClosure(tx, compiled)
        const moving = await nodesToMove(tx, compiled)
        return { compiled, moving, revision: await revisionNumber(tx, compiled) }
      })
      const { compiled, moving } = prepared
      if (moving.length > 0 && plan === NO_PLAN) throw stalePlan(plan)
      const signal = AbortSignal.any([context.closing, departureOf(reply)])
      const planned = await madeRequest(context, {
        ...prepared,
        plan,
        together,
        actor,
        waitMs,
        signal,
      })
      if (planned !== undefined && (plan !== undefined || needsWhole(planned))) {
        const made = await runner.plan(planned, compiled.spec)
        if (plan !== undefined && made.plan.digest !== plan) throw stalePlan(plan)
        requireWhole(planned, made.plan, compiled)
      }
      const revision = await store.transaction(async tx => {
        if ((await revisionNumber(tx, compiled)) !== prepared.revision && plan !== undefined)
          throw stalePlan(plan)
        await requireLatest(tx, request)
        await requireApprovalsKept(tx, caller, compiled.spec)
        return revisionOf(tx, { compiled, spec, actor, nowMs: clock.now() })
      })
      if (planned === undefined) return reply.code(200).send(nothingToDo(revision, clock.now()))

      const rollout = await runner.create(
        { ...planned, revision: revision.number, acknowledged: acknowledgeDowntime },
        actor,
        reasonOf('apply', request.body.reason).reason,
      )
      log.info({ rollout: rollout.id, revision: revision.number, actor }, 'rollout created')
      context.wakeRunner()
      return reply.code(201).send(madeView(rollout, planned.unheld))
    },
  )
}

/** `If-Match` is the revision that the caller's change began with. */
async function requireLatest(
  tx: Transaction,
  request: Pick<FastifyRequest, 'headers'>,
): Promise<void> {
  requireVersion(request, 'the fleet spec', (await tx.revisions.latest())?.number ?? 0)
}

/** Undefined: every node is there. */
async function madeRequest(
  context: ApiContext,
  given: {
    readonly compiled: CompiledSpec
    readonly moving: readonly PlannedNode[]
    readonly revision: number
    readonly plan: string | undefined
    readonly together: readonly string[] | undefined
    readonly actor: string
    readonly waitMs: number
    readonly signal: AbortSignal
  },
): Promise<MadeRequest | undefined> {
  const { compiled, moving, revision, plan, actor, waitMs, signal } = given
  if (moving.length === 0) return undefined
  const known = plan === undefined ? undefined : context.shownPlans.find(plan)
  const { records } = compiled
  const gathered =
    known === undefined
      ? await gatherPreviews(context, { nodes: moving, records, waitMs, signal })
      : []
  requireCaller(signal)
  const views = known?.nodes ?? new Map(gathered.map(view => [view.node, view]))
  const shown: ShownPlan | undefined =
    plan === undefined ? undefined : { digest: plan, conditions: known?.conditions }
  const together = given.together ?? known?.together
  const request = planRequest({ revision, author: actor, moving, views, together })
  return { ...request, shown, unheld: unheldNodes(request.nodes, views) }
}

interface MadeRequest extends RolloutPlan {
  readonly unheld: readonly UnheldNode[]
}

async function revisionOf(
  tx: Transaction,
  given: {
    readonly compiled: CompiledSpec
    readonly spec: string
    readonly actor: string
    readonly nowMs: number
  },
): Promise<RevisionRecord> {
  const { compiled, spec, actor, nowMs } = given
  const latest = await tx.revisions.latest()
  if (latest?.digest === compiled.digest) return latest
  const revision = await tx.revisions.insert({
    digest: compiled.digest,
    text: spec,
    author: actor,
    createdAtMs: nowMs,
  })
  const subject = `revision ${revision.number}`
  await tx.audit.append({ atMs: nowMs, actor, action: 'revision-create', subject })
  return revision
}

// Not stored: applying what holds already is no event in the life of a fleet.
function nothingToDo({ number }: RevisionRecord, nowMs: number): RolloutView {
  return {
    id: 'none',
    revision: number,
    status: 'succeeded',
    reason: { code: 'nothing-to-do', message: 'every selected node is there already' },
    version: 0,
    steps: [],
    startedAtMs: nowMs,
    endedAtMs: nowMs,
  }
}
