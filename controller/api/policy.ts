// Default-deny: a route says who may call it, or the server does not start. What a caller is allowed
// to do is decided here and nowhere else, before a body is read.

import type { FastifyRequest } from 'fastify'
import { unreachable } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { App } from './context.ts'
import type { AgentCaller, OperatorCaller, Role } from './caller.ts'

export type Policy =
  /** No state, no secrets: health, the API description. */
  | { readonly kind: 'public' }
  /** The enrolment token in the body is the credential; the handler checks it. */
  | { readonly kind: 'enroll' }
  /** An enrolled agent, known by its client certificate. It speaks for its own node only. */
  | { readonly kind: 'agent' }
  /** A person or program with an API token of at least this role. */
  | { readonly kind: 'operator'; readonly role: Role }

export type Listener = 'agent' | 'enroll' | 'operator'

declare module 'fastify' {
  interface FastifyContextConfig {
    policy?: Policy
  }
  interface FastifyRequest {
    agent: AgentCaller | undefined
    operator: OperatorCaller | undefined
  }
}

/** Who is calling; both throw an OperationalError for a caller that is not to be served. */
export interface Authentication {
  agent(request: FastifyRequest): Promise<AgentCaller>
  operator(request: FastifyRequest): Promise<OperatorCaller>
}

const POLICIES_OF = {
  agent: ['agent'],
  enroll: ['enroll'],
  operator: ['operator', 'public'],
} as const satisfies Record<Listener, readonly Policy['kind'][]>

/** Must be called before the first route is declared. */
export function enforcePolicies(
  app: App,
  listener: Listener,
  authentication: Authentication,
): void {
  app.decorateRequest('agent', undefined)
  app.decorateRequest('operator', undefined)

  app.addHook('onRoute', route => {
    const policy = route.config?.policy
    const allowed: readonly string[] = POLICIES_OF[listener]
    if (policy === undefined || !allowed.includes(policy.kind))
      throw new OperationalError(
        'route-without-policy',
        `could not serve ${String(route.method)} ${route.url}: it declares ${policy === undefined ? 'no policy' : `the policy ${policy.kind} on the ${listener} listener`}`,
      )
  })

  app.addHook('onRequest', async request => {
    const policy = request.routeOptions.config.policy
    // Without a route there is nothing to protect: the answer is 404.
    if (policy === undefined) return
    switch (policy.kind) {
      case 'public':
      case 'enroll':
        return
      case 'agent':
        request.agent = await authentication.agent(request)
        return
      case 'operator':
        request.operator = await authentication.operator(request)
        requireRole(request.operator, policy.role)
        return
      default:
        return unreachable(policy)
    }
  })
}

const RANK = { viewer: 1, operator: 2, admin: 3 } as const satisfies Record<Role, number>

function requireRole(caller: OperatorCaller, role: Role): void {
  if (RANK[caller.role] >= RANK[role]) return
  throw new OperationalError('role-insufficient', `the role ${caller.role} may not do this`, {
    hint: `It takes the role ${role}.`,
  })
}
