// Nodes: add with an enrolment token, list, show, remove, new token.

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
import { Name } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { normalizeNames } from '../../../shared/pki/names.ts'
import { createToken } from '../../ca/enrollment-token.ts'
import type { NodeRecord, Transaction } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { count, NodeParams } from '../fields.ts'
import { nodeView } from './node-view.ts'

/** Long enough to walk over to the machine. */
const TOKEN_LIFETIME_MS = 3_600_000
const PAGE_DEFAULT = 100
const PAGE_MAX = 500

const Label = z.string().check(z.regex(/^[^=]{1,63}=.{0,63}$/))
const ListQuery = z.strictObject({
  after: z.optional(Name),
  limit: z.optional(count(1, PAGE_MAX)),
  label: z.optional(z.union([Label, z.array(Label).check(z.maxLength(16))])),
})

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
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: { summary: 'Add a node', body: NodeAdd, response: { 201: NodeAdded } },
    },
    async (request, reply) => {
      const { name, labels } = request.body
      const actor = operatorOf(request).name
      const names = requireNames(request.body)
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
        await tx.audit.append({ atMs: clock.now(), actor, action: 'node-add', subject: name })
        const enrollment = await newToken(context, tx, name, actor)
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
      schema: { summary: 'List nodes', querystring: ListQuery, response: { 200: NodeList } },
    },
    request => listNodes(context, request.query),
  )

  app.get(
    OPERATOR_ROUTES.node,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: { summary: 'Show a node', params: NodeParams, response: { 200: NodeView } },
    },
    request =>
      store.transaction(async tx =>
        nodeView(context, tx, await requireNode(tx, request.params.name)),
      ),
  )
}

function tokenRoute(app: App, context: ApiContext): void {
  const { store } = context
  app.post(
    OPERATOR_ROUTES.nodeToken,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Make another enrolment token',
        params: NodeParams,
        response: { 201: TokenAnswerSchema },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const actor = operatorOf(request).name
      const answer = await store.transaction(async tx => {
        await requireNode(tx, name)
        return newToken(context, tx, name, actor)
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
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const actor = operatorOf(request).name
      await store.transaction(async tx => {
        const removed = await tx.nodes.remove(name, clock.now())
        if (!removed) throw unknownNode(name)
        await tx.audit.append({ atMs: clock.now(), actor, action: 'node-remove', subject: name })
      })
      presence.forget(name)
      await context.refreshDenied()
      context.wakeRunner()
      log.info({ node: name, actor }, 'node removed')
      return reply.code(204).send(null)
    },
  )
}

async function listNodes(
  context: ApiContext,
  query: z.infer<typeof ListQuery>,
): Promise<z.infer<typeof NodeList>> {
  const { limit = PAGE_DEFAULT } = query
  const labels = [query.label ?? []].flat()
  return context.store.transaction(async tx => {
    const found: NodeRecord[] = []
    let after = query.after
    // One more than the page tells whether there is another.
    for (;;) {
      const page = await tx.nodes.list({
        ...(after === undefined ? {} : { after }),
        limit: PAGE_MAX,
      })
      found.push(...page.filter(node => hasLabels(node, labels)))
      after = page.at(-1)?.name
      if (page.length < PAGE_MAX || found.length > limit) break
    }
    const shown = found.slice(0, limit)
    const nodes: NodeView[] = []
    for (const node of shown) nodes.push(await nodeView(context, tx, node))
    const last = shown.at(-1)
    return found.length > limit && last !== undefined ? { nodes, next: last.name } : { nodes }
  })
}

function hasLabels(node: NodeRecord, labels: readonly string[]): boolean {
  return labels.every(label => {
    const at = label.indexOf('=')
    const key = label.slice(0, at)
    return Object.hasOwn(node.labels, key) && node.labels[key] === label.slice(at + 1)
  })
}

export async function requireNode(tx: Transaction, name: string): Promise<NodeRecord> {
  const node = await tx.nodes.get(name)
  if (node === undefined) throw unknownNode(name)
  return node
}

function unknownNode(name: string): OperationalError {
  return new OperationalError('not-found', `there is no node ${name}`)
}

function requireNames({ name, names }: NodeAdd): NodeRecord['names'] {
  const normalized = normalizeNames(names, { wildcard: false })
  if (normalized.dns.length + normalized.ip.length === 0)
    throw new OperationalError('names-missing', `node ${name} has no DNS name and no IP address`, {
      hint: 'Give at least one: certificates carry these names and no others.',
    })
  return { dns: [...normalized.dns], ip: [...normalized.ip] }
}

async function newToken(
  { authorities, clock, random, urls }: ApiContext,
  tx: Transaction,
  node: string,
  actor: string,
): Promise<TokenAnswer> {
  const { id, secretHash, token } = createToken({
    random,
    pin: authorities.identity.pin,
    enrollUrl: urls.enroll,
  })
  const nowMs = clock.now()
  const expiresAtMs = nowMs + TOKEN_LIFETIME_MS
  await tx.tokens.insert({
    id,
    node,
    secretHash,
    expiresAtMs,
    redeemedBy: undefined,
    createdAtMs: nowMs,
  })
  await tx.audit.append({ atMs: nowMs, actor, action: 'token-create', subject: `${node}/${id}` })
  const text = token.reveal()
  return { token: text, expiresAtMs, command: `tlsfleet-agent enroll --token ${text}` }
}
