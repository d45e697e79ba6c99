// What came from outside since the loop last looked: a document, a preview, an operator's wish. The
// newest of each kind counts; nothing here decides.

import type { DesiredAnswer, PreviewRequest } from '../shared/contract/agent-api.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { ServiceName } from '../shared/contract/service.ts'
import type { Wake } from './wake.ts'

export interface Inbox {
  /** Takes an answer of the controller, and wakes the loop when there is something in it. */
  answer(answer: DesiredAnswer): void
  /** The generation to ask the controller beyond: of a document that waits here, or the accepted one. */
  generation(accepted: number | undefined): number | undefined
  takeDocument(): unknown
  takePreview(): PreviewRequest | undefined
  takeWishes(): Wishes
  /** The controller's clock as of its last answer. */
  controllerNowMs(): number | undefined
  /** Wants a pass, with a renewal of these services; resolves with the reports of one that began later. */
  wish(renew: readonly ServiceName[]): Promise<readonly ServiceReport[]>
}

/** What operators want of one pass. */
export interface Wishes {
  readonly any: boolean
  readonly renew: readonly ServiceName[]
  fulfil(reports: readonly ServiceReport[]): void
}

export function createInbox(wake: Wake): Inbox {
  let document: unknown
  let seenGeneration: number | undefined
  let preview: PreviewRequest | undefined
  let renewals: readonly ServiceName[] = []
  let nowMs: number | undefined
  let wishes: ((reports: readonly ServiceReport[]) => void)[] = []
  return {
    answer(answer) {
      nowMs = answer.nowMs
      if (answer.document !== undefined) {
        document = answer.document
        seenGeneration = generationOf(answer.document) ?? seenGeneration
      }
      if (answer.preview !== undefined) preview = answer.preview
      if (answer.document !== undefined || answer.preview !== undefined) wake('desired')
    },
    // Asking for the same document again while a long pass keeps it waiting would be a busy loop,
    // and so would asking again for one that was refused.
    generation: accepted => maximum(accepted, seenGeneration),
    takeDocument() {
      const taken = document
      document = undefined
      return taken
    },
    takePreview() {
      const taken = preview
      preview = undefined
      return taken
    },
    // Taken before the pass: a wish that comes while it runs is one for the next.
    takeWishes() {
      const taken = wishes
      const renew = renewals
      wishes = []
      renewals = []
      return {
        any: taken.length > 0,
        renew,
        fulfil(reports) {
          for (const resolve of taken) resolve(reports)
        },
      }
    },
    controllerNowMs: () => nowMs,
    wish(renew) {
      renewals = [...new Set([...renewals, ...renew])]
      return new Promise(resolve => {
        wishes.push(resolve)
        wake('operator')
      })
    },
  }
}

/** Of a document that was not judged yet. */
export function generationOf(document: unknown): number | undefined {
  if (typeof document !== 'object' || document === null || !('generation' in document))
    return undefined
  const { generation } = document
  return typeof generation === 'number' && Number.isSafeInteger(generation) && generation > 0
    ? generation
    : undefined
}

function maximum(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return Math.max(a, b)
}
