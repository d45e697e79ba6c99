// What operators do with a rollout that there is. Each verb is decided and audited in the transaction of
// its effect.

import type { FastifyReply, FastifyRequest } from 'fastify'
import * as z from 'zod/mini'
import { RolloutView } from '../../../shared/contract/operator-api.ts'
import {
  NODE_VERBS,
  ROLLOUT_VERB_ROUTES,
  ROLLOUT_VERBS,
  RolloutVerbBody,
  type RolloutVerb,
  VerbBody,
} from '../../../shared/contract/rollout-verbs.ts'
import type { UnheldNode } from '../../../shared/contract/rollout-plan.ts'
import { Name, type Reason } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { RolloutCommand } from '../../rollout/request.ts'
import { rotationBehind } from '../../rotation/view.ts'
import { ASK_MS, ASK_ROLLBACK_MS, askNodes } from '../ask-nodes.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { departureOf, Id } from '../fields.ts'
import { expectedNumber, requireVersion, tellVersion } from '../versions.ts'
import { requireRollout } from './rollout-events.ts'
import { madeView, rolloutView } from './rollout-view.ts'

const OPERATOR = { policy: { kind: 'operator', role: 'operator' } } as const
const VERBS = {
  policy: { kind: 'operator', role: 'operator', verbs: { approve: 'approval' } },
} as const

export function rolloutVerbRoutes(app: App, context: ApiContext): void {
  verbRoute(app, context)
  nodeVerbRoute(app, context)
}

function verbRoute(app: App, context: ApiContext): void {
  app.post(
    ROLLOUT_VERB_ROUTES.verb,
    {
      config: VERBS,
      schema: {
        summary: 'Approve, start, pause, resume, promote, supersede, roll back or retry a rollout',
        description:
          'Before `rollback` and `retry` the nodes are asked what they would change, and are held to it as those of any rollout; `unheld` are those that did not answer.',
        params: z.strictObject({ id: Id, verb: z.enum(ROLLOUT_VERBS) }),
        body: RolloutVerbBody,
        response: { 200: RolloutView },
      },
    },
    async (request, reply) => {
      const { id, verb } = request.params
      if (verb === 'rollback' || verb === 'retry') return follow(context, request, reply, verb)
      if (request.body.waitMs !== undefined)
        throw new OperationalError('malformed-request', `${verb} asks no nodes: it takes no waitMs`)
      const actor = operatorOf(request).name
      if (verb === 'approve') await requireOtherThanRotator(context, id, actor)
      const why = because(verb, actor, request.body.reason)
      return obey(context, request, reply, { id, command: commandOf(verb, actor, why), why })
    },
  )
}

// The rollouts of a rotation name it as their author; behind it is the operator who has begun it.
async function requireOtherThanRotator(
  { store }: ApiContext,
  id: string,
  actor: string,
): Promise<void> {
  const rotation = await store.transaction(async tx => {
    const { plan } = await requireRollout(tx, id)
    const behind = rotationBehind(plan.author)
    return behind === undefined ? undefined : tx.rotations.get(behind)
  })
  if (rotation?.author !== actor) return
  throw new OperationalError(
    'author-confirms',
    `${actor} has begun rotation ${rotation.id}: another operator approves its rollout ${id}`,
  )
}

/** An ended rollout never has another version again, so that it is enough to look before. */
async function follow(
  context: ApiContext,
  request: FastifyRequest<{ Params: { id: string }; Body: RolloutVerbBody }>,
  reply: FastifyReply,
  verb: 'rollback' | 'retry',
): Promise<RolloutView> {
  const { store, clock, runner } = context
  const { id } = request.params
  const actor = operatorOf(request).name
  await store.transaction(async tx => {
    const { version } = await requireRollout(tx, id)
    requireVersion(request, `rollout ${id}`, version)
  })
  const signal = AbortSignal.any([context.closing, departureOf(reply)])
  const { waitMs = verb === 'rollback' ? ASK_ROLLBACK_MS : ASK_MS } = request.body
  let unheld: readonly UnheldNode[] = []
  const child = await runner.follow(id, verb, actor, async nodes => {
    const asked = await askNodes(context, nodes, { waitMs, signal })
    unheld = asked.unheld
    return asked
  })
  const reason = because(verb, actor, request.body.reason)
  const entry = { atMs: clock.now(), actor, action: `rollout-${verb}`, subject: id, reason }
  await store.transaction(tx => tx.audit.append(entry))
  context.wakeRunner()
  tellVersion(reply, child.version)
  return madeView(child, unheld)
}

function commandOf(
  verb: Exclude<RolloutVerb, 'rollback' | 'retry'>,
  by: string,
  reason: Reason,
): Exclude<RolloutCommand, { kind: 'claim' }> {
  if (verb === 'approve' || verb === 'promote') return { kind: verb, by }
  if (verb === 'start' || verb === 'resume') return { kind: verb }
  return { kind: verb, reason }
}

function nodeVerbRoute(app: App, context: ApiContext): void {
  app.post(
    ROLLOUT_VERB_ROUTES.nodeVerb,
    {
      config: OPERATOR,
      schema: {
        summary:
          'Take a node out of a rollout, or its lease from a node that will not give it back',
        params: z.strictObject({ id: Id, node: Name, verb: z.enum(NODE_VERBS) }),
        body: VerbBody,
        response: { 200: RolloutView },
      },
    },
    async (request, reply) => {
      const { id, node, verb } = request.params
      const reason = because(verb, operatorOf(request).name, request.body.reason)
      return obey(context, request, reply, {
        id,
        command: { kind: verb, node, reason },
        why: reason,
      })
    },
  )
}

interface Asked {
  readonly id: string
  readonly command: Exclude<RolloutCommand, { kind: 'claim' }>
  readonly why: Reason
}

export async function obey(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  { id, command, why }: Asked,
): Promise<RolloutView> {
  const actor = operatorOf(request).name
  const expectedVersion = expectedNumber(request)
  const expected = expectedVersion === undefined ? {} : { expectedVersion }
  const answer = await context.runner.order(id, { actor, command, reason: why, ...expected })
  if ('kind' in answer) throw new OperationalError('illegal-transition', answer.reason.message)
  context.wakeRunner()
  tellVersion(reply, answer.version)
  return rolloutView(answer)
}

export function because(verb: string, actor: string, given: string | undefined): Reason {
  return { code: `operator-${verb}`, message: given ?? `${verb} by ${actor}` }
}
