// Uploaded pairs between store and fleet: what a spec can select, who has which version by the
// documents that were published, and which versions nobody needs any more.

import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import type { ProvidedUse } from '../../shared/contract/provided.ts'
import { isServer, type ServiceName } from '../../shared/contract/service.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { OID } from '../../shared/pki/oids.ts'
import { parseCertificate, splitPemCertificates } from '../../shared/pki/pem.ts'
import { standingOf } from '../certificates/provided-pair.ts'
import type { FleetSpec } from '../fleet/intent.ts'
import { NO_PAIRS, type ProvidedPair, type ProvidedPairs } from '../fleet/provided.ts'
import { parseFleetSpec } from '../fleet/spec.ts'
import { matches } from '../fleet/selector.ts'
import type { DesiredHead, NodeRecord, ProvidedRecord, Transaction } from '../store/store.ts'
import type { ApiContext } from './context.ts'
import { plannedNodes } from '../rollout/steps.ts'

/** What is wanted of a pair: a name, a leaf. */
interface Selected {
  readonly service: ServiceName
  readonly name: string
  readonly fingerprint: string
}

/** A service of a node, with the pair that it has or is to have. */
export type PairUse = ProvidedUse & { readonly name: string }

/** The current versions, for compiling a spec. */
export async function pairsFor(
  { publicRoots, clock }: Pick<ApiContext, 'publicRoots' | 'clock'>,
  tx: Transaction,
  spec: FleetSpec,
): Promise<ProvidedPairs> {
  // Judging chains costs time that other specs need not spend.
  if (!spec.services.some(({ server }) => server?.issuer === 'provided')) return NO_PAIRS
  const records = currentOf(await tx.provided.list())
  return new Map(
    records.map(record => {
      const { problems } = standingOf(record, publicRoots, clock.now())
      return [record.name, { ...described(record), problem: problems[0] }]
    }),
  )
}

function described(record: ProvidedRecord): Omit<ProvidedPair, 'problem'> {
  const { name, fingerprint, certificateChain } = record
  const leaf = parseCertificate(splitPemCertificates(certificateChain)[0] ?? certificateChain)
  const { dnsNames, ipAddresses } = certificateFacts(leaf)
  // Undefined without that extension, which then allows everything.
  const purposes: readonly string[] | undefined = leaf.keyUsage
  return {
    name,
    fingerprint,
    certificateChain,
    names: { dns: [...dnsNames], ip: [...ipAddresses] },
    clientUse:
      purposes === undefined ||
      purposes.some(one => one === OID.clientAuth || one === OID.anyExtendedKeyUsage),
  }
}

/** Of a list with the current version of each name first. */
export function currentOf(records: readonly ProvidedRecord[]): readonly ProvidedRecord[] {
  return records.filter((one, index) => records[index - 1]?.name !== one.name)
}

export interface PublishedUses {
  /** By the current documents, in the order of nodes. */
  read(tx: Transaction): Promise<readonly PairUse[]>
}

const HEADS_PAGE = 1_000

/** Remembers what each content selects: contents are large and seldom change. */
export function createPublishedUses(): PublishedUses {
  let known: ReadonlyMap<string, readonly Selected[]> = new Map()

  return {
    async read(tx) {
      const seen = new Map<string, readonly Selected[]>()
      const uses: PairUse[] = []
      for (const { node, contentDigest } of await allHeads(tx)) {
        const selected =
          seen.get(contentDigest) ??
          known.get(contentDigest) ??
          selectedBy((await tx.desired.published(node, contentDigest))?.content)
        seen.set(contentDigest, selected)
        uses.push(...selected.map(one => ({ node, ...one })))
      }
      known = seen
      return uses
    },
  }
}

async function allHeads(tx: Transaction): Promise<readonly DesiredHead[]> {
  const heads: DesiredHead[] = []
  for (;;) {
    const after = heads.at(-1)?.node
    const page = { ...(after === undefined ? {} : { after }), limit: HEADS_PAGE }
    const found = await tx.desired.heads(page)
    heads.push(...found)
    if (found.length < HEADS_PAGE) return heads
  }
}

function selectedBy(content: DesiredContent | undefined): readonly Selected[] {
  return (content?.services ?? []).filter(isServer).flatMap(({ service, certificate }) => {
    const { issuer, provided } = certificate
    return issuer === 'provided' && provided !== undefined ? [{ service, ...provided }] : []
  })
}

/** What a rollout under way may still publish, also where it takes nodes back. */
export async function rolloutUses(tx: Transaction): Promise<readonly PairUse[]> {
  const uses: PairUse[] = []
  for (const { plan } of await tx.rollouts.active())
    for (const { node, from, content } of plannedNodes(plan)) {
      const before = from === undefined ? undefined : await tx.desired.published(node, from)
      const selected = [...selectedBy(before?.content), ...selectedBy(content)]
      uses.push(...selected.map(one => ({ node, ...one })))
    }
  return uses
}

/** Nodes that the latest accepted spec gives this pair, whether or not they have it yet. */
export async function selectedByRevision(
  tx: Transaction,
  name: string,
): Promise<{ readonly isNamed: boolean; readonly nodes: readonly string[] }> {
  const latest = await tx.revisions.latest()
  const parsed = latest === undefined ? undefined : parseFleetSpec(latest.text)
  if (parsed?.kind !== 'ok') return { isNamed: false, nodes: [] }
  const intents = parsed.spec.services.filter(({ server }) => server?.provided === name)
  if (intents.length === 0) return { isNamed: false, nodes: [] }
  const nodes = (await allNodes(tx)).filter(node =>
    intents.some(intent => matches(node, intent.nodes)),
  )
  return { isNamed: true, nodes: nodes.map(node => node.name) }
}

const NODES_PAGE = 500

export async function allNodes(tx: Transaction): Promise<readonly NodeRecord[]> {
  const nodes: NodeRecord[] = []
  for (;;) {
    const after = nodes.at(-1)?.name
    const page = { ...(after === undefined ? {} : { after }), limit: NODES_PAGE }
    const found = await tx.nodes.list(page)
    nodes.push(...found)
    if (found.length < NODES_PAGE) return nodes
  }
}

// A spec may just have been compiled with the version that was current then.
const KEPT_MS = 3_600_000

/** Forgets previous versions that nobody has and no rollout can bring back. Gives how many. */
export async function forgetOldPairs(
  tx: Transaction,
  published: PublishedUses,
  nowMs: number,
): Promise<number> {
  const records = await tx.provided.list()
  const old = records.filter((record, index) => {
    const next = records[index - 1]
    return next?.name === record.name && next.uploadedAtMs + KEPT_MS <= nowMs
  })
  // Most of the time there is nothing to ask for.
  if (old.length === 0 || (await tx.rollouts.active()).length > 0) return 0
  const used = new Set((await published.read(tx)).map(idOf))
  const unused = old.filter(record => !used.has(idOf(record)))
  for (const { name, fingerprint } of unused) await tx.provided.remove(name, fingerprint)
  return unused.length
}

function idOf({ name, fingerprint }: { readonly name: string; readonly fingerprint: string }) {
  return `${name} ${fingerprint}`
}
