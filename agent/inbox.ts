// What came from outside since the loop last looked: a document, a preview, an operator's wish. The
// newest of each kind counts; nothing here decides.

import type { DesiredAnswer, PreviewRequest } from '../shared/contract/agent-api.ts'
import type { Debt } from '../shared/contract/debts.ts'
import {
  comparePositions,
  type DesiredState,
  type Position,
  positionOf,
} from '../shared/contract/desired-state.ts'
import type { ServiceReport } from '../shared/contract/report.ts'
import type { ServiceName } from '../shared/contract/service.ts'
import type { Wake } from './wake.ts'

export interface Inbox {
  /** Takes an answer of the controller, and wakes the loop when there is something in it. */
  answer(answer: DesiredAnswer): void
  /** What to ask the controller for news beyond: of a document that waits here, or the accepted one. */
  position(accepted: Numbered | undefined): Position | undefined
  takeDocument(): unknown
  /** What the controller says of its CAs, from its last answer. */
  takeIdentityNews(): IdentityNews
  /** Whether this node is in a group, when the controller has said so since. */
  takeGrouped(): boolean | undefined
  takePreview(): PreviewRequest | undefined
  /** What other members of this node's clusters owe. */
  takeDebts(): readonly Debt[]
  takeWishes(): Wishes
  /** Something that this node waits for has happened. */
  takeNews(): boolean
  /** The controller's clock as of its last answer. */
  controllerNowMs(): number | undefined
  /** Wants a pass, with a renewal of these services; resolves with the reports of one that began later. */
  wish(renew: readonly ServiceName[]): Promise<readonly ServiceReport[]>
}

export type IdentityNews = Pick<
  DesiredAnswer,
  'identityTrust' | 'identityIssuer' | 'identityWithinMs'
>

type Numbered = Pick<DesiredState, 'epoch' | 'generation'>

/** What operators want of one pass. */
export interface Wishes {
  readonly any: boolean
  readonly renew: readonly ServiceName[]
  fulfil(reports: readonly ServiceReport[]): void
}

export function createInbox(wake: Wake): Inbox {
  let document: unknown
  let seen: Position | undefined
  let preview: PreviewRequest | undefined
  let identityNews: IdentityNews = {}
  let renewals: readonly ServiceName[] = []
  let nowMs: number | undefined
  let grouped: boolean | undefined
  let debts: readonly Debt[] = []
  let hasNews = false
  let wishes: ((reports: readonly ServiceReport[]) => void)[] = []
  return {
    answer(answer) {
      nowMs = answer.nowMs
      grouped = answer.grouped ?? grouped
      if (answer.document !== undefined) {
        document = answer.document
        seen = claimedPosition(answer.document) ?? seen
      }
      if (answer.preview !== undefined) preview = answer.preview
      const { identityTrust, identityIssuer, identityWithinMs } = answer
      identityNews = {
        ...identityNews,
        ...(identityTrust === undefined ? {} : { identityTrust }),
        ...(identityIssuer === undefined ? {} : { identityIssuer }),
        ...(identityWithinMs === undefined ? {} : { identityWithinMs }),
      }
      if (identityTrust !== undefined || identityIssuer !== undefined) wake('desired')
      debts = answer.debts ?? debts
      const isNews = answer.wake === true
      hasNews ||= isNews
      if (answer.debts !== undefined) wake('desired')
      if (answer.document !== undefined || answer.preview !== undefined || isNews) wake('desired')
    },
    // Asking for the same document again while a long pass keeps it waiting would be a busy loop,
    // and so would asking again for one that was refused.
    position: accepted => newest(accepted && positionOf(accepted), seen),
    takeDocument() {
      const taken = document
      document = undefined
      return taken
    },
    takeIdentityNews() {
      const taken = identityNews
      identityNews = {}
      return taken
    },
    takeGrouped() {
      const taken = grouped
      grouped = undefined
      return taken
    },
    takeDebts() {
      const taken = debts
      debts = []
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
    takeNews() {
      const taken = hasNews
      hasNews = false
      return taken
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
  return isObject(document) && 'generation' in document ? counted(document.generation) : undefined
}

function claimedPosition(document: unknown): Position | undefined {
  const generation = generationOf(document)
  if (generation === undefined) return undefined
  const epoch = isObject(document) && 'epoch' in document ? counted(document.epoch) : undefined
  return { epoch: epoch ?? 0, generation }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

function counted(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : undefined
}

function newest(a: Position | undefined, b: Position | undefined): Position | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return comparePositions(a, b) >= 0 ? a : b
}
