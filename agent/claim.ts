// The right to go past the point of no return. In a rollout the permit is claimed before it; what
// renews or corrects takes the leases of the node's groups. A refusal, or that nobody answers, is
// remembered: the next look asks again only when there is a reason to.

import { backoffMs } from '../shared/backoff.ts'
import type { Clock } from '../shared/clock.ts'
import type { LeaseAnswer } from '../shared/contract/agent-api.ts'
import type { DesiredState } from '../shared/contract/desired-state.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { endsAtMs, type Purpose, purposeOf } from './disruption.ts'
import type { LeaseMemory } from './lease-memory.ts'
import { type OfflineRule, whyWaitAlone } from './offline-rule.ts'
import type { ActionablePlan } from './plan.ts'
import type { Remote } from './remote.ts'

export type Claim = (plan: ActionablePlan) => Promise<Reason | undefined>

/** What one pass carries out. */
export interface Carried {
  /** The newest document: questions name it. */
  readonly latest: DesiredState
  /** Of the document that is carried out. */
  readonly permit: boolean
  readonly remote: Remote
  readonly signal: AbortSignal
}

export interface Claims {
  /** Before the passes over all documents in force, and after them. */
  begin(): void
  end(): void
  /** For one pass: what was granted holds for all services of the document. */
  claimFor(carried: Carried): Claim
  /** The controller says whether this node is in a group; undefined: it says nothing. */
  learn(grouped: boolean | undefined): Promise<void>
  /** What is waited for may have come: the next look asks. */
  hurry(): void
  /** The controller could not be reached. */
  missed(): void
  /** It can be. True where there is something to do: what waits may ask again, or membership is news. */
  heard(grouped: boolean | undefined): boolean
  /** Monotonic; undefined: nothing waits. */
  dueAtMs(): number | undefined
  /** A lease is held, or may be: it ends with the next report, also when that says nothing new. */
  isReportOwed(): boolean
  /** There is a report of what became of it. */
  reported(): Promise<void>
}

export interface ClaimOptions {
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
  readonly random: () => number
  readonly log: Logger
  readonly memory: LeaseMemory
  readonly rule: OfflineRule
  /** Number of the last report, sent or not. */
  readonly sequence: () => number
  /** Something has begun to wait. */
  readonly onWait: () => void
}

interface Waiting {
  readonly reason: Reason
  readonly attempts: number
  readonly askAgainAtMs: number
  readonly unansweredSinceMs: number | undefined
}

type Verdict =
  | { readonly kind: 'go' }
  | { readonly kind: 'wait'; readonly reason: Reason }
  /** The step of this very document is under way: its permit is what counts. */
  | { readonly kind: 'own-step'; readonly reason: Reason }

const GO: Verdict = { kind: 'go' }

// The controller wakes whoever waits; this is for wakes that are lost.
const RETRY = { baseMs: 5_000, maxMs: 300_000 }

