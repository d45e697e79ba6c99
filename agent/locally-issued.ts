// Leaves that this node makes itself: self-signed ones, and those of a CA that lies on it.

import type { CertificateSpec } from '../shared/contract/service.ts'
import { OperationalError } from '../shared/errors.ts'
import { buildCertificate, buildSelfSigned, validity } from '../shared/pki/certificate.ts'
import { certificateFacts } from '../shared/pki/facts.ts'
import { parsePrivateKey, parsePublicKey } from '../shared/pki/keys.ts'
import { normalizeNames } from '../shared/pki/names.ts'
import { splitPemCertificates } from '../shared/pki/pem.ts'
import type { CertificateProfile } from '../shared/pki/profile.ts'
import { serialNumber } from '../shared/pki/random.ts'
import { Secret } from '../shared/secret.ts'
import type { Host } from './host.ts'
import type { IssueRequest } from './issue-leaf.ts'
import { type LocalIssuers, noLocalCa, readPair } from './issuers.ts'

function profileOf({ spec, clientUse }: IssueRequest): CertificateProfile {
  return {
    kind: 'server',
    names: normalizeNames(spec.names, { wildcard: true }),
    clientAuth: clientUse,
  }
}

export function selfSigned(host: Host, request: IssueRequest): string {
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

export async function locallyIssued(
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
