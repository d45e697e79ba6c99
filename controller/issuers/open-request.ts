// A request for a certificate that is signed elsewhere: opened by the agent that has the key, in the
// caller's transaction. The same key asked for again is the same request.

import { unreachable } from '../../shared/assert.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { type ServerTls, wantsClientUse } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import { readCsr } from '../../shared/pki/csr-reader.ts'
import { sameNames } from '../../shared/pki/names.ts'
import type { CertificateRequestRecord, RequestIssuer } from '../store/requests-store.ts'
import type { Transaction } from '../store/store.ts'
import { certificatesIn, checkAnswer } from './check-answer.ts'
import { isFor, requireRecorded, shortId, wantedNames } from './wanted.ts'

/** What an agent asks for. The key is proven, the document is the node's current one. */
export interface RequestQuestion {
  readonly node: string
  readonly tls: ServerTls
  readonly generation: number
  readonly publicKeyDigest: string
  /** PKCS#10 of that key, as it came. */
  readonly csr: string | undefined
}

export type OpenedRequest =
  | { readonly kind: 'signed'; readonly certificateChain: string }
  /** `isNew`: whoever gets it signed should look. */
  | {
      readonly kind: 'pending'
      readonly id: string
      readonly reason: Reason
      readonly isNew: boolean
    }

interface Opening {
  readonly nowMs: number
  readonly newId: () => string
}

/** A node has few services; more than these wait for nobody. */
const PENDING_MAX = 32
/** A rollout that is tried again and again makes some; a hostile node could fill the disk. */
const A_DAY_MAX = 64
const DAY_MS = 86_400_000

/**
 * The request of this key: the one that is there, or a new one. Throws `csr-…`, `weak-key`,
 * `names-not-recorded`, `key-reused`, `too-many-pending`, and `certificate-refused` for one that was
 * refused, until the node has a newer document.
 */
export async function openRequest(
  context: Opening,
  tx: Transaction,
  question: RequestQuestion,
): Promise<OpenedRequest> {
  const { node, tls, publicKeyDigest } = question
  const known = await tx.requests.findByKey(node, tls.service, publicKeyDigest)
  const answer =
    known !== undefined && isFor(known, tls) ? answerOf(known, question, context.nowMs) : undefined
  return answer ?? insertRequest(context, tx, question, known !== undefined)
}

/** Undefined: this key may ask anew. */
function answerOf(
  known: CertificateRequestRecord,
  { tls, generation }: RequestQuestion,
  nowMs: number,
): OpenedRequest | undefined {
  const { id, state, certificateChain = '', reason = awaiting(known) } = known
  switch (state) {
    case 'pending':
      return { kind: 'pending', id, reason, isNew: false }
    case 'signed':
      return isStillGood(known, certificateChain, tls, nowMs)
        ? { kind: 'signed', certificateChain }
        : undefined
    case 'refused':
      if (generation > known.generation) return undefined
      throw new OperationalError(
        'certificate-refused',
        `the request ${shortId(id)} for ${tls.service} was refused: ${reason.message}`,
        {
          hint: 'Change what is asked for and apply it, or apply it once more to ask again.',
          details: { request: id, code: reason.code },
        },
      )
    case 'withdrawn':
      return undefined
    default:
      return unreachable(state)
  }
}

// The trust may have changed since it was signed, and time has passed.
function isStillGood(
  request: CertificateRequestRecord,
  chain: string,
  { trust, certificate: { renewBeforeMs } }: ServerTls,
  nowMs: number,
): boolean {
  const question = { request, certificates: certificatesIn(chain), trust, renewBeforeMs, nowMs }
  return checkAnswer({ ...question, wasChecked: true }).kind === 'fit'
}

