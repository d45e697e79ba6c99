// POST sign: a leaf for one service of the caller's node. The request brings a key and a proof; all
// else comes from the node's desired state and from its record.

import { assert } from '../../../shared/assert.ts'
import { type SignAnswer, SignRequest } from '../../../shared/contract/agent-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import type { ServiceTls } from '../../../shared/contract/service.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { missingNames, normalizeNames, sameNames } from '../../../shared/pki/names.ts'
import { OID } from '../../../shared/pki/oids.ts'
import { parseCertificate, splitPemCertificates } from '../../../shared/pki/pem.ts'
import { certificateFacts, type CertificateFacts } from '../../../shared/pki/facts.ts'
import { issueLeaf, type LeafRequest } from '../../ca/authority.ts'
import { INTERNAL_LIFETIME_MS_MAX } from '../../fleet/intent.ts'
import type { LeafRecord, Transaction } from '../../store/store.ts'
import { agentOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { type ProvenKey, requireProof } from './identity.ts'
import { SIGN_BODY_BYTES_MAX, type SignLimit } from './sign-limit.ts'

export function signRoute(app: App, context: ApiContext, limit: SignLimit): void {
  app.post(
    AGENT_ROUTES.sign,
    {
      config: { policy: { kind: 'agent' } },
      bodyLimit: SIGN_BODY_BYTES_MAX,
      schema: { body: SignRequest },
    },
    async (request): Promise<SignAnswer> => {
      const { node } = agentOf(request)
      limit.take(node)
      const { service } = request.body
      const key = requireProof({ purpose: 'sign', context: [node, service] }, request.body)
      const signed = await context.store.transaction(tx =>
        sign(context, tx, { node, key, generation: request.body.generation, service }),
      )
      if (signed.isNew) context.log.info({ node, service, ...signed.log }, 'certificate issued')
      return { certificateChain: signed.certificateChain }
    },
  )
}

interface SignQuestion {
  readonly node: string
  readonly service: ServiceTls['service']
  readonly generation: number
  readonly key: ProvenKey
}

interface Signed {
  readonly certificateChain: string
  readonly isNew: boolean
  readonly log?: object
}

async function sign(context: ApiContext, tx: Transaction, question: SignQuestion): Promise<Signed> {
  const { node, service, key } = question
  const wanted = await requireDesired(tx, question)
  const leaf = await leafRequest(tx, node, wanted, key)
  const issued = await tx.leaves.findByKey(node, service, key.digest)
  // The answer to the first request may have been lost.
  if (issued !== undefined && isStillWanted(issued, wanted, context.clock.now()))
    return { certificateChain: issued.certificateChain, isNew: false }
  if (issued !== undefined || (await isForeignKey(tx, question)))
    throw new OperationalError('key-reused', `the key for ${service} was used before`, {
      hint: 'Make a new key for every certificate.',
    })

  const { issuer } = context.authorities.service
  const nowMs = context.clock.now()
  const { chainPem, facts } = issueLeaf(issuer, leaf, { nowMs, random: context.random })
  assert(hasExactly(facts, wanted.certificate.names), 'the leaf has the names of the node record')
  await tx.leaves.insert(leafRecord(question, facts, chainPem, nowMs))
  await tx.audit.append({
    atMs: nowMs,
    actor: `node:${node}`,
    action: 'certificate-issue',
    subject: `${node}/${service}/${facts.serial}`,
  })
  const { serial, fingerprint, notAfterMs } = facts
  return { certificateChain: chainPem, isNew: true, log: { serial, fingerprint, notAfterMs } }
}

async function requireDesired(tx: Transaction, question: SignQuestion): Promise<ServiceTls> {
  const { node, service, generation } = question
  const state = (await tx.desired.get(node))?.state
  if (state?.generation !== generation)
    throw new OperationalError(
      'stale-generation',
      `generation ${generation} is not the current one of ${node}, which is ${state?.generation ?? 'none'}`,
    )
  const wanted = state.content.services.find(one => one.service === service)
  if (wanted === undefined)
    throw new OperationalError('service-not-desired', `no ${service} is desired on ${node}`)
  if (wanted.certificate.issuer !== 'internal')
    throw new OperationalError(
      'issuer-not-internal',
      `the certificate of ${service} on ${node} has another issuer`,
    )
  // The compiler allows no more; a document of an older version may.
  if (wanted.certificate.lifetimeMs > INTERNAL_LIFETIME_MS_MAX)
    throw new OperationalError(
      'lifetime-too-long',
      `the certificate of ${service} would live too long`,
    )
  return wanted
}

/** Names are those of the document, every one of which the node record must have today. */
async function leafRequest(
  tx: Transaction,
  node: string,
  { certificate, clientAuth }: ServiceTls,
  key: ProvenKey,
): Promise<LeafRequest> {
  const record = await tx.nodes.get(node)
  const recorded = normalizeNames(record?.names ?? { dns: [], ip: [] }, { wildcard: false })
  const names = normalizeNames(certificate.names, { wildcard: false })
  const missing = missingNames(recorded, names)
  if (missing.length > 0)
    throw new OperationalError(
      'names-not-recorded',
      `${missing.join(', ')} is not recorded for ${node}`,
    )
  return {
    profile: needsClientUse(clientAuth) ? 'server-client' : 'server',
    publicKeyPem: key.publicKeyPem,
    lifetimeMs: certificate.lifetimeMs,
    names,
  }
}

function isStillWanted(
  issued: LeafRecord,
  { certificate, clientAuth }: ServiceTls,
  nowMs: number,
): boolean {
  const [leaf, issuer] = splitPemCertificates(issued.certificateChain).map(parseCertificate)
  if (leaf === undefined || issuer === undefined) return false
  const { issuedBy, names, renewBeforeMs } = certificate
  return (
    issued.notAfterMs - renewBeforeMs > nowMs &&
    hasExactly(certificateFacts(leaf), names) &&
    leaf.keyUsage.includes(OID.clientAuth) === needsClientUse(clientAuth) &&
    (issuedBy === undefined || certificateFacts(issuer).fingerprint === issuedBy)
  )
}

function hasExactly(facts: CertificateFacts, names: ServiceTls['certificate']['names']): boolean {
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

// Only where certificates are demanded from every client does the service's own probe need one.
function needsClientUse(clientAuth: ServiceTls['clientAuth']): boolean {
  return clientAuth === 'required'
}