export function createClaims(options: ClaimOptions): Claims {
  const { clock, memory, log } = options
  // By the question, so that another document or purpose is asked about at once.
  const waiting = new Map<string, Waiting>()
  const asked = new Set<string>()
  // A lease was granted; or may have been, by an answer that was lost or to a process that is gone.
  let isOwed = false
  let isInDoubt = memory.hasAsked()
  let wasMissed = false

  const isUnanswered = () => [...waiting.values()].some(one => one.unansweredSinceMs !== undefined)

  function wait(key: string, reason: Reason, unansweredSinceMs: number | undefined): Verdict {
    const before = waiting.get(key)
    const attempts = (before?.attempts ?? 0) + 1
    const pauseMs = backoffMs({ attempt: attempts - 1, ...RETRY, random: options.random })
    const askAgainAtMs = clock.monotonic() + pauseMs
    waiting.set(key, { reason, attempts, askAgainAtMs, unansweredSinceMs })
    const isNews = before === undefined || before.reason.code !== reason.code
    log[isNews ? 'info' : 'debug']({ reason }, 'waiting for the right to go on')
    if (before === undefined) options.onWait()
    return { kind: 'wait', reason }
  }

  async function learn(grouped: boolean | undefined): Promise<void> {
    try {
      if (grouped !== undefined) await memory.setGrouped(grouped)
    } catch (error) {
      // A full disk must not end the loop; it is told again.
      if (!(error instanceof OperationalError)) throw error
      log.warn({ code: error.code, error: describeError(error) }, 'membership could not be kept')
    }
  }

  async function send(purpose: Purpose, carried: Carried): Promise<LeaseAnswer> {
    const { generation, digest } = carried.latest
    await memory.setAsked({ purpose, generation })
    const wasInDoubt = isInDoubt
    isInDoubt = true
    const question = { purpose, generation, digest, sequence: options.sequence() }
    const answer = await carried.remote.lease(question, carried.signal)
    isInDoubt = false
    isOwed ||= answer.granted || wasInDoubt
    await learn(answer.grouped)
    return answer
  }

  async function ask(purpose: Purpose, plan: ActionablePlan, carried: Carried): Promise<Verdict> {
    const { generation, digest } = carried.latest
    const key = `${purpose} ${generation} ${digest}`
    asked.add(key)
    const before = waiting.get(key)
    if (before !== undefined && clock.monotonic() < before.askAgainAtMs)
      return { kind: 'wait', reason: before.reason }
    try {
      const { granted, reason } = await send(purpose, carried)
      if (!granted) {
        const isOwnStep = reason.code === IN_MOTION && carried.permit && purpose !== 'rollout'
        return isOwnStep ? { kind: 'own-step', reason } : wait(key, reason, undefined)
      }
      waiting.delete(key)
      return GO
    } catch (error) {
      if (!(error instanceof OperationalError)) throw error
      if (!UNANSWERED.includes(error.code)) throw error
      const nowMs = clock.now()
      const { rule } = options
      const grouped = memory.grouped()
      const why = whyWaitAlone({ rule, grouped, purpose, endsAtMs: endsAtMs(plan), nowMs })
      if (why === undefined) {
        log.info({ purpose, grouped }, 'going ahead without an answer of the controller')
        return GO
      }
      const sinceMs = before?.unansweredSinceMs ?? nowMs
      return wait(key, unanswered(purpose, why, sinceMs, before, error), sinceMs)
    }
  }

  return {
    begin: () => asked.clear(),
    end() {
      for (const key of waiting.keys()) if (!asked.has(key)) waiting.delete(key)
    },
    claimFor(carried) {
      const granted = new Set<Purpose>()
      return async plan => {
        const purpose = purposeOf(plan, carried)
        if (purpose === undefined || granted.has('rollout') || granted.has(purpose))
          return undefined
        const verdict = await ask(purpose, plan, carried)
        const isOwnStep = verdict.kind === 'own-step'
        const last = isOwnStep ? await ask('rollout', plan, carried) : verdict
        if (last.kind !== 'go') return last.reason
        granted.add(isOwnStep ? 'rollout' : purpose)
        return undefined
      }
    },
    learn,
    hurry() {
      for (const [key, one] of waiting) waiting.set(key, { ...one, attempts: 0, askAgainAtMs: 0 })
    },
    missed() {
      wasMissed = true
    },
    heard(grouped) {
      const open = [...waiting].filter(
        ([, one]) => wasMissed || one.unansweredSinceMs !== undefined,
      )
      wasMissed = false
      for (const [key, one] of open) waiting.set(key, { ...one, attempts: 0, askAgainAtMs: 0 })
      return open.length > 0 || (grouped !== undefined && grouped !== memory.grouped())
    },
    dueAtMs() {
      const times = [...waiting.values()].map(({ askAgainAtMs }) => askAgainAtMs)
      return times.length === 0 ? undefined : Math.min(...times)
    },
    // While nobody answers, nobody hears a report either.
    isReportOwed: () => isOwed || (isInDoubt && !isUnanswered()),
    async reported() {
      if (!isUnanswered()) isInDoubt = false
      isOwed = false
      if (waiting.size === 0) await memory.setAsked(undefined)
    },
  }
}

// The controller's refusal while a step of this node is under way.
const IN_MOTION = 'step-in-motion'

// What the edge says when there is no answer that could be used.
export const UNANSWERED: readonly string[] = [
  'controller-unreachable',
  'identity-refused',
  'request-refused',
  'malformed-answer',
]

// Says the same at each look, whatever each attempt failed of: a report of it is news once.
function unanswered(
  purpose: Purpose,
  why: string,
  sinceMs: number,
  before: Waiting | undefined,
  error: OperationalError,
): Reason {
  if (before?.unansweredSinceMs !== undefined) return before.reason
  const what = purpose === 'rollout' ? 'permit' : `lease for this ${purpose}`
  const since = new Date(sinceMs).toISOString()
  const message = `the ${what} is waited for since ${since}: ${why} (${describeError(error)})`
  return { code: 'lease-unanswered', message: message.slice(0, MESSAGE_MAX) }
}

const MESSAGE_MAX = 1_000
