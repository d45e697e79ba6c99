// Who passes for a controller of our fleet, once TLS has verified the chain up to the identity root.
// A certificate of a node does not.

import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { OperationalError } from '../../shared/errors.ts'
import { identityOf } from '../../shared/pki/identity.ts'
import type { Identity } from '../remote.ts'

/** Undefined: it is a controller of our fleet, at this address. */
export function refuseOther(
  host: string,
  certificate: X509Certificate,
  { fleet }: Pick<Identity, 'fleet'>,
): Error | undefined {
  const matches =
    isIP(host) === 0
      ? certificate.checkHost(host, { subject: 'never', partialWildcards: false })
      : certificate.checkIP(host)
  if (matches === undefined) return notTrusted(`its certificate is not for ${host}`)
  const owner = identityOf(certificate)
  if (owner?.kind !== 'controller' || owner.fleet !== fleet)
    return notTrusted(`its certificate is not that of a controller of the fleet ${fleet}`)
  return undefined
}

export function notTrusted(why: string, cause?: unknown): OperationalError {
  return new OperationalError('controller-unreachable', `controller is not trusted: ${why}`, {
    retryable: true,
    details: { reason: 'controller-not-trusted' },
    cause,
  })
}

/** Of errors of a handshake: it is about the other side's certificate. */
export function isUntrustedCode(code: string): boolean {
  return /^(CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|INVALID_(CA|PURPOSE)|PATH_LENGTH)/.test(code)
}
