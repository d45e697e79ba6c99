// POST sign: a leaf for one service of the caller's node. The request brings a key and a proof; all
// else comes from the node's desired state and from its record. Our own CA answers at once; what
// others sign is asked for, and given when it is there.

import { assert, unreachable } from '../../../shared/assert.ts'
import { type SignAnswer, SignRequest } from '../../../shared/contract/agent-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import {
  type ServerTls,
  type ServiceTls,
  isServer,
  wantsClientUse,
} from '../../../shared/contract/service.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { normalizeNames, sameNames } from '../../../shared/pki/names.ts'
import { OID } from '../../../shared/pki/oids.ts'
import { parseCertificate, splitPemCertificates } from '../../../shared/pki/pem.ts'
import { certificateFacts, type CertificateFacts } from '../../../shared/pki/facts.ts'
import { type CaCredential, issueLeaf, type LeafRequest } from '../../ca/authority.ts'
import { LIFETIME_MS_MAX } from '../../fleet/lifetime-policy.ts'
import { type OpenedRequest, openRequest } from '../../issuers/open-request.ts'
import { requireRecorded } from '../../issuers/wanted.ts'
import type { LeafRecord, Transaction } from '../../store/store.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { type ProvenKey, requireGoodIdentity, requireProof } from './identity.ts'
import { createRenewalSlots, type RenewalSlots, takeSlot } from './renewal-slot.ts'
import { meantContent } from './meant-content.ts'
import { SIGN_BODY_BYTES_MAX, type SignLimit } from './sign-limit.ts'

export function signRoute(app: App, context: ApiContext, limit: SignLimit): void {
  const slots = createRenewalSlots(context.random)
  app.post(
    AGENT_ROUTES.sign,
    {
      config: { policy: { kind: 'agent' } },
      bodyLimit: SIGN_BODY_BYTES_MAX,
      schema: { body: SignRequest },
    },
    async (request): Promise<SignAnswer> => {
      const agent = agentOf(request)
      const { node } = agent
      limit.take(node)
      const { service } = request.body
      const key = requireProof({ purpose: 'sign', context: [node, service] }, request.body)
      const { generation } = request.body
      const signed = await context.store.transaction(async tx => {
        await requireGoodIdentity(tx, agent)
        const { csr } = request.body
        return sign(context, tx, { node, key, generation, service, csr, slots })
      })
      return answerTo(context, node, service, signed)
    },
  )
}

function answerTo(
  { log }: ApiContext,
  node: string,
  service: string,
  signed: Signed | OpenedRequest,
): SignAnswer {
  switch (signed.kind) {
    case 'issued':
      if (signed.isNew) log.info({ node, service, ...signed.log }, 'certificate issued')
      return { certificateChain: signed.certificateChain }
    case 'signed':
      return { certificateChain: signed.certificateChain }
    case 'pending':
      if (signed.isNew) log.info({ node, service, request: signed.id }, 'certificate requested')
      return { pending: signed.reason }
    default:
      return unreachable(signed)
  }
}

interface SignQuestion {
  readonly node: string
  readonly service: ServiceTls['service']
  readonly generation: number
  readonly key: ProvenKey
  readonly csr: string | undefined
  readonly slots: RenewalSlots
}

interface Signed {
  readonly kind: 'issued'
  readonly certificateChain: string
  readonly isNew: boolean
  readonly log?: object
}

async function sign(
  context: ApiContext,
  tx: Transaction,
  question: SignQuestion,
): Promise<Signed | OpenedRequest> {
  const { node, service, key, generation, csr } = question
  const tls = await requireDesired(tx, question)
  const { issuer } = tls.certificate
  switch (issuer) {
    case 'internal':
      return signInternal(context, tx, question, tls)
    case 'acme':
    case 'csr': {
      const opening = { nowMs: context.clock.now(), newId: context.newId }
      const asked = { node, tls, generation, publicKeyDigest: key.digest, csr }
      return openRequest(opening, tx, asked)
    }
    case 'files':
    case 'local-ca':
    case 'provided':
    case 'self-signed':
      throw new OperationalError(
        'issuer-not-internal',
        `the certificate of ${service} on ${node} has another issuer`,
      )
    default:
      return unreachable(issuer)
  }
}

