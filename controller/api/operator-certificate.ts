// Client certificates of operators: from a CA that the operator runs, and never from one of ours. TLS says
// whether the chain holds; who it is, and what that person may do, the record in the store says.

import { TLSSocket } from 'node:tls'
import type { FastifyRequest } from 'fastify'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import { certificateDetails } from '../../shared/pki/extensions.ts'
import { OID } from '../../shared/pki/oids.ts'

/**
 * For a listener that takes tokens too: whoever has no certificate, or a bad one, is let through TLS, and
 * `presentedCertificate` judges. `ca`: PEM; an intermediate is enough.
 */
export function optionalCertificates(ca: readonly string[]) {
  return {
    requestCert: true,
    rejectUnauthorized: false,
    ca: [...ca],
    allowPartialTrustChain: true,
  }
}

export interface PresentedCertificate {
  /** SHA-256 of the DER. */
  readonly fingerprint: string
  /** Lower-case hex without leading zeros. */
  readonly serial: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** URIs and mail addresses; mail addresses in lower case. */
  readonly names: readonly string[]
}

/**
 * Undefined when the connection has none. Throws `unauthenticated` for one that does not hold: an unknown CA,
 * not for clients, unreadable. Its dates are for the caller to judge: a connection outlives them.
 */
export function presentedCertificate({ raw }: FastifyRequest): PresentedCertificate | undefined {
  const { socket } = raw
  if (!(socket instanceof TLSSocket)) return undefined
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return undefined
  if (!socket.authorized) throw refusedCertificate(whyNot(String(socket.authorizationError)))
  const { names, extendedKeyUsage = [] } = detailsOf(certificate)
  if (certificate.ca || !extendedKeyUsage.includes(OID.clientAuth))
    throw refusedCertificate('it is not for clients')
  return {
    fingerprint: sha256(certificate.raw),
    serial: normalizeSerial(certificate.serialNumber),
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
    names: [...(names?.uris ?? []), ...(names?.mailAddresses ?? [])].map(normalizeCertificateName),
  }
}

function detailsOf(certificate: Parameters<typeof certificateDetails>[0]) {
  try {
    return certificateDetails(certificate)
  } catch (cause) {
    // OpenSSL has accepted what our stricter reader does not.
    if (cause instanceof OperationalError) throw refusedCertificate('it is not well-formed')
    throw cause
  }
}

function whyNot(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return 'it, or a CA of its chain, has expired'
  if (code === 'CERT_NOT_YET_VALID') return 'it is not valid yet'
  return 'it is not from the CA of operators'
}

/** URIs are compared as they are; mail addresses without regard to case. */
export function normalizeCertificateName(name: string): string {
  return name.includes('@') && !name.includes('/') ? name.toLowerCase() : name
}

/** As OpenSSL, browsers and people write it: colons, upper case, leading zeros. */
export function normalizeSerial(serial: string): string {
  const digits = serial.replaceAll(':', '').toLowerCase().replace(/^0+/, '')
  return digits === '' ? '0' : digits
}

export function refusedCertificate(why: string): OperationalError {
  const message = `the client certificate is not accepted: ${why}`
  return new OperationalError('certificate-not-accepted', message, {
    hint: 'It must be from the CA that [operators] clientCa of the controller names, and carry a name of an operator.',
  })
}
