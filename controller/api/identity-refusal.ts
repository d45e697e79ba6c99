// Why an identity is not accepted, in words for the agent that has it and for the log.

import { OperationalError } from '../../shared/errors.ts'
import type { DenialCause } from '../store/store.ts'

const REFUSALS = {
  'identity-missing': 'the connection has no client certificate of an agent',
  'identity-foreign': 'the client certificate is of another fleet',
  'identity-denied': 'the node was removed or enrolled anew; this identity is denied',
  'identity-revoked': 'an operator has revoked the identity of this node',
  'identity-cloned': 'two machines were using the identity of this node; both are locked out',
  'identity-expired': 'the client certificate has ended',
  'identity-grace-over': 'the identity ended too long ago to be renewed by proof of its key',
  'identity-ca-retired': 'the CA that has issued the client certificate is not trusted any more',
  'identity-ca-denied': 'the CA that has issued the identity is denied',
  'identity-unknown': 'this controller has not issued the client certificate',
} as const
export type IdentityRefusal = keyof typeof REFUSALS

export function refusedIdentity(code: IdentityRefusal): OperationalError {
  return new OperationalError(code, REFUSALS[code], {
    hint: 'Enrol the node with a new token: tlsfleet node token NAME',
  })
}

export function refusalOf(cause: DenialCause): IdentityRefusal {
  return REFUSAL_OF[cause]
}

const REFUSAL_OF = {
  removed: 'identity-denied',
  replaced: 'identity-denied',
  revoked: 'identity-revoked',
  cloned: 'identity-cloned',
  superseded: 'identity-denied',
} as const satisfies Record<DenialCause, IdentityRefusal>
