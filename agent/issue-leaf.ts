// Has a leaf made by its issuer: by the controller, or here. Loaded when one is wanted: what builds and
// signs certificates is nothing that a converged node needs.

import { unreachable } from '../shared/assert.ts'
import type { CertificateSpec, ServiceName } from '../shared/contract/service.ts'
import { OperationalError } from '../shared/errors.ts'
import { buildCertificate, buildSelfSigned, validity } from '../shared/pki/certificate.ts'
import { certificateFacts } from '../shared/pki/facts.ts'
import { type KeyPair, parsePrivateKey, parsePublicKey } from '../shared/pki/keys.ts'
import { normalizeNames } from '../shared/pki/names.ts'
import { splitPemCertificates } from '../shared/pki/pem.ts'
import type { CertificateProfile } from '../shared/pki/profile.ts'
import { serialNumber } from '../shared/pki/random.ts'
import { Secret } from '../shared/secret.ts'
import { certificateRequest } from './certificate-request.ts'
import type { Host } from './host.ts'
import { type LocalIssuers, noLocalCa, readPair, type SignInternal } from './issuers.ts'

export interface IssueRequest {
  readonly service: ServiceName
  readonly spec: CertificateSpec
  readonly clientUse: boolean
  readonly keys: KeyPair
  readonly nowMs: number
}

/** Leaf and intermediates as PEM. Issuer `files` is not asked: its pair is taken over as it is. */
export async function issueLeaf(
  host: Host,
  issuers: LocalIssuers,
  signInternal: SignInternal | undefined,
  request: IssueRequest,
): Promise<string> {
  const { spec, service, keys } = request
  switch (spec.issuer) {
    case 'internal':
      return requireController(signInternal, request)({ service, keys })
    case 'acme':
    case 'csr': {
      const sign = requireController(signInternal, request)
      return sign({ service, keys, csr: certificateRequest(spec, request.clientUse, keys) })
    }
    case 'self-signed':
      return selfSigned(host, request)
    case 'local-ca':
      return locallyIssued(host, issuers, request)
    case 'files':
      throw new OperationalError(
        'issuer-unavailable',
        'a pair placed by another tool cannot be issued',
      )
    case 'provided':
      throw new OperationalError(
        'issuer-unavailable',
        `could not get a certificate for ${service}: issuer "${spec.issuer}" needs a controller`,
      )
    default:
      return unreachable(spec.issuer)
  }
}

function requireController(
  signInternal: SignInternal | undefined,
  { service, spec }: IssueRequest,
): SignInternal {
  if (signInternal !== undefined) return signInternal
  throw new OperationalError(
    'issuer-unavailable',
    `could not get a certificate for ${service}: issuer "${spec.issuer}" needs a controller`,
    { hint: 'use issuer self-signed, local-ca or files without a controller' },
  )
}

function profileOf({ spec, clientUse }: IssueRequest): CertificateProfile {
  return {
    kind: 'server',
    names: normalizeNames(spec.names, { wildcard: true }),
    clientAuth: clientUse,
  }
}

function selfSigned(host: Host, request: IssueRequest): string {
  const { spec, keys, nowMs } = request
  const dates = validity({
    nowMs,
    lifetimeMs: spec.lifetimeMs,
    issuerNotAfterMs: Number.MAX_SAFE_INTEGER,
  })
  return buildSelfSigned({
    subject: { commonName: commonName(spec) },
    serial: serialNumber(host.random),
    ...dates,
    profile: profileOf(request),
    key: parsePrivateKey(keys.privateKeyPem),
  })
}

async function locallyIssued(
  host: Host,
  issuers: LocalIssuers,
  request: IssueRequest,
): Promise<string> {
  const { spec, keys, nowMs, service } = request
  if (issuers.localCa === undefined) throw noLocalCa(service)
  const { chain, key } = await readPair(host, issuers.localCa)
  const certificates = splitPemCertificates(Buffer.from(chain).toString('utf8'))
  const ca = certificates[0]
  if (ca === undefined)
    throw new OperationalError(
      'certificate-unparsable',
      `could not find a certificate in ${issuers.localCa.certificate}`,
    )
  const facts = certificateFacts(ca)
  const dates = validity({ nowMs, lifetimeMs: spec.lifetimeMs, issuerNotAfterMs: facts.notAfterMs })
  const leaf = buildCertificate({
    subject: { commonName: commonName(spec) },
    serial: serialNumber(host.random),
    ...dates,
    profile: profileOf(request),
    subjectPublicKey: parsePublicKey(keys.publicKeyPem),
    issuer: {
      certificatePem: ca,
      key: parsePrivateKey(new Secret(Buffer.from(key).toString('utf8'))),
    },
  })
  // A root at the end of a chain is useless to clients, intermediates are not.
  return [leaf, ...(facts.selfSigned ? [] : certificates)].join('')
}

// For people only; every client looks at the alternative names.
function commonName(spec: CertificateSpec): string {
  return (spec.names.dns[0] ?? spec.names.ip[0] ?? 'tlsfleet').slice(0, 64)
}
