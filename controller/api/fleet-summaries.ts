// What is desired of the whole fleet, as much of it as the inventory of certificates needs. Contents
// are large and seldom change: each is read once and its summary kept.

import type { Mode } from '../../shared/contract/desired-state.ts'
import { type ContentSummary, summarize } from '../certificates/summary.ts'
import type { DesiredHead, Store } from '../store/store.ts'

export interface NodeSummary {
  readonly mode: Mode
  readonly summary: ContentSummary
}

export interface FleetSummaries {
  /** By name of the node; those without a desired state are absent. */
  read(): Promise<ReadonlyMap<string, NodeSummary>>
}

// Rows without contents, and contents: so that no transaction keeps polls and reports waiting.
const HEADS_PAGE = 1_000
const CONTENTS_PAGE = 25

export function createFleetSummaries(store: Store): FleetSummaries {
  let known: ReadonlyMap<string, ContentSummary> = new Map()

  return {
    async read() {
      const heads = await readHeads(store)
      const byDigest = new Map<string, ContentSummary>()
      const missing = new Map<string, DesiredHead>()
      for (const head of heads) {
        const summary = known.get(head.contentDigest)
        if (summary === undefined) missing.set(head.contentDigest, head)
        else byDigest.set(head.contentDigest, summary)
      }
      const wanted = [...missing.values()]
      for (let start = 0; start < wanted.length; start += CONTENTS_PAGE)
        for (const [digest, summary] of await readContents(
          store,
          wanted.slice(start, start + CONTENTS_PAGE),
        ))
          byDigest.set(digest, summary)
      // What no node has any more is forgotten.
      known = byDigest
      return new Map(
        heads.flatMap(({ node, mode, contentDigest }) => {
          const summary = byDigest.get(contentDigest)
          return summary === undefined ? [] : [[node, { mode, summary }] as const]
        }),
      )
    },
  }
}

async function readHeads(store: Store): Promise<readonly DesiredHead[]> {
  const heads: DesiredHead[] = []
  for (;;) {
    const after = heads.at(-1)?.node
    const page = await store.transaction(tx =>
      tx.desired.heads({ ...(after === undefined ? {} : { after }), limit: HEADS_PAGE }),
    )
    heads.push(...page)
    if (page.length < HEADS_PAGE) return heads
  }
}

async function readContents(store: Store, heads: readonly DesiredHead[]) {
  return await store.transaction(async tx => {
    const summaries: (readonly [string, ContentSummary])[] = []
    for (const { node, contentDigest } of heads) {
      const published = await tx.desired.published(node, contentDigest)
      // Removed between two transactions.
      if (published !== undefined) summaries.push([contentDigest, summarize(published.content)])
    }
    return summaries
  })
}
