// What nodes said when a rollout was planned: named by its digest in the plan, and kept apart from it,
// so that nobody who decides has to read diffs.

import type { NodePreview } from '../../shared/contract/rollout-plan.ts'

export interface Previews {
  /** Immutable: of equal digests the first one stays. */
  put(digest: string, preview: NodePreview): Promise<void>
  get(digest: string): Promise<NodePreview | undefined>
  /** Digests that the stored plan of this rollout names. */
  namedBy(rollout: string): Promise<ReadonlySet<string>>
  /** Rollouts that ended after `afterMs`, and not after `throughMs` (wall clock), by their end. */
  rolloutsEnded(span: {
    readonly afterMs: number
    readonly throughMs: number
  }): Promise<readonly { readonly id: string; readonly endedAtMs: number }[]>
  /** Rollouts that ended later, or not yet. */
  rolloutsSince(endedAtMs: number): Promise<readonly string[]>
  remove(digests: readonly string[]): Promise<void>
}
