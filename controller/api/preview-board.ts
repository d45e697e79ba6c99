// Plans are made by the nodes: a content is handed to an agent with its next poll, and the answer
// waited for. In memory only; a plan that is lost is asked for again.

import type { PreviewRequest } from '../../shared/contract/agent-api.ts'
import type { DesiredContent } from '../../shared/contract/desired-state.ts'
import type { PreviewAnswer } from '../../shared/contract/report.ts'
import type { Clock } from '../../shared/clock.ts'

export interface PreviewBoard {
  /** Resolves with the answer, or undefined when it does not come in time. */
  ask(question: {
    readonly node: string
    readonly content: DesiredContent
    readonly waitMs: number
    readonly signal: AbortSignal
  }): Promise<PreviewAnswer | undefined>
  /** The oldest preview that this node was not yet given. Each is given once. */
  take(node: string): PreviewRequest | undefined
  /** False: nobody waits for this answer from this node. */
  answer(node: string, answer: PreviewAnswer): boolean
}

interface Asked {
  readonly node: string
  readonly request: PreviewRequest
  readonly resolve: (answer: PreviewAnswer) => void
}

export interface PreviewBoardOptions {
  readonly clock: Clock
  readonly newId: () => string
  /** Called when there is something for a node to take. */
  readonly wake: (nodes: readonly string[]) => void
}

export function createPreviewBoard({ clock, newId, wake }: PreviewBoardOptions): PreviewBoard {
  const asked = new Map<string, Asked>()
  // Oldest first: with many nodes asked at once, none looks through the questions to the others.
  const waiting = new Map<string, readonly Asked[]>()
  const take = (node: string): Asked | undefined => {
    const [first, ...rest] = (waiting.get(node) ?? []).filter(one =>
      asked.has(one.request.previewId),
    )
    if (rest.length === 0) waiting.delete(node)
    else waiting.set(node, rest)
    return first
  }
  return {
    async ask({ node, content, waitMs, signal }) {
      const previewId = newId()
      const { promise, resolve } = Promise.withResolvers<PreviewAnswer>()
      const one = { node, request: { previewId, content }, resolve }
      asked.set(previewId, one)
      waiting.set(node, [...(waiting.get(node) ?? []), one])
      wake([node])
      const over = new AbortController()
      try {
        return await Promise.race([
          promise,
          clock.sleep(waitMs, AbortSignal.any([signal, over.signal])).then(() => undefined),
        ])
      } finally {
        over.abort()
        asked.delete(previewId)
        const left = (waiting.get(node) ?? []).filter(other => other !== one)
        if (left.length === 0) waiting.delete(node)
        else waiting.set(node, left)
      }
    },
    take: node => take(node)?.request,
    answer(node, answer) {
      const one = asked.get(answer.previewId)
      if (one === undefined || one.node !== node) return false
      asked.delete(answer.previewId)
      one.resolve(answer)
      return true
    },
  }
}
