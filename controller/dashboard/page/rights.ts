// Who may do what, so that a button can say beforehand why it cannot be pressed. The controller decides;
// a test holds this table to that of controller/api/policy.ts. Pure.

import type { OperatorRole } from '../../../shared/contract/operators.ts'

export type Role = OperatorRole
export type Right = 'operator' | 'approval' | 'confirmation' | 'admin'

export const ROLES_WITH = {
  operator: ['operator', 'admin'],
  approval: ['operator', 'approver', 'admin'],
  confirmation: ['approver', 'admin'],
  admin: ['admin'],
} as const satisfies Record<Right, readonly Role[]>

/** Undefined: it is allowed. */
export function refusalFor(role: Role, right: Right): string | undefined {
  const having: readonly Role[] = ROLES_WITH[right]
  if (having.includes(role)) return undefined
  return `your role is ${role}; this takes the role ${having.join(' or ')}`
}
