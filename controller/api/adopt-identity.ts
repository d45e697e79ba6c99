// A controller that was restored from a backup does not know the identities that it issued after it.
// Agents renew theirs every few days, so without them every restore would end in a token for each
// node. They are known again by three things together: our CA has signed them, after the backup and
// before the restore, for a node that the backup has and has not locked.

import type { X509Certificate } from 'node:crypto'
import { BACKDATE_MS } from '../../shared/pki/certificate.ts'
import { parseCertificate } from '../../shared/pki/pem.ts'
import { lastRestoration } from '../backup/restoration.ts'
import type { IdentityRecord, Transaction } from '../store/store.ts'

export interface UnknownIdentity {
  readonly node: string
  readonly fingerprint: string
  readonly publicKeyDigest: string
  /** As TLS has verified it. */
  readonly certificate: X509Certificate
}

// A wall clock that was set a little between the two controllers must not shut nodes out.
const CLOCK_SLACK_MS = 5 * 60_000

/** Stores it as if it had been issued here; undefined: it stays unknown. */
export async function adoptIdentity(
  tx: Transaction,
  { node, fingerprint, publicKeyDigest, certificate }: UnknownIdentity,
  { issuerPem, nowMs }: { readonly issuerPem: string; readonly nowMs: number },
): Promise<IdentityRecord | undefined> {
  const restoration = await lastRestoration(tx)
  if (restoration === undefined) return undefined
  const issuedAtMs = certificate.validFromDate.getTime() + BACKDATE_MS
  // What is older and unknown was removed before; what is younger is another controller's.
  if (issuedAtMs < wholeSeconds(restoration.backupAtMs)) return undefined
  if (issuedAtMs > restoration.restoredAtMs + CLOCK_SLACK_MS) return undefined
  const issuer = parseCertificate(issuerPem)
  if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) return undefined

  const record = await tx.nodes.get(node)
  if (record === undefined || (await tx.nodes.lockOf(node)) !== undefined) return undefined
  if (await tx.identities.keyUsedByOther(node, publicKeyDigest)) return undefined
  // They are numbered as they come, so the one that was succeeded must not come after its successor.
  const latest = await tx.identities.latest(node)
  if (latest !== undefined && issuedAtMs < wholeSeconds(latest.issuedAtMs)) return undefined

  if (record.enrolledAtMs === undefined) await tx.nodes.setEnrolled(node, issuedAtMs)
  const adopted = await tx.identities.insert({
    fingerprint,
    node,
    publicKeyDigest,
    certificateChain: `${certificate.toString().trimEnd()}\n${issuerPem}`,
    notAfterMs: certificate.validToDate.getTime(),
    issuedAtMs,
    confirmedAtMs: undefined,
    deniedAtMs: undefined,
    deniedFor: undefined,
  })
  const message = `issued at ${new Date(issuedAtMs).toISOString()}, after the backup`
  await tx.audit.append({
    atMs: nowMs,
    actor: `node:${node}`,
    action: 'identity-adopt',
    subject: node,
    reason: { code: 'restored', message },
  })
  return adopted
}

// Certificates say no more.
function wholeSeconds(timeMs: number): number {
  return Math.floor(timeMs / 1000) * 1000
}
