// Freezes: nodes that nothing may change for a while.

import * as z from 'zod/mini'
import {
  FreezeBody,
  FreezeList,
  FreezeView,
  ROLLOUT_VERB_ROUTES,
} from '../../../shared/contract/rollout-verbs.ts'
import { Name } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { FreezeRecord } from '../../store/groups-store.ts'
import type { Transaction } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { reasonOf, Why } from '../fields.ts'
import { keyAfter, limitOf, PAGE_QUERY, pageOf } from '../paging.ts'
import { requireVersion, tellVersion, versionOfFreeze } from '../versions.ts'

const Params = z.strictObject({ name: Name })
const OPERATOR = { policy: { kind: 'operator', role: 'operator' } } as const
const VIEWER = { policy: { kind: 'operator', role: 'viewer' } } as const

export function freezeRoutes(app: App, context: ApiContext): void {
  readRoutes(app, context)
  putRoute(app, context)
  removeRoute(app, context)
}

function readRoutes(app: App, { store }: ApiContext): void {
  app.get(
    ROLLOUT_VERB_ROUTES.freezes,
    {
      config: VIEWER,
      schema: {
        summary: 'List freezes',
        querystring: z.strictObject(PAGE_QUERY),
        response: { 200: FreezeList },
      },
    },
    async ({ query }) => {
      const limit = limitOf(query)
      const after = keyAfter('freezes', query)
      const page = { limit: limit + 1, ...(after === undefined ? {} : { after }) }
      const found = await store.transaction(tx => tx.freezes.list(page))
      const { shown, next } = pageOf('freezes', { found, limit }, ({ name }) => name)
      return { freezes: shown.map(freezeView), ...next }
    },
  )
  app.get(
    ROLLOUT_VERB_ROUTES.freeze,
    {
      config: VIEWER,
      schema: { summary: 'Show a freeze', params: Params, response: { 200: FreezeView } },
    },
    async (request, reply) => {
      const { name } = request.params
      const freeze = await store.transaction(tx => find(tx, name))
      if (freeze === undefined) throw unknown(name)
      tellVersion(reply, versionOfFreeze(freeze))
      return freezeView(freeze)
    },
  )
}

function putRoute(app: App, { store, clock, wakeRunner }: ApiContext): void {
  app.put(
    ROLLOUT_VERB_ROUTES.freeze,
    {
      config: OPERATOR,
      schema: {
        summary: 'Freeze nodes: rollouts pause, corrections wait, renewals go on',
        params: Params,
        body: FreezeBody,
        response: { 200: FreezeList },
      },
    },
    async (request, reply) => {
      const actor = operatorOf(request).name
      const { name } = request.params
      const { reason, nodes } = request.body
      const scope = nodes === undefined ? ('all' as const) : { names: nodes }
      const freeze = await store.transaction(async tx => {
        const before = await find(tx, name)
        requireVersion(request, `freeze ${name}`, versionOf(before))
        const atMs = clock.now()
        const put: FreezeRecord = { name, scope, reason, actor, atMs }
        await tx.freezes.put(put)
        const why = { code: 'operator-freeze', message: reason }
        await tx.audit.append({ atMs, actor, action: 'freeze', subject: name, reason: why })
        return put
      })
      wakeRunner()
      tellVersion(reply, versionOfFreeze(freeze))
      return { freezes: [freezeView(freeze)] }
    },
  )
}

function removeRoute(app: App, { store, clock, wakeRunner }: ApiContext): void {
  app.delete(
    ROLLOUT_VERB_ROUTES.freeze,
    {
      config: OPERATOR,
      schema: {
        summary: 'Lift a freeze',
        description: 'Answers with no freezes.',
        params: Params,
        querystring: z.strictObject({ reason: z.optional(Why) }),
        response: { 200: FreezeList },
      },
    },
    async request => {
      const actor = operatorOf(request).name
      const { name } = request.params
      const { reason } = request.query
      await store.transaction(async tx => {
        requireVersion(request, `freeze ${name}`, versionOf(await find(tx, name)))
        if (!(await tx.freezes.remove(name))) throw unknown(name)
        const why = reasonOf('unfreeze', reason)
        const entry = { atMs: clock.now(), actor, action: 'unfreeze', subject: name, ...why }
        await tx.audit.append(entry)
      })
      wakeRunner()
      return { freezes: [] }
    },
  )
}

async function find(tx: Transaction, name: string): Promise<FreezeRecord | undefined> {
  return (await tx.freezes.list()).find(one => one.name === name)
}

// Whoever has looked at a freeze that is gone has looked at another version than none.
function versionOf(freeze: FreezeRecord | undefined): string {
  return freeze === undefined ? 'none' : versionOfFreeze(freeze)
}

function freezeView({ name, scope, reason, actor, atMs }: FreezeRecord): FreezeView {
  const nodes = scope === 'all' ? undefined : scope.names
  return { name, reason, actor, atMs, ...(nodes === undefined ? {} : { nodes: [...nodes] }) }
}

function unknown(name: string): OperationalError {
  return new OperationalError('not-found', `there is no freeze ${name}`)
}
