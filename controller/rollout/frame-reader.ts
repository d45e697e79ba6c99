// Reads the frame of the fleet: all of it once, and then the nodes that the store tells of.

import { CLUSTERS } from '../fleet/groups.ts'
import type { FleetSpec } from '../fleet/intent.ts'
import { matches } from '../fleet/selector.ts'
import { parseFleetSpec } from '../fleet/spec.ts'
import type { NodeRecord, RevisionRecord } from '../store/store.ts'
import {
  type FleetFrame,
  type FrameDelta,
  keepFrame,
  type KeptFrame,
  type NodeNow,
} from './fleet-frame.ts'
import type { RolloutTransaction } from './rollout-store.ts'

export interface FrameReader {
  /** Reads what has changed, and takes nothing in: what is read with it may fail still. */
  look(tx: FrameTransaction): Promise<FrameLook>
}

export interface FrameLook {
  /** Nodes that have changed; undefined: any may have. */
  readonly nodes: readonly string[] | undefined
  /** Once; `delta` undefined: nothing is to be concluded from the frame before. */
  take(): { readonly frame: FleetFrame; readonly delta: FrameDelta | undefined }
}

export type FrameTransaction = Pick<RolloutTransaction, 'revisions'> & {
  readonly nodes: Pick<RolloutTransaction['nodes'], 'list' | 'changedSince'>
  readonly desired: Pick<RolloutTransaction['desired'], 'revisions'>
}

// The specs that the documents in force were compiled from: a few, however many nodes there are.
type Specs = Map<number, FleetSpec>

interface Kept {
  readonly frame: KeptFrame
  readonly key: string
  readonly cursor: number
  readonly specs: Specs
}

const PAGE = 500
const NO_SPEC: FleetSpec = { fleet: '', services: [] }

export function createFrameReader(): FrameReader {
  let kept: Kept | undefined
  return {
    async look(tx) {
      const known = kept
      const revision = await tx.revisions.latest()
      const key = `${revision?.number ?? 0} ${revision?.digest ?? ''}`
      const changes = await tx.nodes.changedSince(known?.cursor)
      const { cursor } = changes
      if (known === undefined || changes.nodes === undefined) {
        const specs: Specs = new Map()
        const all = await readAll(tx, specs)
        return {
          nodes: undefined,
          take() {
            const frame = keepFrame(specOf(revision), all)
            kept = { frame, key, cursor, specs }
            return { frame: frame.frame(), delta: undefined }
          },
        }
      }
      // The number of a revision that came to nothing is that of the next one.
      const specs: Specs = known.key === key ? known.specs : new Map()
      const now = await readNodes(tx, changes.nodes, specs)
      return {
        nodes: known.key === key ? changes.nodes : undefined,
        take() {
          // What fails half way leaves nothing that one could go on with.
          kept = undefined
          const { frame } = known
          const delta = frame.change(now)
          if (known.key !== key) frame.regroup(specOf(revision))
          kept = { frame, key, cursor, specs }
          return { frame: frame.frame(), delta: known.key === key ? delta : undefined }
        },
      }
    },
  }
}

function specOf(revision: Pick<RevisionRecord, 'text'> | undefined): FleetSpec {
  const parsed = revision && parseFleetSpec(revision.text)
  return parsed?.kind === 'ok' ? parsed.spec : NO_SPEC
}

async function readAll(tx: FrameTransaction, specs: Specs): Promise<readonly NodeNow[]> {
  const revisions = await tx.desired.revisions()
  await readSpecs(tx, revisions, specs)
  const all: NodeNow[] = []
  for (;;) {
    const after = all.at(-1)?.node.name
    const page = await tx.nodes.list({ ...(after === undefined ? {} : { after }), limit: PAGE })
    for (const node of page) all.push(nowOf(node, specs.get(revisions.get(node.name) ?? 0)))
    if (page.length < PAGE) return all
  }
}

async function readNodes(
  tx: FrameTransaction,
  names: readonly string[],
  specs: Specs,
): Promise<ReadonlyMap<string, NodeNow | undefined>> {
  const now = new Map<string, NodeNow | undefined>(names.map(name => [name, undefined]))
  for (let start = 0; start < names.length; start += PAGE) {
    const some = names.slice(start, start + PAGE)
    const revisions = await tx.desired.revisions(some)
    await readSpecs(tx, revisions, specs)
    for (const node of await tx.nodes.list({ names: some, limit: PAGE }))
      now.set(node.name, nowOf(node, specs.get(revisions.get(node.name) ?? 0)))
  }
  return now
}

async function readSpecs(
  tx: FrameTransaction,
  revisions: ReadonlyMap<string, number>,
  specs: Specs,
): Promise<void> {
  for (const number of new Set(revisions.values()))
    if (!specs.has(number)) specs.set(number, specOf(await tx.revisions.get(number)))
}

function nowOf({ name, labels, names }: NodeRecord, spec: FleetSpec | undefined): NodeNow {
  const node = { name, labels, names }
  const its = spec?.services.filter(({ nodes }) => matches(node, nodes)) ?? []
  return { node, runs: CLUSTERS.filter(name => its.some(({ service }) => service === name)) }
}
