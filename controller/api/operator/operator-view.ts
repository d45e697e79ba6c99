// Operators and tokens as the API shows them: no secret, no hash.

import type { OperatorView, TokenView } from '../../../shared/contract/operators.ts'
import { OperationalError } from '../../../shared/errors.ts'
import type { CredentialRecord, OperatorRecord, Transaction } from '../../store/store.ts'

export async function operatorView(
  tx: Transaction,
  operator: OperatorRecord,
  nowMs: number,
): Promise<OperatorView> {
  const { name, role, isDisabled, certificateNames, createdAtMs, createdBy } = operator
  const denied = await tx.operators.deniedSerials(name)
  return {
    name,
    role,
    disabled: isDisabled,
    certificateNames: [...certificateNames],
    createdAtMs,
    createdBy,
    tokens: await tokensOf(tx, name, nowMs),
    deniedCertificates: denied.map(({ serial, atMs, by }) => ({ serial, atMs, by })),
  }
}

export async function tokensOf(tx: Transaction, name: string, nowMs: number): Promise<TokenView[]> {
  const credentials = await tx.credentials.list()
  return credentials.filter(one => one.name === name).map(one => tokenView(one, nowMs))
}

function tokenView(credential: CredentialRecord, nowMs: number): TokenView {
  const { id, role, createdAtMs, createdBy, expiresAtMs, lastUsedAtMs } = credential
  return {
    id,
    role,
    createdAtMs,
    createdBy,
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    expired: expiresAtMs !== undefined && expiresAtMs <= nowMs,
    ...(lastUsedAtMs === undefined ? {} : { lastUsedAtMs }),
  }
}

export async function requireOperator(tx: Transaction, name: string): Promise<OperatorRecord> {
  const operator = await tx.operators.get(name)
  if (operator !== undefined) return operator
  throw new OperationalError('not-found', `there is no operator ${name}`)
}
