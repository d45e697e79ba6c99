// A change that a whole group makes at once: all stop, all switch, all start. Before each act the
// controller is asked, which says yes when every node is there, and no when one of them is not to be
// waited for: then what was done here is undone. While nobody answers, the service is down, so that
// is not borne for ever.

import type { LeaseAnswer, SectionAct } from '../shared/contract/agent-api.ts'
import type { Clock } from '../shared/clock.ts'
import type { Reason } from '../shared/contract/schema.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { UNANSWERED } from './claim.ts'
import type { Remote } from './remote.ts'

/** The document whose permit was claimed. */
export interface SectionPermit {
  readonly generation: number
  readonly digest: string
}

/** Undefined: go on. Else why what was done is undone. Returns when one of both is known. */
export type AskAct = (permit: SectionPermit, act: SectionAct) => Promise<Reason | undefined>

export interface SectionOptions {
  readonly remote: () => Pick<Remote, 'lease'>
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>
  readonly log: Logger
  readonly sequence: () => number
  readonly signal: AbortSignal
  /** Without any answer for so long, a node goes back by itself. */
  readonly patienceMs?: number
}

const ASK_AGAIN_MS = 1_000
const PATIENCE_MS = 600_000

export function createAskAct(options: SectionOptions): AskAct {
  const { clock, log, signal, patienceMs = PATIENCE_MS } = options
  return async (permit, act) => {
    let heardAtMs = clock.monotonic()
    let told: string | undefined
    for (;;) {
      if (signal.aborted) return STOPPING
      const answer = await ask(options, permit, act)
      if (answer instanceof OperationalError) {
        if (!UNANSWERED.includes(answer.code)) return failed(answer)
        if (clock.monotonic() - heardAtMs >= patienceMs) return unanswered(act, answer)
      } else {
        if (answer.granted) return undefined
        if (answer.again !== true) return answer.reason
        heardAtMs = clock.monotonic()
        if (told !== answer.reason.message) log.info({ act, reason: answer.reason }, 'waiting')
        told = answer.reason.message
      }
      await clock.sleep(ASK_AGAIN_MS, signal)
    }
  }
}

async function ask(
  { remote, sequence, signal }: SectionOptions,
  { generation, digest }: SectionPermit,
  act: SectionAct,
): Promise<LeaseAnswer | OperationalError> {
  const question = { purpose: 'rollout', act, generation, digest, sequence: sequence() } as const
  try {
    return await remote().lease(question, signal)
  } catch (error) {
    if (error instanceof OperationalError) return error
    throw error
  }
}

const STOPPING: Reason = {
  code: 'stopping',
  message: 'the agent was stopped while the nodes of its group waited for each other',
}

function failed(error: OperationalError): Reason {
  return { code: error.code, message: describeError(error) }
}

function unanswered(act: SectionAct, error: OperationalError): Reason {
  const message = `nobody said whether all may ${act} (${describeError(error)})`
  return { code: 'together-unanswered', message: message.slice(0, MESSAGE_MAX) }
}

const MESSAGE_MAX = 1_000
