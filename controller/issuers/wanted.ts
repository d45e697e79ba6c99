// Whether a certificate request is still what the document of its node asks for.

import { type ServerTls, isServer, wantsClientUse } from '../../shared/contract/service.ts'
import { OperationalError } from '../../shared/errors.ts'
import {
  type CertificateNames,
  missingNames,
  normalizeNames,
  sameNames,
} from '../../shared/pki/names.ts'
import type { CertificateRequestRecord } from '../store/requests-store.ts'
import type { Transaction } from '../store/store.ts'

/** What the node's document says of the service, as long as it asks for just this. */
export async function wantedTls(
  tx: Transaction,
  request: CertificateRequestRecord,
): Promise<ServerTls | undefined> {
  const { content } = (await tx.desired.get(request.node))?.state ?? {}
  const tls = content?.services.find(one => one.service === request.service)
  return tls !== undefined && isServer(tls) && isFor(request, tls) ? tls : undefined
}

/** Does this document ask for just this? */
export function isFor(request: CertificateRequestRecord, tls: ServerTls): boolean {
  const { issuer, directory, key } = tls.certificate
  return (
    tls.tls === 'on' &&
    request.issuer === issuer &&
    request.directory === directory &&
    request.keyType === key &&
    request.clientUse === wantsClientUse(tls) &&
    sameNames(request.names, wantedNames(tls))
  )
}

export function wantedNames(tls: ServerTls): CertificateNames {
  return normalizeNames(tls.certificate.names, { wildcard: false })
}

/** Issued names are those of the document, every one of which the node record must have today. */
export async function requireRecorded(
  tx: Transaction,
  node: string,
  names: CertificateNames,
): Promise<void> {
  const record = await tx.nodes.get(node)
  const recorded = normalizeNames(record?.names ?? { dns: [], ip: [] }, { wildcard: false })
  const missing = missingNames(recorded, names)
  if (missing.length > 0)
    throw new OperationalError(
      'names-not-recorded',
      `${missing.join(', ')} is not recorded for ${node}`,
    )
}

/** How people name a request. */
export function shortId(id: string): string {
  return id.slice(0, 8)
}
