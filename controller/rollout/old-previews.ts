// What nodes said when a rollout was planned is by far the most that the store keeps of it. Of rollouts
// that ended long ago it goes; their plans stay, with the digests of what was said.

import type { Store, Transaction } from '../store/store.ts'

/** After the end of the last rollout that names it. */
export const PREVIEWS_KEPT_MS = 100 * 86_400_000

// Up to which end rollouts have been looked at: each is looked at once.
const THROUGH = 'previews-forgotten-through-ms'

/**
 * Removes what no rollout names any more but those that ended before that time. Gives how many. A plan a
 * transaction, so that nobody waits for long; with no rollout that has become old it is one small query.
 */
export async function forgetOldPreviews(
  store: Pick<Store, 'transaction'>,
  nowMs: number,
): Promise<number> {
  const throughMs = nowMs - PREVIEWS_KEPT_MS
  const { ended, since } = await store.transaction(async tx => {
    const afterMs = Number((await tx.settings.get(THROUGH)) ?? -1)
    const old = await tx.previews.rolloutsEnded({ afterMs, throughMs })
    return { ended: old, since: old.length === 0 ? [] : await tx.previews.rolloutsSince(throughMs) }
  })
  const last = ended.at(-1)
  if (last === undefined) return 0
  const unnamed = new Set<string>()
  for (const { id } of ended) for (const digest of await namedBy(store, id)) unnamed.add(digest)
  for (const id of since) for (const digest of await namedBy(store, id)) unnamed.delete(digest)
  const seen = new Set(since)
  return store.transaction(async tx => {
    // Made meanwhile, of nodes that say the same again.
    for (const id of await tx.previews.rolloutsSince(throughMs))
      if (!seen.has(id)) for (const digest of await tx.previews.namedBy(id)) unnamed.delete(digest)
    await tx.previews.remove([...unnamed])
    await tx.settings.set(THROUGH, String(last.endedAtMs))
    return unnamed.size
  })
}

function namedBy(store: Pick<Store, 'transaction'>, id: string): Promise<ReadonlySet<string>> {
  return store.transaction((tx: Transaction) => tx.previews.namedBy(id))
}
