// Who a request comes from, after authentication.

import type { FastifyRequest } from 'fastify'
import { assert } from '../../shared/assert.ts'
import type { Role } from '../store/operators-store.ts'

export type { Role }

export interface AgentCaller {
  /** From the URI in the client certificate; nothing else in a request names the node. */
  readonly node: string
  /** Of the client certificate. */
  readonly fingerprint: string
  readonly publicKeyDigest: string
}

export interface OperatorCaller {
  readonly name: string
  readonly role: Role
  readonly credential: OperatorCredential
}

/** What an operator has come with. `id` of a certificate: its SHA-256. */
export interface OperatorCredential {
  readonly kind: 'token' | 'certificate'
  readonly id: string
  readonly expiresAtMs: number | undefined
  /** Of a certificate: lower-case hex without leading zeros. */
  readonly serial?: string
}

/** Only in routes with the policy `agent`. */
export function agentOf(request: FastifyRequest): AgentCaller {
  assert(request.agent !== undefined, 'the route has the policy agent')
  return request.agent
}

/** Only in routes with the policy `operator`. */
export function operatorOf(request: FastifyRequest): OperatorCaller {
  assert(request.operator !== undefined, 'the route has the policy operator')
  return request.operator
}
