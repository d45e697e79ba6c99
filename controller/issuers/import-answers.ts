// What came back from whoever signs: a heap of certificates, matched by key with the requests that
// wait. What fits is taken whatever is wrong with the rest, each in a transaction of its own; so the
// same heap may be given twice.

import type { X509Certificate } from 'node:crypto'
import type {
  CertificateImport,
  ImportedCertificate,
} from '../../shared/contract/certificate-requests.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { OperationalError } from '../../shared/errors.ts'
import { type CertificateFacts, certificateFacts } from '../../shared/pki/facts.ts'
import { parseCertificate, pemOf } from '../../shared/pki/pem.ts'
import type { CertificateRequestRecord } from '../store/requests-store.ts'
import type { Store, Transaction } from '../store/store.ts'
import { settleRequest, settledAlready } from './requests.ts'

export interface ImportContext {
  readonly store: Store
  readonly actor: string
  readonly nowMs: number
}

export interface Imported {
  /** In the order of what was sent. */
  readonly results: readonly ImportedCertificate[]
  /** Their certificates are there. */
  readonly nodes: readonly string[]
}

export async function importAnswers(
  context: ImportContext,
  { certificates }: CertificateImport,
): Promise<Imported> {
  const parsed = certificates.map(({ source, pem }) => parse(source, pem))
  const issuers = parsed.flatMap(one => (one.kind === 'parsed' && one.x509.ca ? [one.x509] : []))
  const results = new Map<Parsed, ImportedCertificate>()
  const nodes = new Set<string>()
  // Of two answers to one request the newer one is taken, whatever came first.
  for (const one of parsed.toSorted((a, b) => beginOf(b) - beginOf(a))) {
    const result = await importOne(context, one, issuers)
    if (result.outcome === 'taken' && result.node !== undefined) nodes.add(result.node)
    results.set(one, result)
  }
  return { results: parsed.flatMap(one => results.get(one) ?? []), nodes: [...nodes] }
}

type Parsed =
  | {
      readonly kind: 'parsed'
      readonly source: string
      readonly x509: X509Certificate
      readonly facts: CertificateFacts
    }
  | { readonly kind: 'broken'; readonly source: string; readonly reason: Reason }

function parse(source: string, pem: string): Parsed {
  try {
    const x509 = parseCertificate(pem)
    return { kind: 'parsed', source, x509, facts: certificateFacts(x509) }
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    return { kind: 'broken', source, reason: { code: error.code, message: error.message } }
  }
}

function beginOf(one: Parsed): number {
  return one.kind === 'parsed' ? one.facts.notBeforeMs : -Infinity
}

async function importOne(
  context: ImportContext,
  one: Parsed,
  issuers: readonly X509Certificate[],
): Promise<ImportedCertificate> {
  const { source } = one
  if (one.kind === 'broken') return { source, outcome: 'refused', reasons: [one.reason] }
  const { subject, fingerprint, notAfterMs, publicKeyDigest } = one.facts
  const shown = { source, subject: subject.slice(0, SUBJECT_MAX), fingerprint, notAfterMs }
  return context.store.transaction(async tx => {
    const request = await tx.requests.findByAnyKey(publicKeyDigest)
    if (request === undefined || request.issuer !== 'csr')
      return one.x509.ca
        ? { ...shown, outcome: 'issuer', reasons: [] }
        : { ...shown, outcome: 'refused', reasons: [UNKNOWN_KEY] }
    const { id, node, service } = request
    const settled = await settle(context, tx, request, [one.x509, ...issuers])
    return { ...shown, ...settled, request: id, node, service }
  })
}

// A hostile certificate can have a name of 60 KB.
const SUBJECT_MAX = 200

const UNKNOWN_KEY: Reason = {
  code: 'key-unknown',
  message: 'no node has made a request with its key',
}

async function settle(
  { nowMs, actor }: ImportContext,
  tx: Transaction,
  request: CertificateRequestRecord,
  certificates: readonly X509Certificate[],
): Promise<{ outcome: ImportedCertificate['outcome']; reasons: Reason[] }> {
  const chain = certificates.map(({ raw }) => pemOf(raw)).join('')
  // The chain that was kept begins with the leaf.
  const isKnown = request.certificateChain?.startsWith(pemOf(certificates[0]?.raw ?? NOTHING))
  if (isKnown === true) return { outcome: 'known', reasons: [] }
  if (request.state !== 'pending') {
    const [code, message] = settledAlready(request)
    return { outcome: 'refused', reasons: [{ code, message }] }
  }
  const settled = await settleRequest({ nowMs, actor }, tx, request.id, { chain })
  return settled.kind === 'unfit'
    ? { outcome: 'refused', reasons: [...settled.reasons] }
    : { outcome: 'taken', reasons: [] }
}

const NOTHING = new Uint8Array()
