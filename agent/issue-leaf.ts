// Has a leaf made by its issuer: by the controller, or here. What builds and signs certificates is loaded
// when one is to be built: a node whose certificates come from the controller never needs it.

import { unreachable } from '../shared/assert.ts'
import type { CertificateSpec, ServiceName } from '../shared/contract/service.ts'
import { OperationalError } from '../shared/errors.ts'
import type { KeyPair } from '../shared/pki/keys.ts'
import type { Host } from './host.ts'
import type { LocalIssuers, SignInternal } from './issuers.ts'

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
      const { certificateRequest } = await import('./certificate-request.ts')
      return sign({ service, keys, csr: certificateRequest(spec, request.clientUse, keys) })
    }
    case 'self-signed':
      return (await import('./locally-issued.ts')).selfSigned(host, request)
    case 'local-ca':
      return (await import('./locally-issued.ts')).locallyIssued(host, issuers, request)
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
