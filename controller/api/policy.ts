// Default-deny: a route says who may call it, or the server does not start. What a caller is allowed
// to do is decided here and nowhere else, before a body is read.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { unreachable } from '../../shared/assert.ts'
import { CREDENTIAL_ENDS_HEADER } from '../../shared/contract/operators.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { App } from './context.ts'
import type { AgentCaller, OperatorCaller, Role } from './caller.ts'
import type { OperatorSessions } from './operator-sessions.ts'

export type Policy =
  /** No state, no secrets: health, the API description. */
  | { readonly kind: 'public' }
  /** The enrolment token in the body is the credential; the handler checks it. */
  | { readonly kind: 'enroll' }
  /** An enrolled agent, known by its client certificate. It speaks for its own node only. */
  | { readonly kind: 'agent' }
  /**
   * A person or program with an API token or a client certificate that has this right. `verbs`: of routes
   * with a parameter `verb`, those that ask for another right.
   */
  | {
      readonly kind: 'operator'
      readonly role: Right
      readonly verbs?: Readonly<Record<string, Right>>
    }

/**
 * The one table of who may do what. A route asks for a right; here is who has it.
 *
 * Operators approve what others have made, as approvers do: that the author does not approve is decided by the
 * names of both. If approving took another role, people who need both would get two names, and could approve
 * their own changes.
 */
export const RIGHTS = {
  /** Reads all but backups. */
  viewer: ['viewer', 'operator', 'approver', 'admin'],
  /** Changes the fleet: nodes, specs, rollouts, certificate requests, freezes. */
  operator: ['operator', 'admin'],
  /** Lets a rollout that another has made begin. */
  approval: ['operator', 'approver', 'admin'],
  /** Confirms the next phase of a rotation that an admin has begun. */
  confirmation: ['approver', 'admin'],
  /** Changes what all else stands on: CAs, uploaded keys, operators; takes backups, removes nodes. */
  admin: ['admin'],
} as const satisfies Record<string, readonly Role[]>
export type Right = keyof typeof RIGHTS

/** Whether whoever has the first role may act in the second: it has no right that the first one lacks. */
export function covers(role: Role, other: Role): boolean {
  return Object.values(RIGHTS).every(roles => {
    const having: readonly Role[] = roles
    return having.includes(role) || !having.includes(other)
  })
}

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
  /** When the credential ends, if that is soon. */
  endsSoon(caller: OperatorCaller): number | undefined
  readonly sessions: Pick<OperatorSessions, 'enter'>
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

  app.addHook('onRequest', async (request, reply) => {
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
        await admitOperator(request, reply, policy, authentication)
        return
      default:
        return unreachable(policy)
    }
  })
}

async function admitOperator(
  request: FastifyRequest,
  reply: FastifyReply,
  policy: Extract<Policy, { kind: 'operator' }>,
  authentication: Authentication,
): Promise<void> {
  const caller = await authentication.operator(request)
  const endsAtMs = authentication.endsSoon(caller)
  if (endsAtMs !== undefined)
    void reply.header(CREDENTIAL_ENDS_HEADER, new Date(endsAtMs).toISOString())
  requireRight(caller, rightFor(policy, request.params))
  request.operator = caller
  const leave = authentication.sessions.enter(caller, request.raw.socket)
  reply.raw.once('close', leave)
}

function rightFor(
  { role, verbs = {} }: Extract<Policy, { kind: 'operator' }>,
  params: unknown,
): Right {
  const verb =
    typeof params === 'object' && params !== null && 'verb' in params ? params.verb : undefined
  // Own members only: `constructor` is no verb.
  return typeof verb === 'string' && Object.hasOwn(verbs, verb) ? (verbs[verb] ?? role) : role
}

function requireRight(caller: OperatorCaller, right: Right): void {
  const having: readonly Role[] = RIGHTS[right]
  if (having.includes(caller.role)) return
  const roles = having.join(' or ')
  throw new OperationalError('role-insufficient', `the role ${caller.role} may not do this`, {
    hint: `It takes the role ${roles}.`,
  })
}
