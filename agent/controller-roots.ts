// Roots that a controller tells its agents to trust it by from now on. A list that is not what it should
// be is refused as a whole: an agent that trusts nobody, or anybody, is lost. Pure.

import { certificateFacts, isSelfSigned } from '../shared/pki/facts.ts'
import { OperationalError } from '../shared/errors.ts'
import { parseCertificate, pemOf, splitPemCertificates } from '../shared/pki/pem.ts'
import { bundleDigest } from '../shared/pki/trust.ts'
import { certificateDetails } from '../shared/pki/extensions.ts'
import { KEY_USAGE } from '../shared/pki/oids.ts'
import type { Identity } from './remote.ts'

/** One that has ended is left out: it is of no use and does no harm. Throws `roots-refused`. */
export function acceptedRoots(pems: readonly string[], nowMs: number): readonly string[] {
  const roots = pems.map(rootOf).filter(({ notAfterMs }) => notAfterMs > nowMs)
  if (roots.length === 0) throw refused('none of them is valid')
  return roots.map(({ pem }) => pem)
}

function rootOf(pem: string): { readonly pem: string; readonly notAfterMs: number } {
  try {
    const certificate = parseCertificate(pem)
    const { keyUsage } = certificateDetails(certificate)
    const maySign = keyUsage === undefined || keyUsage.bits.includes(KEY_USAGE.keyCertSign)
    if (!certificate.ca || !maySign) throw refused('one of them is not a CA certificate')
    if (!isSelfSigned(certificate)) throw refused('one of them is not a root')
    return { pem: pemOf(certificate.raw), notAfterMs: certificate.validToDate.getTime() }
  } catch (cause) {
    if (cause instanceof OperationalError && cause.code === 'roots-refused') throw cause
    throw refused('one of them is not a certificate', cause)
  }
}

function refused(why: string, cause?: unknown): OperationalError {
  return new OperationalError(
    'roots-refused',
    `could not take over the roots that the controller names: ${why}`,
    { cause },
  )
}

/** Whatever their order and spelling. */
export function sameRoots(a: readonly string[], b: readonly string[]): boolean {
  return bundleDigest(a) === bundleDigest(b)
}

/** SHA-256 of the certificate that issued an identity, as the identity's chain has it. */
export function issuerOf({ certificateChain }: Identity): string | undefined {
  const [, issuer] = splitPemCertificates(certificateChain)
  return issuer === undefined ? undefined : certificateFacts(issuer).fingerprint
}
