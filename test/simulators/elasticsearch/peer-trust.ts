// Whether a certificate of the other side is trusted. By hand, not by OpenSSL: given the trusted ones,
// that would add them to the own chain where the file has none, and Java does not.

import { X509Certificate } from 'node:crypto'
import { checkServerIdentity, type TLSSocket } from 'node:tls'

export interface PeerTrust {
  /** PEM; undefined: everybody is trusted. */
  readonly trusted: readonly string[] | undefined
  readonly usage: 'serverAuth' | 'clientAuth'
  /** Undefined: the name does not matter. */
  readonly host?: string
  /** There may be none. */
  readonly optional?: boolean
  readonly nowMs: number
}

const USAGES = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const
const DEPTH_MAX = 10

/** Why not; undefined: it is trusted. Once a socket: of a client's chain Node gives only the leaf the second time. */
export function refusePeer(socket: TLSSocket, trust: PeerTrust): string | undefined {
  const leaf = socket.getPeerX509Certificate()
  if (leaf === undefined) return trust.optional === true ? undefined : 'Empty certificate chain'
  if (trust.trusted === undefined) return undefined
  if (trust.host !== undefined) {
    const mismatch = checkServerIdentity(trust.host, socket.getPeerCertificate())
    if (mismatch !== undefined) return mismatch.message
  }
  return refuseChain(leaf, sentWith(leaf), trust)
}

function refuseChain(
  leaf: X509Certificate,
  sent: readonly X509Certificate[],
  { trusted = [], usage, nowMs }: PeerTrust,
): string | undefined {
  const usages = leaf.keyUsage
  if (usages !== undefined && !usages.includes(USAGES[usage])) {
    return `Extended key usage does not permit use for TLS ${usage}`
  }
  const anchors = trusted.map(pem => new X509Certificate(pem))
  let last = leaf
  for (let depth = 0; depth < DEPTH_MAX; depth++) {
    if (nowMs < last.validFromDate.getTime() || nowMs > last.validToDate.getTime()) {
      return 'PKIX path validation failed: validity check failed'
    }
    if (anchors.some(({ raw }) => raw.equals(last.raw))) return undefined
    const anchor = anchors.find(one => isIssuer(one, last))
    if (anchor !== undefined) return undefined
    const next = sent.find(one => one.ca && isIssuer(one, last) && !one.raw.equals(last.raw))
    if (next === undefined) break
    last = next
  }
  return 'PKIX path building failed: unable to find valid certification path to requested target'
}

function isIssuer(issuer: X509Certificate, of: X509Certificate): boolean {
  return of.checkIssued(issuer) && of.verify(issuer.publicKey)
}

function sentWith(leaf: X509Certificate): readonly X509Certificate[] {
  const sent: X509Certificate[] = []
  for (let next = leaf.issuerCertificate; next !== undefined; next = next.issuerCertificate) {
    if (sent.length >= DEPTH_MAX) break
    sent.push(next)
  }
  return sent
}
