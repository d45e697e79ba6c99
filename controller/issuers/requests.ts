// What becomes of certificate requests: the ones that still wait, and how an answer settles one. In the
// caller's transaction. A request is wanted as long as the document of its node asks for just this;
// the others are withdrawn.

import type { Reason } from '../../shared/contract/schema.ts'
import type { ServerTls } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { CertificateFacts } from '../../shared/pki/facts.ts'
import type {
  CertificateRequestRecord,
  RequestIssuer,
  RequestPage,
  RequestSettlement,
} from '../store/requests-store.ts'
import type { Transaction } from '../store/store.ts'
import { certificatesIn, checkAnswer } from './check-answer.ts'
import { wantedTls } from './wanted.ts'

/** Pending requests of an issuer that are still wanted, oldest first; the others are withdrawn. */
export async function pendingRequests(
  context: { readonly nowMs: number },
  tx: Transaction,
  issuer: RequestIssuer,
): Promise<readonly CertificateRequestRecord[]> {
  const all: CertificateRequestRecord[] = []
  let after: number | undefined = 0
  while (after !== undefined) {
    const page = await pendingPage(context, tx, issuer, { after })
    all.push(...page.requests)
    after = page.next
  }
  return all
}

/** The same, a page at a time. */
export async function pendingPage(
  { nowMs }: { readonly nowMs: number },
  tx: Transaction,
  issuer: RequestIssuer,
  page: { readonly after?: number; readonly limit?: number } = {},
): Promise<{
  readonly requests: readonly CertificateRequestRecord[]
  /** Where the next page goes on; undefined: this was the last. */
  readonly next: number | undefined
}> {
  const { after = 0, limit = PAGE } = page
  const found = await tx.requests.list({ issuer, state: 'pending', after, limit })
  const requests: CertificateRequestRecord[] = []
  for (const request of found)
    if (!(await withdrawUnwanted(tx, request, nowMs))) requests.push(request)
  return { requests, next: found.length < limit ? undefined : found.at(-1)?.sequence }
}

/** Requests in any state, of which no pending one waits in vain: those were withdrawn first. */
export async function listedRequests(
  { nowMs }: { readonly nowMs: number },
  tx: Transaction,
  page: RequestPage,
): Promise<readonly CertificateRequestRecord[]> {
  for (;;) {
    const found = await tx.requests.list(page)
    let isCurrent = true
    for (const request of found) if (await withdrawUnwanted(tx, request, nowMs)) isCurrent = false
    // Each of them is withdrawn once, so this ends.
    if (isCurrent) return found
  }
}

/** True: it was still pending, and nobody wants it any more. */
async function withdrawUnwanted(
  tx: Transaction,
  request: CertificateRequestRecord,
  nowMs: number,
): Promise<boolean> {
  if (request.state !== 'pending' || (await wantedTls(tx, request)) !== undefined) return false
  return tx.requests.settle(request.id, { state: 'withdrawn', reason: NOT_WANTED }, nowMs)
}

const PAGE = 500

const NOT_WANTED: Reason = {
  code: 'not-wanted',
  message: 'the node is not meant to have such a certificate any more',
}

export type Settlement = { readonly chain: string } | { readonly refused: Reason }

export type Settled =
  /** It is done; wake the node: `context.nudges.nudge([node])` after the transaction. */
  | { readonly kind: 'signed' | 'refused'; readonly node: string }
  /** The request is still as it was. */
  | { readonly kind: 'unfit'; readonly reasons: readonly Reason[] }

/**
 * Settles a pending request, audited. A chain (PEM, any order, with or without root) is checked
 * against the request and the trust of the node's document; what does not fit leaves the request as
 * it is. What a pending request waits for may be told by `tx.requests.note(id, reason)`.
 */
export async function settleRequest(
  context: { readonly nowMs: number; readonly actor: string },
  tx: Transaction,
  id: string,
  settlement: Settlement,
): Promise<Settled> {
  const request = await tx.requests.get(id)
  if (request === undefined) return unfit('not-found', `there is no request ${id}`)
  if (request.state !== 'pending') return unfit(...settledAlready(request))
  if ('refused' in settlement) {
    const reason = settlement.refused
    await conclude(context, tx, request, { state: 'refused', reason })
    return { kind: 'refused', node: request.node }
  }
  const tls = await wantedTls(tx, request)
  if (tls === undefined) return unfit(NOT_WANTED.code, NOT_WANTED.message)
  const checked = checkChain(request, settlement.chain, tls, context.nowMs)
  if (checked.kind === 'unfit') return checked
  const { chainPem, facts } = checked
  await conclude(context, tx, request, { state: 'signed', certificateChain: chainPem })
  await keepLeaf(tx, request, { chainPem, facts }, context.nowMs)
  return { kind: 'signed', node: request.node }
}

async function conclude(
  { nowMs, actor }: { readonly nowMs: number; readonly actor: string },
  tx: Transaction,
  { id, node, service }: CertificateRequestRecord,
  settlement: RequestSettlement,
): Promise<void> {
  await tx.requests.settle(id, settlement, nowMs)
  await tx.audit.append({
    atMs: nowMs,
    actor,
    action: `certificate-request-${settlement.state}`,
    subject: `${node}/${service}/${id}`,
    ...(settlement.state === 'signed' ? {} : { reason: settlement.reason }),
  })
}

// The same certificate may answer a second request of the same key.
async function keepLeaf(
  tx: Transaction,
  { node, service, publicKeyDigest }: CertificateRequestRecord,
  { chainPem, facts }: { readonly chainPem: string; readonly facts: CertificateFacts },
  issuedAtMs: number,
): Promise<void> {
  const { fingerprint, serial, notBeforeMs, notAfterMs } = facts
  const known = await tx.leaves.findByKey(node, service, publicKeyDigest)
  if (known?.fingerprint === fingerprint) return
  const dates = { notBeforeMs, notAfterMs, issuedAtMs }
  const owner = { node, service, publicKeyDigest }
  await tx.leaves.insert({ fingerprint, serial, ...owner, certificateChain: chainPem, ...dates })
}

function checkChain(
  request: CertificateRequestRecord,
  chain: string,
  { trust, certificate: { renewBeforeMs } }: ServerTls,
  nowMs: number,
) {
  try {
    const certificates = certificatesIn(chain)
    return checkAnswer({ request, certificates, trust, renewBeforeMs, nowMs })
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    return unfit(error.code, error.message)
  }
}

function unfit(code: string, message: string): Extract<Settled, { kind: 'unfit' }> {
  return { kind: 'unfit', reasons: [{ code, message }] }
}

/** Why an answer to this request comes too late. */
export function settledAlready(
  request: CertificateRequestRecord,
): readonly [code: string, message: string] {
  const at = new Date(request.settledAtMs ?? 0).toISOString()
  const why = request.reason === undefined ? '' : `: ${request.reason.message}`
  return [`already-${request.state}`, `the request was ${request.state} ${at}${why}`]
}
