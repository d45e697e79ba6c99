// Operators are known by an API token, or by a client certificate where a CA for them is configured. A token
// that is sent is what counts, also beside a certificate: browsers send theirs without being asked.

import type { FastifyRequest } from 'fastify'
import type { Clock } from '../../shared/clock.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import { type Role, ROLES } from '../store/operators-store.ts'
import type { CredentialRecord, Store, Transaction } from '../store/store.ts'
import type { OperatorCaller } from './caller.ts'
import {
  type PresentedCertificate,
  presentedCertificate,
  refusedCertificate,
} from './operator-certificate.ts'
import { isSecretOf, parseOperatorToken } from './operator-token.ts'
import { covers } from './policy.ts'

interface Edges {
  readonly store: Store
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn'>
}

/** Throws `unauthenticated`. */
export async function authenticateOperator(
  edges: Edges,
  request: FastifyRequest,
): Promise<OperatorCaller> {
  const { authorization } = request.headers
  if (authorization !== undefined) return byToken(edges, authorization)
  const certificate = presentedCertificate(request)
  if (certificate === undefined) throw refused()
  const nowMs = edges.clock.now()
  return edges.store.transaction(tx => byCertificate(tx, certificate, nowMs))
}

/** One answer for every reason, so that nothing can be learned from trying. */
async function byToken({ store, clock, log }: Edges, authorization: string) {
  const [, text] = /^Bearer ([\x21-\x7e]{1,256})$/i.exec(authorization) ?? []
  const token = text === undefined ? undefined : parseOperatorToken(text)
  if (token === undefined) throw refused()
  const nowMs = clock.now()
  const { credential, operator } = await store.transaction(async tx => {
    const found = await tx.credentials.get(token.id)
    return { credential: found, operator: found && (await tx.operators.get(found.name)) }
  })
  const matches = isSecretOf(token.secret, credential?.secretHash ?? NO_HASH)
  if (credential === undefined || !matches) throw refused()
  if (credential.expiresAtMs !== undefined && credential.expiresAtMs <= nowMs) throw refused()
  if (operator === undefined || operator.isDisabled) throw refused()
  await noteUse({ store, log }, credential, nowMs)
  const { id, name, expiresAtMs } = credential
  const role = roleOf(operator.role, credential.role)
  return { name, role, credential: { kind: 'token' as const, id, expiresAtMs } }
}

// Compared when there is no such credential, so that both cases take as long.
const NO_HASH = '0'.repeat(64)

/** What both the operator and the token may do: the operator may have lost a role since. */
export function roleOf(ofOperator: Role, ofToken: Role): Role {
  if (covers(ofOperator, ofToken)) return ofToken
  if (covers(ofToken, ofOperator)) return ofOperator
  return ROLES[0]
}

const NOTED_EVERY_MS = 60_000

// Nobody is kept out because this cannot be written, on a full disk for one.
async function noteUse(
  { store, log }: Pick<Edges, 'store' | 'log'>,
  { id, lastUsedAtMs }: CredentialRecord,
  nowMs: number,
): Promise<void> {
  if (lastUsedAtMs !== undefined && nowMs - lastUsedAtMs < NOTED_EVERY_MS) return
  try {
    await store.transaction(tx => tx.credentials.touch(id, nowMs))
  } catch (err) {
    log.warn({ err, credential: id }, 'could not note the use of a token')
  }
}

async function byCertificate(
  tx: Transaction,
  { fingerprint, serial, notBeforeMs, notAfterMs, names }: PresentedCertificate,
  nowMs: number,
): Promise<OperatorCaller> {
  // TLS has looked at the beginning of the connection only.
  if (notAfterMs <= nowMs) throw refusedCertificate('it has expired')
  if (notBeforeMs > nowMs) throw refusedCertificate('it is not valid yet')
  if (await tx.operators.isSerialDenied(serial)) throw refusedCertificate('it was revoked')
  const [operator, ...others] = await tx.operators.findByCertificateNames(names)
  if (operator === undefined) throw refusedCertificate('no operator has a name that is in it')
  if (others.length > 0) throw refusedCertificate('it names more than one operator')
  if (operator.isDisabled) throw refusedCertificate('its operator is disabled')
  const { name, role } = operator
  const credential = { kind: 'certificate' as const, id: fingerprint, serial }
  return { name, role, credential: { ...credential, expiresAtMs: notAfterMs } }
}

const SOON_MS = 14 * 86_400_000
/** Certificates are often renewed by a program, shortly before their end. */
const SOON_OF_CERTIFICATES_MS = 86_400_000

/** When the credential ends, if there is something to do about it. */
export function endsSoon({ credential }: OperatorCaller, nowMs: number): number | undefined {
  const { kind, expiresAtMs } = credential
  const soonMs = kind === 'token' ? SOON_MS : SOON_OF_CERTIFICATES_MS
  return expiresAtMs !== undefined && expiresAtMs - nowMs < soonMs ? expiresAtMs : undefined
}

function refused(): OperationalError {
  return new OperationalError('unauthenticated', 'the request has no valid API token', {
    hint: 'Send `Authorization: Bearer tlsf_…`; an administrator makes tokens.',
  })
}