async function insertRequest(
  { nowMs, newId }: Opening,
  tx: Transaction,
  question: RequestQuestion,
  isKnownKey: boolean,
): Promise<OpenedRequest> {
  const { node, tls, generation, publicKeyDigest } = question
  const { service, certificate } = tls
  const csr = checkedCsr(question)
  const names = wantedNames(tls)
  await requireRecorded(tx, node, names)
  if (await isForeignKey(tx, question, isKnownKey))
    throw new OperationalError('key-reused', `the key for ${service} was used before`, {
      hint: 'Make a new key for every certificate.',
    })
  await withdrawOlder(tx, question, nowMs)
  await requireRoom(tx, node, nowMs)

  const id = newId()
  const request = {
    id,
    node,
    service,
    issuer: issuerOf(tls),
    directory: certificate.directory,
    publicKeyDigest,
    keyType: csr.keyType,
    csr: csr.pem,
    names: { dns: [...names.dns], ip: [...names.ip] },
    clientUse: wantsClientUse(tls),
    lifetimeMs: certificate.lifetimeMs,
    generation,
    createdAtMs: nowMs,
    reason: undefined,
  }
  await tx.requests.insert(request)
  await tx.audit.append({
    atMs: nowMs,
    actor: `node:${node}`,
    action: 'certificate-request',
    subject: `${node}/${service}/${id}`,
  })
  return { kind: 'pending', id, reason: awaiting(request), isNew: true }
}

function checkedCsr({ tls, csr, publicKeyDigest }: RequestQuestion) {
  if (csr === undefined)
    throw new OperationalError(
      'csr-missing',
      `issuer ${tls.certificate.issuer} needs a certificate request of ${tls.service}`,
    )
  const facts = readCsr(csr)
  if (facts.publicKeyDigest !== publicKeyDigest)
    throw new OperationalError(
      'csr-key-differs',
      `the certificate request of ${tls.service} is for another key than the one that was proven`,
    )
  // Whoever signs sees the request and not the document.
  if (!sameNames(facts.names, wantedNames(tls)))
    throw new OperationalError(
      'csr-names-differ',
      `the certificate request of ${tls.service} asks for ${[...facts.names.dns, ...facts.names.ip].join(', ')}, which are not the names of the document`,
    )
  return facts
}

// Of another node or service, the key of an agent, or one that another issuer has certified.
async function isForeignKey(
  tx: Transaction,
  { node, tls: { service }, publicKeyDigest }: RequestQuestion,
  isKnown: boolean,
): Promise<boolean> {
  return (
    (await tx.requests.keyUsedByOther(node, service, publicKeyDigest)) ||
    (await tx.leaves.keyUsedByOther(node, service, publicKeyDigest)) ||
    (!isKnown && (await tx.leaves.findByKey(node, service, publicKeyDigest)) !== undefined) ||
    (await tx.identities.keyUsedByOther(node, publicKeyDigest)) ||
    (await tx.identities.findByKey(node, publicKeyDigest)) !== undefined
  )
}

// The node has one key in hand for a service: whatever it asked for before, it asks no more.
async function withdrawOlder(
  tx: Transaction,
  { node, tls: { service } }: RequestQuestion,
  nowMs: number,
): Promise<void> {
  const older = await tx.requests.list({ node, service, state: 'pending', limit: PENDING_MAX })
  for (const one of older)
    await tx.requests.settle(one.id, { state: 'withdrawn', reason: ASKED_ANEW }, nowMs)
}

const ASKED_ANEW: Reason = {
  code: 'asked-anew',
  message: 'the node has asked again with another request',
}

async function requireRoom(tx: Transaction, node: string, nowMs: number): Promise<void> {
  const pending = await tx.requests.countPending(node)
  const recent = await tx.requests.countSince(node, nowMs - DAY_MS)
  if (pending < PENDING_MAX && recent < A_DAY_MAX) return
  throw new OperationalError(
    'too-many-pending',
    `${node} has made ${recent} certificate requests within a day, ${pending} of them pending`,
    { retryable: true },
  )
}

function issuerOf({ service, certificate: { issuer } }: ServerTls): RequestIssuer {
  if (issuer === 'csr' || issuer === 'acme') return issuer
  throw new OperationalError(
    'issuer-not-internal',
    `the certificate of ${service} has the issuer ${issuer}, which takes no requests`,
  )
}

function awaiting({
  id,
  issuer,
  directory,
}: Pick<CertificateRequestRecord, 'id' | 'issuer' | 'directory'>): Reason {
  switch (issuer) {
    case 'csr':
      return {
        code: 'awaiting-signature',
        message: `its request ${shortId(id)} waits to be signed by whoever issues certificates: tlsfleet csr export, then tlsfleet csr import`,
      }
    case 'acme':
      return {
        code: 'awaiting-order',
        message: `its request ${shortId(id)} waits for the ACME directory ${directory ?? ''}`,
      }
    default:
      return unreachable(issuer)
  }
}
