// Rollouts: start one from a fleet spec, list, show, follow, abort.

import * as z from 'zod/mini'
import {
  OPERATOR_ROUTES,
  RolloutEventList,
  RolloutList,
  RolloutView,
  SpecBody,
} from '../../../shared/contract/operator-api.ts'
import { LONG_POLL_MS } from '../../../shared/contract/protocol.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { PlannedNode } from '../../rollout/rollout.ts'
import { hasEnded } from '../../rollout/evolve.ts'
import type { RevisionRecord, Transaction } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { count, departureOf, Nothing, WaitMs } from '../fields.ts'
import { longPoll } from '../wake-board.ts'
import { eventView, rolloutView } from './rollout-view.ts'
import { compileSpec, type CompiledSpec } from './spec.ts'

const LIST_MAX = 50
const EVENTS_MAX = 500

const Params = z.strictObject({ id: z.string().check(z.regex(/^[A-Za-z0-9-]{1,64}$/)) })
const EventsQuery = z.strictObject({
  after: z.optional(count(0, Number.MAX_SAFE_INTEGER)),
  wait: z.optional(WaitMs),
})

export function rolloutRoutes(app: App, context: ApiContext): void {
  const { store } = context
  createRoute(app, context)
  eventsRoute(app, context)
  abortRoute(app, context)

  app.get(
    OPERATOR_ROUTES.rollouts,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List the latest rollouts',
        querystring: Nothing,
        response: { 200: RolloutList },
      },
    },
    async () => {
      const rollouts = await store.transaction(tx => tx.rollouts.list({ limit: LIST_MAX }))
      return { rollouts: rollouts.map(rolloutView) }
    },
  )

  app.get(
    OPERATOR_ROUTES.rollout,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: { summary: 'Show a rollout', params: Params, response: { 200: RolloutView } },
    },
    request =>
      store.transaction(async tx => rolloutView(await requireRollout(tx, request.params.id))),
  )
}

function createRoute(app: App, context: ApiContext): void {
  const { store, runner, clock, log } = context
  app.post(
    OPERATOR_ROUTES.rollouts,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Apply a fleet spec; without steps when every node is there already',
        body: SpecBody,
        response: { 200: RolloutView, 201: RolloutView },
      },
    },
    async (request, reply) => {
      const actor = operatorOf(request).name
      const { spec } = request.body
      const prepared = await store.transaction(async tx => {
        const compiled = await compileSpec(context, tx, spec)
        const nodes = await nodesToMove(tx, compiled)
        const revision = await revisionOf(tx, { compiled, spec, actor, nowMs: clock.now() })
        return { nodes, revision }
      })
      const { nodes, revision } = prepared
      if (nodes.length === 0) return reply.code(200).send(nothingToDo(revision, clock.now()))

      const plan = { revision: revision.number, author: actor, nodes }
      const rollout = await runner.create(plan, actor)
      log.info({ rollout: rollout.id, revision: revision.number, actor }, 'rollout created')
      context.wakeRunner()
      return reply.code(201).send(rolloutView(rollout))
    },
  )
}

/** The nodes that are not there yet, by name. What a node lacks is judged again by the node itself. */
async function nodesToMove(tx: Transaction, compiled: CompiledSpec): Promise<PlannedNode[]> {
  const nodes: PlannedNode[] = []
  for (const { node, content, digest } of compiled.fleet.nodes) {
    const state = (await tx.desired.get(node))?.state
    const isThere =
      state?.contentDigest === digest && state.mode === 'enforce' && !(await hasFailed(tx, node))
    if (!isThere) nodes.push({ node, from: state?.contentDigest, to: digest, content })
  }
  return nodes
}

// A node that could not get there by itself is moved again when an operator applies again.
async function hasFailed(tx: Transaction, node: string): Promise<boolean> {
  const report = (await tx.reports.get(node))?.report
  return (report?.services ?? []).some(
    ({ outcome }) => outcome === 'failed' || outcome === 'restored' || outcome === 'unsupported',
  )
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

function eventsRoute(app: App, context: ApiContext): void {
  const { store, clock, rolloutWakes } = context
  app.get(
    OPERATOR_ROUTES.rolloutEvents,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Follow a rollout: a long poll for events after a version',
        params: Params,
        querystring: EventsQuery,
        response: { 200: RolloutEventList },
      },
    },
    async (request, reply): Promise<RolloutEventList> => {
      const { id } = request.params
      const { after = 0, wait = LONG_POLL_MS } = request.query
      const read = () =>
        store.transaction(async tx => {
          const rollout = await requireRollout(tx, id)
          const stored = await tx.rollouts.events(id, { after, limit: EVENTS_MAX })
          return {
            rollout: rolloutView(rollout),
            events: stored.map(eventView),
            hasEnded: hasEnded(rollout),
          }
        })
      const found = await longPoll({
        board: rolloutWakes,
        key: id,
        waitMs: wait,
        clock,
        signal: AbortSignal.any([context.closing, departureOf(reply)]),
        look: async () => {
          const seen = await read()
          return seen.events.length > 0 || seen.hasEnded ? seen : undefined
        },
      })
      const { rollout, events } = found ?? (await read())
      return { rollout, events }
    },
  )
}

function abortRoute(app: App, context: ApiContext): void {
  app.post(
    OPERATOR_ROUTES.rolloutAbort,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: { summary: 'Abort a rollout', params: Params, response: { 200: RolloutView } },
    },
    async request => {
      const actor = operatorOf(request).name
      const reason = { code: 'operator-abort', message: `aborted by ${actor}` }
      const answer = await context.runner.abort(request.params.id, actor, reason)
      if ('kind' in answer) throw new OperationalError('illegal-transition', answer.reason.message)
      context.wakeRunner()
      return rolloutView(answer)
    },
  )
}

async function requireRollout(tx: Transaction, id: string) {
  const rollout = await tx.rollouts.get(id)
  if (rollout === undefined) throw new OperationalError('not-found', `there is no rollout ${id}`)
  return rollout
}
