// The part of the client that steers rollouts.

import * as z from 'zod/mini'
import { RolloutView } from '../../shared/contract/operator-api.ts'
import {
  DebtList,
  type FreezeBody,
  FreezeList,
  GateList,
  GroupList,
  ROLLOUT_VERB_ROUTES,
  StepList,
} from '../../shared/contract/rollout-verbs.ts'
import { LIST_LIMIT_MAX } from '../../shared/contract/lists.ts'
import {
  ROLLOUT_PLAN_ROUTE,
  RolloutPlanPage,
  type RolloutPlanView,
} from '../../shared/contract/rollout-plan.ts'
import type { Question } from './exchange.ts'
import { everyPage } from './client-pages.ts'

// As long as a controller waits for the answers of nodes that is not told how long.
const NODES_WAIT_MS = 15_000

export function rolloutCalls(call: <T>(question: Question<T>) => Promise<T>) {
  return {
    steerRollout(
      { id, node, verb }: { readonly id: string; readonly node?: string; readonly verb: string },
      {
        reason,
        ifMatch,
        waitMs,
      }: {
        readonly reason: string | undefined
        readonly ifMatch: string | undefined
        /** Of rollback and retry: for the answers of nodes. */
        readonly waitMs?: number | undefined
      },
    ) {
      const { verb: whole, nodeVerb } = ROLLOUT_VERB_ROUTES
      const path = (node === undefined ? whole : nodeVerb)
        .replace(':id', encodeURIComponent(id))
        .replace(':node', encodeURIComponent(node ?? ''))
        .replace(':verb', verb)
      const attempt = `${verb} rollout ${id}`
      const body = {
        ...(reason === undefined ? {} : { reason }),
        ...(waitMs === undefined ? {} : { waitMs }),
      }
      const match = ifMatch === undefined ? {} : { ifMatch }
      const wait = { waitMs: waitMs ?? NODES_WAIT_MS }
      return call({ attempt, method: 'POST', path, body, answer: RolloutView, ...match, ...wait })
    },

    async rolloutPlan(id: string, node?: string): Promise<RolloutPlanView> {
      const path = ROLLOUT_PLAN_ROUTE.replace(':id', encodeURIComponent(id))
      const attempt = `show the plan of rollout ${id}`
      const question = { attempt, method: 'GET', path, answer: RolloutPlanPage } as const
      const query = new URLSearchParams({ limit: String(LIST_LIMIT_MAX) })
      if (node !== undefined) query.set('node', node)
      return joinedPlan(await everyPage(call, question, query))
    },

    rolloutGates(id: string) {
      const path = ROLLOUT_VERB_ROUTES.gates.replace(':id', encodeURIComponent(id))
      return call({ attempt: `show the gates of ${id}`, method: 'GET', path, answer: GateList })
    },

    async rolloutSteps(id: string) {
      const path = ROLLOUT_VERB_ROUTES.steps.replace(':id', encodeURIComponent(id))
      const attempt = `show rollout ${id}`
      const pages = await everyPage(call, { attempt, method: 'GET', path, answer: StepList })
      return { ...pages[0], steps: pages.flatMap(({ steps }) => steps) }
    },

    async freezes() {
      const path = ROLLOUT_VERB_ROUTES.freezes
      const question = { attempt: 'list freezes', method: 'GET', path, answer: FreezeList } as const
      return { freezes: (await everyPage(call, question)).flatMap(({ freezes }) => freezes) }
    },

    putFreeze(name: string, body: Readonly<FreezeBody>) {
      const path = ROLLOUT_VERB_ROUTES.freeze.replace(':name', encodeURIComponent(name))
      const attempt = `freeze ${name}`
      return call({ attempt, method: 'PUT', path, body, answer: z.unknown() })
    },

    removeFreeze(name: string) {
      const path = ROLLOUT_VERB_ROUTES.freeze.replace(':name', encodeURIComponent(name))
      const attempt = `lift freeze ${name}`
      return call({ attempt, method: 'DELETE', path, answer: z.unknown() })
    },

    async debts() {
      const path = ROLLOUT_VERB_ROUTES.debts
      const question = { attempt: 'list debts', method: 'GET', path, answer: DebtList } as const
      return { debts: (await everyPage(call, question)).flatMap(({ debts }) => debts) }
    },

    forgiveDebt(id: string, reason: string) {
      const path = ROLLOUT_VERB_ROUTES.forgiveDebt.replace(':id', encodeURIComponent(id))
      const attempt = `forgive debt ${id}`
      return call({ attempt, method: 'POST', path, body: { reason }, answer: z.unknown() })
    },

    async groups() {
      const path = ROLLOUT_VERB_ROUTES.groups
      const question = { attempt: 'show groups', method: 'GET', path, answer: GroupList } as const
      return { groups: (await everyPage(call, question)).flatMap(({ groups }) => groups) }
    },
  }
}

/** One plan of its pages: each has all phases and batches, and some of their nodes. */
function joinedPlan(pages: readonly [RolloutPlanPage, ...RolloutPlanPage[]]): RolloutPlanView {
  const { next: _next, ...head } = pages[0]
  return {
    ...head,
    phases: head.phases.map((phase, place) => ({
      ...phase,
      batches: phase.batches.map((batch, index) => ({
        ...batch,
        nodes: pages.flatMap(page => page.phases[place]?.batches[index]?.nodes ?? []),
      })),
    })),
  }
}