async function signInternal(
  context: ApiContext,
  tx: Transaction,
  question: SignQuestion,
  wanted: ServerTls,
): Promise<Signed> {
  const { node, service, key } = question
  requireLifetime(wanted)
  const leaf = await leafRequest(tx, node, wanted, key)
  const issued = await tx.leaves.findByKey(node, service, key.digest)
  // The answer to the first request may have been lost.
  if (issued !== undefined && isStillWanted(issued, wanted, context.clock.now()))
    return { kind: 'issued', certificateChain: issued.certificateChain, isNew: false }
  if (issued !== undefined || (await isForeignKey(tx, question)))
    throw new OperationalError('key-reused', `the key for ${service} was used before`, {
      hint: 'Make a new key for every certificate.',
    })

  const issuer = signerFor(context, wanted)
  const nowMs = context.clock.now()
  const slot = await question.slots(tx, {
    node,
    tls: wanted,
    issuerPem: issuer.certificatePem,
    nowMs,
  })
  const { random } = context
  const { chainPem, facts } = issueLeaf(issuer, leaf, { nowMs, random, serial: slot.serial })
  assert(hasExactly(facts, wanted.certificate.names), 'the leaf has the names of the node record')
  await tx.leaves.insert(leafRecord(question, facts, chainPem, nowMs))
  await takeSlot(tx, { node, tls: wanted }, slot, facts)
  await tx.audit.append({
    atMs: nowMs,
    actor: `node:${node}`,
    action: 'certificate-issue',
    subject: `${node}/${service}/${facts.serial}`,
  })
  const { serial, fingerprint, notAfterMs } = facts
  const log = { serial, fingerprint, notAfterMs }
  return { kind: 'issued', certificateChain: chainPem, isNew: true, log }
}

async function requireDesired(tx: Transaction, question: SignQuestion): Promise<ServerTls> {
  const { node, service, generation } = question
  const state = (await tx.desired.get(node))?.state
  if (state?.generation !== generation)
    throw new OperationalError(
      'stale-generation',
      `generation ${generation} is not the current one of ${node}, which is ${state?.generation ?? 'none'}`,
    )
  const content = await meantContent(tx, state, question)
  const wanted = content.services.find(one => one.service === service)
  if (wanted === undefined)
    throw new OperationalError('service-not-desired', `no ${service} is desired on ${node}`)
  if (!isServer(wanted))
    throw new OperationalError(
      'service-without-certificate',
      `${service} on ${node} is only a client and gets no certificate`,
    )
  return wanted
}

// The compiler allows no more; a document of an older version may.
function requireLifetime({ service, certificate: { lifetimeMs } }: ServerTls): void {
  if (lifetimeMs > LIFETIME_MS_MAX)
    throw new OperationalError(
      'lifetime-too-long',
      `the certificate of ${service} would live too long`,
    )
}

async function leafRequest(
  tx: Transaction,
  node: string,
  tls: ServerTls,
  key: ProvenKey,
): Promise<LeafRequest> {
  const { certificate } = tls
  const names = normalizeNames(certificate.names, { wildcard: false })
  await requireRecorded(tx, node, names)
  return {
    profile: wantsClientUse(tls) ? 'server-client' : 'server',
    publicKeyPem: key.publicKeyPem,
    lifetimeMs: certificate.lifetimeMs,
    names,
  }
}

// What a document names signs as long as it may: with another one's certificate the node would ask again.
function signerFor({ authorities, clock }: ApiContext, { certificate }: ServerTls): CaCredential {
  const { issuer, signers } = authorities.current().service
  const named = signers.get(certificate.issuedBy ?? '')
  if (named === undefined) return issuer
  const endsAtMs = parseCertificate(named.certificatePem).validToDate.getTime()
  return endsAtMs > clock.now() ? named : issuer
}

function isStillWanted(issued: LeafRecord, tls: ServerTls, nowMs: number): boolean {
  const { certificate } = tls
  const [leaf, issuer] = splitPemCertificates(issued.certificateChain).map(parseCertificate)
  if (leaf === undefined || issuer === undefined) return false
  const { issuedBy, names, renewBeforeMs } = certificate
  return (
    issued.notAfterMs - renewBeforeMs > nowMs &&
    hasExactly(certificateFacts(leaf), names) &&
    leaf.keyUsage.includes(OID.clientAuth) === wantsClientUse(tls) &&
    (issuedBy === undefined || certificateFacts(issuer).fingerprint === issuedBy)
  )
}

function hasExactly(facts: CertificateFacts, names: ServerTls['certificate']['names']): boolean {
  const wanted = normalizeNames(names, { wildcard: false })
  return sameNames({ dns: facts.dnsNames, ip: facts.ipAddresses }, wanted)
}

// Of another node or service, or the key of an agent.
async function isForeignKey(
  tx: Transaction,
  { node, service, key }: SignQuestion,
): Promise<boolean> {
  return (
    (await tx.leaves.keyUsedByOther(node, service, key.digest)) ||
    // Others may yet certify it.
    (await tx.requests.findByAnyKey(key.digest)) !== undefined ||
    (await tx.identities.keyUsedByOther(node, key.digest)) ||
    (await tx.identities.findByKey(node, key.digest)) !== undefined
  )
}

function leafRecord(
  { node, service, key }: SignQuestion,
  facts: CertificateFacts,
  certificateChain: string,
  issuedAtMs: number,
): LeafRecord {
  const { fingerprint, serial, notBeforeMs, notAfterMs } = facts
  return {
    fingerprint,
    serial,
    node,
    service,
    publicKeyDigest: key.digest,
    certificateChain,
    notBeforeMs,
    notAfterMs,
    issuedAtMs,
  }
}
