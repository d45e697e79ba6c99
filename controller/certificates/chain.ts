// The little that the inventory needs of a certificate that the controller has. It is asked of every
// node, and all facts of a certificate take five times as long.

import { sha256 } from '../../shared/digest.ts'
import { parseCertificate, splitPemCertificates } from '../../shared/pki/pem.ts'

export interface ChainCertificate {
  readonly fingerprint: string
  /** As in `CertificateFacts`, so that names can be compared with those of reports. */
  readonly subject: string
  readonly issuer: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly isCa: boolean
}

export function chainOf(pem: string): readonly ChainCertificate[] {
  return splitPemCertificates(pem).map(one => {
    const certificate = parseCertificate(one)
    return {
      fingerprint: sha256(certificate.raw),
      subject: oneLine(certificate.subject),
      issuer: oneLine(certificate.issuer),
      notBeforeMs: certificate.validFromDate.getTime(),
      notAfterMs: certificate.validToDate.getTime(),
      isCa: certificate.ca,
    }
  })
}

function oneLine(name: string | undefined): string {
  return (name ?? '').replaceAll('\n', ', ')
}
