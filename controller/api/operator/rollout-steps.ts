// Why nothing moves: where each step of a rollout is, and who takes up the budgets of groups.

import * as z from 'zod/mini'
import {
  GroupBudget,
  GroupList,
  ROLLOUT_VERB_ROUTES,
  StepList,
} from '../../../shared/contract/rollout-verbs.ts'
import type { Reason } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { GroupDefinition } from '../../fleet/groups.ts'
import type { GroupView } from '../../rollout/rollout.ts'
import type { DebtRecord } from '../../store/debts-store.ts'
import type { LeaseRecord } from '../../store/rollouts-store.ts'
import { whyWaiting } from '../../rollout/permits.ts'
import { allSteps, batchOf, phaseOf } from '../../rollout/steps.ts'
import type { ApiContext, App } from '../context.ts'
import { RolloutParams } from '../fields.ts'
import { keyAfter, limitOf, PAGE_QUERY, type PageAsked, pageOf, pageOfAll } from '../paging.ts'
import { tellVersion } from '../versions.ts'
import { requireRollout } from './rollout-events.ts'

const VIEWER = { policy: { kind: 'operator', role: 'viewer' } } as const

export function rolloutStepRoutes(app: App, context: ApiContext): void {
  stepsRoute(app, context)
  groupsRoute(app, context)
}

function stepsRoute(app: App, context: ApiContext): void {
  app.get(
    ROLLOUT_VERB_ROUTES.steps,
    {
      config: VIEWER,
      schema: {
        summary: 'Show where a rollout is, and why each of its steps waits',
        params: RolloutParams,
        querystring: z.strictObject(PAGE_QUERY),
        response: { 200: StepList },
      },
    },
    (request, reply) =>
      context.store.transaction(async (tx): Promise<StepList> => {
        const rollout = await requireRollout(tx, request.params.id)
        tellVersion(reply, rollout.version)
        const fleet = await context.runner.view(tx, rollout)
        const { timeMs } = await tx.controllerTime.get()
        const phase = phaseOf(rollout)
        const { soakMs = 0 } = phase.batches[rollout.batchIndex] ?? {}
        const { settledTimeMs } = rollout
        const { shown, next } = pageOfSteps(allSteps(rollout), request.query)
        return {
          status: rollout.status,
          pausedBy: [...rollout.pausedBy],
          phase: rollout.phaseIndex,
          batch: rollout.batchIndex,
          batches: phase.batches.length,
          ...(settledTimeMs === undefined
            ? {}
            : { soakLeftMs: Math.max(0, soakMs - (timeMs - settledTimeMs)) }),
          ...next,
          steps: shown.map(step => {
            const waiting = whyWaiting(rollout, fleet, step)
            const { node, state } = step
            const batch = batchOf(rollout, node)
            return { node, state, batch, ...(waiting === undefined ? {} : { waiting }) }
          }),
        }
      }),
  )
}

function groupsRoute(app: App, context: ApiContext): void {
  app.get(
    ROLLOUT_VERB_ROUTES.groups,
    {
      config: VIEWER,
      schema: {
        summary: 'Show the budgets of groups: who is out, and who holds a lease',
        querystring: z.strictObject(PAGE_QUERY),
        response: { 200: GroupList },
      },
    },
    ({ query }) =>
      context.store.transaction(async tx => {
        const { definitions: all, view } = await context.runner.viewGroups(tx)
        const leases = await tx.leases.all()
        const debts = await tx.debts.all()
        const { shown, next } = pageOfAll('groups', query, { all, keyOf: ({ name }) => name })
        return {
          ...next,
          groups: shown.map(one => budgetOf(one, view.groups.get(one.name), { leases, debts })),
        }
      }),
  )
  app.get(
    ROLLOUT_VERB_ROUTES.groupBudget,
    {
      config: VIEWER,
      schema: {
        summary:
          'Show the budget of one group: its limit, who holds leases since when, who is out and why',
        params: z.strictObject({ name: z.string().check(z.minLength(1), z.maxLength(128)) }),
        querystring: z.strictObject({}),
        response: { 200: GroupBudget },
      },
    },
    ({ params: { name } }) =>
      context.store.transaction(async tx => {
        const { definitions, view } = await context.runner.viewGroups(tx)
        const group = definitions.find(one => one.name === name)
        if (group === undefined)
          throw new OperationalError('not-found', `there is no group ${name}`)
        const held = { leases: await tx.leases.all(), debts: await tx.debts.all() }
        return budgetOf(group, view.groups.get(name), held)
      }),
  )
}

function budgetOf(
  { name, type, declared, members, maxUnavailable }: GroupDefinition,
  group: GroupView | undefined,
  {
    leases,
    debts,
  }: { readonly leases: readonly LeaseRecord[]; readonly debts: readonly DebtRecord[] },
): GroupBudget {
  const held = leases.filter(lease => lease.group === name)
  const notices = [...(group?.notices ?? []), ...owedIn(name, debts)]
  return {
    name,
    kind: type.kind,
    declared,
    members: [...members],
    maxUnavailable,
    limit: group?.limit ?? 0,
    out: [...(group?.out ?? [])].map(([node, reason]) => ({ node, reason })),
    leases: held.map(({ node, purpose, generation, takenAtMs }) => {
      return { node, purpose, generation, takenAtMs }
    }),
    ...(group?.leader === undefined ? {} : { leader: group.leader }),
    ...(group?.health === undefined ? {} : { health: group.health }),
    ...(notices.length === 0 ? {} : { notices }),
  }
}

function owedIn(group: string, debts: readonly DebtRecord[]): readonly Reason[] {
  return debts
    .filter(({ groups }) => groups.includes(group))
    .map(({ debtId, node, service, sinceMs }) => {
      const since = new Date(sinceMs).toISOString()
      const message = `${service} still thinks that ${node} is away for a moment, since ${since} (debt ${debtId})`
      return { code: 'absence-owed', message }
    })
}

/** In plan order, which never changes: the page goes on after the node that the one before ended with. */
function pageOfSteps<T extends { readonly node: string }>(all: readonly T[], asked: PageAsked) {
  const after = keyAfter('steps', asked)
  const from = after === undefined ? 0 : all.findIndex(({ node }) => node === after) + 1
  return pageOf('steps', { found: all.slice(from), limit: limitOf(asked) }, ({ node }) => node)
}
