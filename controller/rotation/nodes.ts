// The nodes of the fleet as a rotation sees them, read from the store in one transaction.

import { splitPemCertificates } from '../../shared/pki/pem.ts'
import { spkiPin } from '../../shared/pki/pin.ts'
import { isServer, type ServiceName } from '../../shared/contract/service.ts'
import { intermediatesOf } from '../ca/generations.ts'
import { fingerprintsOf } from '../fleet/closure.ts'
import type {
  AuthorityRecord,
  EnrollmentTokenRecord,
  LeafRecord,
  NodeRecord,
  Transaction,
} from '../store/store.ts'
import type { CaSet, RotationNode } from './barriers.ts'
import type { RotationsContext } from './context.ts'
import { type CompiledNodes, isOfCa } from './worlds.ts'

export interface Reading {
  readonly targets: CompiledNodes
  readonly involved: ReadonlySet<string>
  /** Fingerprints of everything that this rotation is about, for nodes that no entry selects. */
  readonly concerned: ReadonlySet<string>
  readonly left: (service: ServiceName) => CaSet
  /** Identity CAs: the one that is left, the one that is to sign. Undefined for services. */
  readonly identity:
    | { readonly left: AuthorityRecord; readonly signer: AuthorityRecord }
    | undefined
}

const PAGE = 500

export async function allNodeRecords(tx: Transaction): Promise<readonly NodeRecord[]> {
  const nodes: NodeRecord[] = []
  for (;;) {
    const after = nodes.at(-1)?.name
    const page = await tx.nodes.list({ ...(after === undefined ? {} : { after }), limit: PAGE })
    nodes.push(...page)
    if (page.length < PAGE) return nodes
  }
}

export async function readNodes(
  { isOnline, clock }: Pick<RotationsContext, 'isOnline' | 'clock'>,
  tx: Transaction,
  records: readonly NodeRecord[],
  reading: Reading,
): Promise<readonly RotationNode[]> {
  const targets = new Map(reading.targets.map(({ node, digest }) => [node, digest]))
  const nowMs = clock.now()
  const tokens =
    reading.identity === undefined
      ? []
      : tokensOf(await tx.tokens.outstanding(nowMs), reading.identity.left)
  const nodes: RotationNode[] = []
  for (const { name, enrolledAtMs, seenAtMs } of records) {
    const desired = (await tx.desired.get(name))?.state
    const target = targets.get(name)
    nodes.push({
      node: name,
      isEnrolled: enrolledAtMs !== undefined,
      isOnline: enrolledAtMs !== undefined && isOnline({ node: name, seenAtMs }),
      desired,
      target,
      isInvolved:
        target === undefined
          ? mentions(desired?.content, reading.concerned)
          : reading.involved.has(name) || mentions(desired?.content, reading.concerned),
      report: (await tx.reports.get(name))?.report,
      leaves:
        reading.identity === undefined
          ? newestLeaves(await tx.leaves.listByNode(name), reading.left, nowMs)
          : [],
      identity: await readIdentity(tx, name, reading.identity?.signer),
      tokensUntilMs: tokens
        .filter(({ node }) => node === name)
        .map(({ expiresAtMs }) => expiresAtMs),
    })
  }
  return nodes
}

async function readIdentity(
  tx: Transaction,
  node: string,
  signer: AuthorityRecord | undefined,
): Promise<RotationNode['identity']> {
  if (signer === undefined) return undefined
  const newest = await tx.identities.newestConfirmed(node)
  if (newest === undefined || newest.deniedAtMs !== undefined) return undefined
  const issuers = fingerprintsOf(intermediatesOf(signer))
  return { isOfSigner: isIssuedBy(newest.certificateChain, issuers) }
}

// Those of before tokens named a root name the first one.
function tokensOf(
  tokens: readonly EnrollmentTokenRecord[],
  { id, rootCertificate }: AuthorityRecord,
): readonly EnrollmentTokenRecord[] {
  const pin = spkiPin(rootCertificate)
  return tokens.filter(token =>
    token.pin === undefined ? id === FIRST_IDENTITY_CA : token.pin === pin,
  )
}

const FIRST_IDENTITY_CA = 'identity-1'

function newestLeaves(
  leaves: readonly LeafRecord[],
  left: Reading['left'],
  nowMs: number,
): RotationNode['leaves'] {
  const newest = new Map<ServiceName, LeafRecord>()
  for (const leaf of leaves) {
    const other = newest.get(leaf.service)
    if (leaf.notAfterMs > nowMs && (other === undefined || other.issuedAtMs <= leaf.issuedAtMs))
      newest.set(leaf.service, leaf)
  }
  return [...newest.values()].map(({ service, fingerprint, notAfterMs, certificateChain }) => ({
    service,
    fingerprint,
    notAfterMs,
    isOfLeft: isOfCa(certificateChain, left(service)),
  }))
}

/** By the certificate above the leaf, as we made the chain. */
function isIssuedBy(chain: string, issuers: ReadonlySet<string>): boolean {
  const above = splitPemCertificates(chain)[1]
  return above !== undefined && [...fingerprintsOf([above])].some(one => issuers.has(one))
}

function mentions(
  content: NonNullable<RotationNode['desired']>['content'] | undefined,
  concerned: ReadonlySet<string>,
): boolean {
  return (content?.services ?? []).some(tls => {
    const pems = isServer(tls) ? [...tls.upstreamTrust, ...tls.trust] : tls.upstreamTrust
    const issuedBy = isServer(tls) ? tls.certificate.issuedBy : undefined
    return (
      (issuedBy !== undefined && concerned.has(issuedBy)) ||
      [...fingerprintsOf(pems)].some(one => concerned.has(one))
    )
  })
}
