// The master asks its nodes again and again whether they follow; who is not connected, or does not answer
// several times, is out.

import type { NodeInfo } from './cluster-state.ts'
import type { Peers } from './peers.ts'

export interface FollowerChecks {
  /** Starts a check of every node that has none under way. */
  run(nodes: readonly NodeInfo[], check: unknown): void
}

export interface FollowerChecksOptions {
  readonly peers: Peers
  readonly onFailure: (node: NodeInfo, why: string) => Promise<void>
}

interface Follower {
  failures: number
  busy: boolean
}

// The real one's own.
const TIMEOUT_MS = 10_000
const FAILURES_MAX = 3

export function createFollowerChecks({ peers, onFailure }: FollowerChecksOptions): FollowerChecks {
  const followers = new Map<string, Follower>()

  async function check(node: NodeInfo, follower: Follower, body: unknown): Promise<void> {
    const peer = peers.get(node.id)
    if (peer === undefined || peer.node.ephemeralId !== node.ephemeralId) {
      return await onFailure(node, 'disconnected')
    }
    try {
      await peer.connection.request('check', body, TIMEOUT_MS)
      follower.failures = 0
    } catch {
      follower.failures++
      if (follower.failures < FAILURES_MAX) return
      follower.failures = 0
      await onFailure(node, 'followers check retry count exceeded')
    }
  }

  return {
    run: (nodes, body) => {
      for (const node of nodes) {
        const follower = followers.get(node.id) ?? { failures: 0, busy: false }
        followers.set(node.id, follower)
        if (follower.busy) continue
        follower.busy = true
        void check(node, follower, body).finally(() => {
          follower.busy = false
        })
      }
    },
  }
}
