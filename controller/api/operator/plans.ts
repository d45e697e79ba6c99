// POST plans: what a spec would change, asked of the nodes themselves, and in which order they would
// move. Writes nothing; what was shown is remembered for a while, so that it can be applied as it is.

import * as z from 'zod/mini'
import {
  OPERATOR_ROUTES,
  type PlannedNodeView,
  type PlanProgress,
  PlanView,
  SpecBody,
} from '../../../shared/contract/operator-api.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import { EVENT_STREAM_TYPE } from '../../../shared/contract/watch.ts'
import { NO_PLAN } from '../../../shared/contract/rollout-plan.ts'
import { inOrder } from '../../fleet/edges.ts'
import { type SwitchedNode, windowsOf } from '../../fleet/windows.ts'
import type { PlannedNode } from '../../rollout/rollout.ts'
import { requireCaller } from '../ask-nodes.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { departureOf } from '../fields.ts'
import { acceptsStream } from '../event-stream.ts'
import { type Gathering, gatherPreviews } from '../gather-previews.ts'
import { sendProgress } from '../progress-stream.ts'
import { requireClosure } from './closure.ts'
import { nodesToMove, planRequest, revisionNumber, whyRefused } from './plan-request.ts'
import { planView } from './rollout-plan.ts'
import { approvalsLowered } from './approvals-kept.ts'
import { compileSpec, type CompiledSpec } from './spec.ts'

export function planRoute(app: App, context: ApiContext): void {
  const { store } = context
  app.post(
    OPERATOR_ROUTES.plans,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Plan a fleet spec: every selected node says what it would change',
        description: `With \`Accept: ${EVENT_STREAM_TYPE}\` a stream: \`progress\` says how many nodes have answered; the last event is \`answer\`, with the plan, or \`problem\`.`,
        body: SpecBody,
        response: {
          200: {
            description: 'What would be changed, and in which order',
            content: {
              'application/json': { schema: PlanView },
              [EVENT_STREAM_TYPE]: { schema: z.string() },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const { spec, waitMs, together } = request.body
      const caller = operatorOf(request)
      const { compiled, moving, revision, lowered } = await store.transaction(async tx => {
        const found = await compileSpec(context, tx, spec)
        await requireClosure(tx, found)
        const nodes = await nodesToMove(tx, found)
        return {
          compiled: found,
          moving: nodes,
          revision: await revisionNumber(tx, found),
          lowered: await approvalsLowered(tx, caller, found.spec),
        }
      })
      const signal = AbortSignal.any([context.closing, departureOf(reply)])
      let progress: PlanProgress = { of: compiled.fleet.nodes.length, answered: 0, silent: 0 }
      const answer = planned(context, {
        compiled,
        moving,
        revision,
        author: caller.name,
        lowered,
        together,
        waitMs,
        signal,
        onHeard({ result }) {
          const { of, answered, silent } = progress
          const isSilent = result === 'unreachable'
          progress = {
            of,
            answered: answered + (isSilent ? 0 : 1),
            silent: silent + (isSilent ? 1 : 0),
          }
        },
      })
      if (!acceptsStream(request)) return reply.send(await answer)
      const told = answer.then(plan => PlanView.parse(plan))
      return sendProgress(context, { request, reply }, { answer: told, progress: () => progress })
    },
  )
}

interface Planning {
  readonly compiled: CompiledSpec
  readonly moving: readonly PlannedNode[]
  readonly revision: number
  readonly author: string
  readonly together: readonly string[] | undefined
  /** Why this caller may not apply the spec. */
  readonly lowered: Reason | undefined
}

async function planned(
  context: ApiContext,
  given: Planning & Pick<Gathering, 'waitMs' | 'signal' | 'onHeard'>,
): Promise<PlanView> {
  const { compiled, signal } = given
  const nodes = await gatherPreviews(context, {
    ...given,
    nodes: inOrder(compiled.fleet.nodes),
    records: compiled.records,
  })
  requireCaller(signal)
  const moves = await rolloutOf(context, { ...given, nodes })
  const windows = windowsOf(contents(compiled.fleet.nodes, nodes))
  return {
    specDigest: compiled.digest,
    nodes: [...nodes],
    changes: nodes.filter(({ result }) => result === 'changes' || result === 'unreachable').length,
    windows: [...windows, ...downtimes(moves.rollout?.windows ?? [], windows)],
    unselected: [...compiled.fleet.unselected],
    ...moves,
  }
}

/** What moving the nodes interrupts beyond that: groups that have no quorum meanwhile. */
function downtimes(all: readonly Reason[], known: readonly Reason[]): readonly Reason[] {
  return all.filter(({ code }) => !known.some(one => one.code === code))
}

async function rolloutOf(
  context: ApiContext,
  given: Planning & { readonly nodes: readonly PlannedNodeView[] },
): Promise<Pick<PlanView, 'digest' | 'rollout' | 'refused'>> {
  const { compiled, moving, nodes, revision, author, together, lowered } = given
  if (moving.length === 0) return { digest: NO_PLAN, ...refusedFor(lowered) }
  const views = new Map(nodes.map(view => [view.node, view]))
  const request = planRequest({ revision, author, moving, views, together })
  const { plan, conditions } = await context.runner.plan(request, compiled.spec)
  context.shownPlans.keep(plan.digest, { nodes: views, conditions, together })
  // Their diffs are told once, with the nodes.
  const previews = request.previews ?? new Map()
  return {
    digest: plan.digest,
    rollout: planView(plan, previews, { isShort: true }),
    ...refusedFor(lowered ?? whyRefused(request, plan, compiled)),
  }
}

function refusedFor(reason: Reason | undefined): Pick<PlanView, 'refused'> {
  return reason === undefined ? {} : { refused: reason }
}

function contents(
  compiled: CompiledSpec['fleet']['nodes'],
  planned: readonly PlannedNodeView[],
): readonly SwitchedNode[] {
  const reports = new Map(planned.map(({ node, services }) => [node, services]))
  return compiled.map(({ node, content }) => ({ content, services: reports.get(node) ?? [] }))
}
