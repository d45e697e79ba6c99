// Reads what the inventory of certificates is worked out from.

import type { CertificateView } from '../../shared/contract/certificates.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import type { Generation } from '../authorities.ts'
import { intermediatesOf } from '../ca/generations.ts'
import { authorityCertificates, type OwnAuthority } from '../certificates/authorities.ts'
import { groupClients } from '../certificates/clients.ts'
import type { InventoryNode, Surroundings } from '../certificates/inventory.ts'
import type { NodeRecord, Transaction } from '../store/store.ts'
import type { ApiContext } from './context.ts'
import type { NodeSummary } from './fleet-summaries.ts'

type Fleet = ReadonlyMap<string, NodeSummary>

export async function inventoryNode(
  tx: Transaction,
  record: NodeRecord,
  known: Pick<ApiContext, 'presence'> & Pick<InventoryNode, 'desired' | 'report'>,
): Promise<InventoryNode> {
  const { name, enrolledAtMs, seenAtMs } = record
  const { presence, desired, report } = known
  const heard = { node: name, seenAtMs }
  const isEnrolled = enrolledAtMs !== undefined
  return {
    node: name,
    presence: {
      isEnrolled,
      isOnline: isEnrolled && presence.isOnline(heard),
      seenAtMs: presence.seenAtMs(heard),
      lock: (await tx.nodes.lockOf(name))?.reason,
    },
    desired,
    report,
    leaves: await tx.leaves.listByNode(name),
    identity: await tx.identities.latest(name),
  }
}

export function surroundingsOf(
  { authorities, clock }: Pick<ApiContext, 'authorities' | 'clock'>,
  fleet: Fleet,
  isControllerDown: boolean,
): Surroundings {
  const { service, identity } = authorities.current()
  const signer = certificateFacts(service.issuer.certificatePem)
  const issuers = service.all.flatMap(intermediatesOf)
  return {
    nowMs: clock.now(),
    serviceCaEndsAtMs: signer.notAfterMs,
    identityCaEndsAtMs: certificateFacts(identity.issuer.certificatePem).notAfterMs,
    isControllerDown,
    serviceIssuers: new Set(issuers.map(pem => certificateFacts(pem).fingerprint)),
    groups: groupClients([...fleet].map(([node, { summary }]) => ({ node, summary }))),
  }
}

/** Ours, and those of others that the fleet is told to trust. */
export function ownAuthorities(
  { authorities }: Pick<ApiContext, 'authorities'>,
  fleet: Fleet,
  surroundings: Surroundings,
): readonly CertificateView[] {
  const { service, identity } = authorities.current()
  const own = [...identity.all, ...service.all].flatMap(certificatesOf)
  const summaries = [...fleet.values()].map(({ summary }) => summary)
  return authorityCertificates(own, summaries, surroundings)
}

// What is denied is nobody's concern any more, unless somebody still trusts it: then it is listed so.
function certificatesOf(generation: Generation): readonly OwnAuthority[] {
  const { id, kind, state, rootCertificate, intermediateCertificate } = generation
  if (state === 'denied') return []
  const authority = { id, state }
  return [
    { ...certificateFacts(rootCertificate), role: `${kind}-root`, authority },
    { ...certificateFacts(intermediateCertificate), role: `${kind}-intermediate`, authority },
  ]
}
