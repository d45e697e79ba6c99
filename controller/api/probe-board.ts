// Looks that agents are asked for: handed out with their next poll, and the answer waited for. In memory
// only: what is lost is asked again. A node may answer what it was asked, once, and nothing else.

import type {
  ClusterProbe,
  ListenerProbe,
  ProbeRequest,
  Sighting,
} from '../../shared/contract/probes.ts'
import { PROBES_MAX } from '../../shared/contract/probes.ts'
import type { Clock } from '../../shared/clock.ts'

export type Probe = Omit<ListenerProbe, 'probeId'> | Omit<ClusterProbe, 'probeId'>

export interface ProbeBoard {
  /** Resolves with what the node saw, or undefined when it does not say so in time. */
  ask(question: {
    readonly node: string
    readonly probe: Probe
    readonly waitMs: number
    readonly signal: AbortSignal
  }): Promise<Sighting | undefined>
  /** What this node was not yet given, as much as one answer holds. */
  take(node: string): readonly ProbeRequest[]
  /** False: nobody waits for this answer from this node, or it answers another question. */
  answer(node: string, probeId: string, sighting: Sighting): boolean
}

interface Asked {
  readonly request: ProbeRequest
  readonly resolve: (sighting: Sighting) => void
  given: boolean
}

export interface ProbeBoardOptions {
  readonly clock: Clock
  readonly newId: () => string
  /** Called when there is something for a node to take. */
  readonly wake: (nodes: readonly string[]) => void
}

export function createProbeBoard({ clock, newId, wake }: ProbeBoardOptions): ProbeBoard {
  const byNode = new Map<string, Map<string, Asked>>()
  const forget = (node: string, probeId: string) => {
    const asked = byNode.get(node)
    asked?.delete(probeId)
    if (asked?.size === 0) byNode.delete(node)
  }
  return {
    async ask({ node, probe, waitMs, signal }) {
      const probeId = newId()
      const { promise, resolve } = Promise.withResolvers<Sighting>()
      const asked = byNode.get(node) ?? new Map<string, Asked>()
      byNode.set(
        node,
        asked.set(probeId, { request: { ...probe, probeId }, resolve, given: false }),
      )
      wake([node])
      const over = new AbortController()
      try {
        return await Promise.race([
          promise,
          clock.sleep(waitMs, AbortSignal.any([signal, over.signal])).then(() => undefined),
        ])
      } finally {
        over.abort()
        forget(node, probeId)
      }
    },
    take(node) {
      const waiting = [...(byNode.get(node)?.values() ?? [])].filter(({ given }) => !given)
      const taken = waiting.slice(0, PROBES_MAX)
      for (const one of taken) one.given = true
      return taken.map(({ request }) => request)
    },
    answer(node, probeId, sighting) {
      const asked = byNode.get(node)?.get(probeId)
      if (asked === undefined || !asked.given || !fits(asked.request, sighting)) return false
      forget(node, probeId)
      asked.resolve(sighting)
      return true
    },
  }
}

function fits(request: ProbeRequest, sighting: Sighting): boolean {
  if (sighting.kind === 'unknown') return true
  if (request.kind === 'listener') return sighting.kind !== 'cluster'
  return sighting.kind === 'cluster' && sighting.view.kind === request.service
}
