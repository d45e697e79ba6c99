// Nodes: add with an enrolment token, list, show, remove, new token. Changing one: node-change.ts.

import type { FastifyRequest } from 'fastify'
import * as z from 'zod/mini'
import {
  NodeAdd,
  NodeAdded,
  NodeList,
  NodeView,
  OPERATOR_ROUTES,
  type TokenAnswer,
  TokenAnswer as TokenAnswerSchema,
} from '../../../shared/contract/operator-api.ts'
import { VerbBody } from '../../../shared/contract/rollout-verbs.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { normalizeNames } from '../../../shared/pki/names.ts'
import { outsideZones } from '../../../shared/pki/zones.ts'
import { createToken } from '../../ca/enrollment-token.ts'
import type { NodeRecord, Transaction } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { NodeParams, reasonOf, Why } from '../fields.ts'
import { requireVersion, tellVersion, versionOfNode } from '../versions.ts'
import { listNodes, NodeQuery } from './node-list.ts'
import { nodeView } from './node-view.ts'

/** Long enough to walk over to the machine. */
const TOKEN_LIFETIME_MS = 3_600_000
export function nodeRoutes(app: App, context: ApiContext): void {
  addRoute(app, context)
  readRoutes(app, context)
  removeRoute(app, context)
  tokenRoute(app, context)
}

function addRoute(app: App, context: ApiContext): void {
  const { store, clock, log } = context
  app.post(
    OPERATOR_ROUTES.nodes,
    {
      config: { policy: { kind: 'operator', role: 'operator' }, answersSecret: true },
      schema: { summary: 'Add a node', body: NodeAdd, response: { 201: NodeAdded } },
    },
    async (request, reply) => {
      const { name, labels } = request.body
      const actor = operatorOf(request).name
      const names = requireNames(request.body)
      requireZones(context, { ...request.body, attempt: `add node ${name}` }, names)
      const added = await store.transaction(async tx => {
        const node: NodeRecord = {
          name,
          labels,
          names,
          createdAtMs: clock.now(),
          enrolledAtMs: undefined,
          seenAtMs: undefined,
        }
        await tx.nodes.insert(node)
        const reason = reasonOf('node-add', request.body.reason)
        const entry = { atMs: clock.now(), actor, action: 'node-add', subject: name, ...reason }
        await tx.audit.append(entry)
        const enrollment = await newToken(context, tx, { node: name, actor })
        return { node: await nodeView(context, tx, node), enrollment }
      })
      log.info({ node: name, actor }, 'node added')
      return reply.code(201).send(added)
    },
  )
}

function readRoutes(app: App, context: ApiContext): void {
  const { store } = context
  app.get(
    OPERATOR_ROUTES.nodes,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: { summary: 'List nodes', querystring: NodeQuery, response: { 200: NodeList } },
    },
    request => listNodes(context, request.query),
  )

  app.get(
    OPERATOR_ROUTES.node,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: { summary: 'Show a node', params: NodeParams, response: { 200: NodeView } },
    },
    (request, reply) =>
      store.transaction(async tx => {
        const node = await requireNode(tx, request.params.name)
        tellVersion(reply, versionOfNode(node, await tx.nodes.lockOf(node.name)))
        return nodeView(context, tx, node)
      }),
  )
}

function tokenRoute(app: App, context: ApiContext): void {
  const { store } = context
  app.post(
    OPERATOR_ROUTES.nodeToken,
    {
      config: { policy: { kind: 'operator', role: 'operator' }, answersSecret: true },
      schema: {
        summary: 'Make another enrolment token',
        params: NodeParams,
        body: z.nullish(VerbBody),
        response: { 201: TokenAnswerSchema },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const actor = operatorOf(request).name
      const answer = await store.transaction(async tx => {
        await requireNodeVersion(tx, request, name)
        return newToken(context, tx, { node: name, actor, why: request.body?.reason })
      })
      return reply.code(201).send(answer)
    },
  )
}

function removeRoute(app: App, context: ApiContext): void {
  const { store, clock, log, presence } = context
  app.delete(
    OPERATOR_ROUTES.node,
    {
      config: { policy: { kind: 'operator', role: 'admin' } },
      schema: {
        summary: 'Remove a node and deny its identities',
        params: NodeParams,
        querystring: z.strictObject({ reason: z.optional(Why) }),
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const actor = operatorOf(request).name
      await store.transaction(async tx => {
        await requireNodeVersion(tx, request, name)
        const atMs = clock.now()
        await tx.nodes.remove(name, atMs)
        const reason = reasonOf('node-remove', request.query.reason)
        await tx.audit.append({ atMs, actor, action: 'node-remove', subject: name, ...reason })
      })
      presence.forget(name)
      await context.refreshDenied()
      context.wakeRunner()
      log.info({ node: name, actor }, 'node removed')
      return reply.code(204).send(null)
    },
  )
}

/** Throws `not-found`, and `version-mismatch` unless it is as the request says. */
export async function requireNodeVersion(
  tx: Transaction,
  request: Pick<FastifyRequest, 'headers'>,
  name: string,
): Promise<void> {
  const node = await requireNode(tx, name)
  requireVersion(request, `node ${name}`, versionOfNode(node, await tx.nodes.lockOf(name)))
}

export async function requireNode(tx: Transaction, name: string): Promise<NodeRecord> {
  const node = await tx.nodes.get(name)
  if (node === undefined) throw unknownNode(name)
  return node
}

function unknownNode(name: string): OperationalError {
  return new OperationalError('not-found', `there is no node ${name}`)
}

export function requireNames({
  name,
  names,
}: Pick<NodeAdd, 'name' | 'names'>): NodeRecord['names'] {
  const normalized = normalizeNames(names, { wildcard: false })
  if (normalized.dns.length + normalized.ip.length === 0)
    throw new OperationalError('names-missing', `node ${name} has no DNS name and no IP address`, {
      hint: 'Give at least one: certificates carry these names and no others.',
    })
  return { dns: [...normalized.dns], ip: [...normalized.ip] }
}

// A typing error is found here, and not by the first plan; a name that another issuer will sign for is
// meant as it is.
export function requireZones(
  { authorities }: Pick<ApiContext, 'authorities'>,
  { attempt, outsideZones: isMeant = false }: Pick<NodeAdd, 'outsideZones'> & { attempt: string },
  names: NodeRecord['names'],
): void {
  const why = outsideZones(names, authorities.current().service.ca.constraints)
  if (why === undefined || isMeant) return
  throw new OperationalError('outside-name-constraints', `could not ${attempt}: ${why}`, {
    hint: 'If another issuer signs for this name, say so: --outside-zones.',
  })
}

async function newToken(
  { authorities, clock, random, urls }: ApiContext,
  tx: Transaction,
  {
    node,
    actor,
    why,
  }: { readonly node: string; readonly actor: string; readonly why?: string | undefined },
): Promise<TokenAnswer> {
  const { pin } = authorities.current().identity
  const { id, secretHash, token } = createToken({ random, pin, enrollUrl: urls.enroll })
  const nowMs = clock.now()
  const expiresAtMs = nowMs + TOKEN_LIFETIME_MS
  await tx.tokens.insert({
    id,
    node,
    secretHash,
    expiresAtMs,
    redeemedBy: undefined,
    createdAtMs: nowMs,
    pin,
  })
  const subject = `${node}/${id}`
  const reason = reasonOf('token-create', why)
  await tx.audit.append({ atMs: nowMs, actor, action: 'token-create', subject, ...reason })
  const text = token.reveal()
  return { token: text, expiresAtMs, command: `tlsfleet-agent enroll --token ${text}` }
}
