// API tokens of operators: make, list, revoke. The secret leaves once, in the answer that made it.

import * as z from 'zod/mini'
import {
  OPERATOR_RECORD_ROUTES,
  TOKEN_LIFETIME_MS,
  TokenCreate,
  TokenCreated,
  TokenList,
} from '../../../shared/contract/operators.ts'
import { Name } from '../../../shared/contract/schema.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { Role, Transaction } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { OperatorParams } from '../fields.ts'
import { createOperatorToken } from '../operator-token.ts'
import { covers } from '../policy.ts'
import { requireOperator, tokensOf } from './operator-view.ts'

/** More than anybody needs; expired ones count until they are revoked. */
const TOKENS_MAX = 50

const TokenParams = z.strictObject({
  name: Name,
  id: z.string().check(z.regex(/^[0-9a-f]{16}$/)),
})

export function operatorTokenRoutes(app: App, context: ApiContext): void {
  listRoute(app, context)
  createRoute(app, context)
  revokeRoute(app, context)
}

function listRoute(app: App, { store, clock }: ApiContext): void {
  app.get(
    OPERATOR_RECORD_ROUTES.tokens,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List the tokens of an operator, without their secrets',
        params: OperatorParams,
        response: { 200: TokenList },
      },
    },
    request =>
      store.transaction(async tx => {
        const { name } = await requireOperator(tx, request.params.name)
        return { tokens: await tokensOf(tx, name, clock.now()) }
      }),
  )
}

function createRoute(app: App, { store, clock, log, random }: ApiContext): void {
  app.post(
    OPERATOR_RECORD_ROUTES.tokens,
    {
      config: { policy: { kind: 'operator', role: 'admin' }, answersSecret: true },
      schema: {
        summary: 'Make a token for an operator; it is shown once, here',
        params: OperatorParams,
        body: TokenCreate,
        response: { 201: TokenCreated },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const actor = operatorOf(request).name
      const { lifetimeMs = TOKEN_LIFETIME_MS } = request.body
      const { id, secretHash, token } = createOperatorToken(random)
      const made = await store.transaction(async tx => {
        const role = await roleFor(tx, name, request.body.role)
        const nowMs = clock.now()
        const expiresAtMs = nowMs + lifetimeMs
        const known = { createdAtMs: nowMs, createdBy: actor, expiresAtMs }
        await tx.credentials.insert({ id, name, role, secretHash, ...known })
        const action = `token-create-${role}`
        await tx.audit.append({ atMs: nowMs, actor, action, subject: `${name}/${id}` })
        return { id, role, expiresAtMs }
      })
      log.info({ operator: name, credential: id, role: made.role, actor }, 'token made')
      return reply.code(201).send({ ...made, token: token.reveal() })
    },
  )
}

async function roleFor(tx: Transaction, name: string, asked: Role | undefined): Promise<Role> {
  const operator = await requireOperator(tx, name)
  const role = asked ?? operator.role
  if (!covers(operator.role, role))
    throw new OperationalError(
      'role-exceeds-operator',
      `a token of role ${role} is more than operator ${name} may do, who has the role ${operator.role}`,
    )
  const tokens = (await tx.credentials.list()).filter(one => one.name === name)
  if (tokens.length >= TOKENS_MAX)
    throw new OperationalError('too-many-tokens', `operator ${name} has ${tokens.length} tokens`, {
      hint: 'Revoke those that nobody uses.',
    })
  return role
}

function revokeRoute(app: App, { store, clock, log, sessions }: ApiContext): void {
  app.delete(
    OPERATOR_RECORD_ROUTES.token,
    {
      config: { policy: { kind: 'operator', role: 'admin' } },
      schema: {
        summary: 'Revoke a token; what it has under way is cut',
        params: TokenParams,
        response: { 204: z.null() },
      },
    },
    async (request, reply) => {
      const { name, id } = request.params
      const actor = operatorOf(request).name
      await store.transaction(async tx => {
        const credential = await tx.credentials.get(id)
        if (credential?.name !== name)
          throw new OperationalError('not-found', `operator ${name} has no token ${id}`)
        await tx.credentials.remove(id)
        const subject = `${name}/${id}`
        await tx.audit.append({ atMs: clock.now(), actor, action: 'token-revoke', subject })
      })
      sessions.revoke({ kind: 'token', id }, request.raw.socket)
      log.info({ operator: name, credential: id, actor }, 'token revoked')
      return reply.code(204).send(null)
    },
  )
}
