// The controller's side of the loop: a long poll for desired state, and a reporter that sends the
// newest report until it has arrived. Both only fill boxes and wake; neither decides anything.

import type { Clock } from '../shared/clock.ts'
import { backoffMs } from '../shared/backoff.ts'
import type { DesiredAnswer } from '../shared/contract/agent-api.ts'
import type { Position } from '../shared/contract/desired-state.ts'
import { LONG_POLL_MS } from '../shared/contract/protocol.ts'
import type { Report } from '../shared/contract/report.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { reportDigest } from './report.ts'
import type { Remote } from './remote.ts'

export interface PollOptions {
  readonly remote: () => Remote
  readonly clock: Clock
  readonly log: Logger
  readonly random: () => number
  /** Of the newest accepted document. */
  readonly position: () => Position | undefined
  readonly onAnswer: (answer: DesiredAnswer) => void
  readonly onFailure?: () => void
  /** Aborted when there is another controller to ask: nobody waits any longer for the one before. */
  readonly reconnected?: () => AbortSignal
  readonly signal: AbortSignal
}

// 20 s of CPU for a storm of 10,000 agents: after an outage nobody may hurry.
const RETRY = { baseMs: 1_000, maxMs: 60_000 }

/** Runs until the signal is aborted. */
export async function pollDesired(options: PollOptions): Promise<void> {
  const { clock, log, signal } = options
  const complain = createComplaint(log)
  let failures = 0
  while (!signal.aborted) {
    const remote = options.remote()
    const hurry = untilReconnected(options, signal)
    try {
      const { epoch, generation } = options.position() ?? {}
      const question = { epoch, generation, waitMs: LONG_POLL_MS }
      const answer = await remote.desired(question, signal)
      if (failures > 0) log.info('controller is reachable again')
      failures = 0
      options.onAnswer(answer)
      // An answer without anything in it came early: the controller is closing, or told to hurry up.
      const { document, preview, probes } = answer
      if (document === undefined && preview === undefined && probes === undefined)
        await clock.sleep(options.random() * 100, signal)
    } catch (error) {
      if (signal.aborted) return
      // We have hung up ourselves, for another identity or other roots: nothing is wrong.
      if (options.remote() !== remote) continue
      options.onFailure?.()
      complain(failures, error)
      await clock.sleep(backoffMs({ attempt: failures, ...RETRY, random: options.random }), hurry)
      failures = options.remote() === remote ? failures + 1 : 0
    }
  }
}

function untilReconnected(
  { reconnected }: Pick<PollOptions, 'reconnected'>,
  signal: AbortSignal,
): AbortSignal {
  return reconnected === undefined ? signal : AbortSignal.any([signal, reconnected()])
}

// The first failure is worth a line, one of another kind, and then one now and again: an outage of a
// day must not fill a disk, and a refusal must not be hidden by the outage before it.
function createComplaint(log: Logger): (failures: number, error: unknown) => void {
  let last: string | undefined
  return (failures, error) => {
    if (!(error instanceof OperationalError)) throw error
    const { code } = error
    const line = { code, error: describeError(error), failures: failures + 1 }
    if (failures === 0 || failures % 60 === 0 || code !== last)
      log.warn(line, 'controller cannot be asked; going on with the last accepted state')
    else log.debug(line, 'controller cannot be asked')
    last = code
  }
}

export interface Reporter {
  /**
   * Takes the place of an unsent one. Does nothing when the last one that arrived says the same,
   * unless it is owed: somebody waits for this number.
   */
  offer(report: Report, owed?: 'owed'): void
  run(signal: AbortSignal): Promise<void>
}

export function createReporter(
  options: Pick<PollOptions, 'remote' | 'clock' | 'log' | 'random' | 'reconnected'>,
): Reporter {
  const { clock, log } = options
  const complain = createComplaint(log)
  let waiting: Report | undefined
  let arrived: string | undefined
  let interrupt: AbortController | undefined
  return {
    offer(report, owed) {
      const known = waiting === undefined ? arrived : reportDigest(waiting)
      if (owed === undefined && reportDigest(report) === known) return
      waiting = report
      interrupt?.abort()
    },
    async run(signal) {
      let failures = 0
      while (!signal.aborted) {
        const report = waiting
        if (report === undefined) {
          interrupt = new AbortController()
          await clock.sleep(IDLE_MS, AbortSignal.any([signal, interrupt.signal]))
          continue
        }
        const remote = options.remote()
        try {
          await remote.report(report, signal)
          arrived = reportDigest(report)
          if (waiting === report) waiting = undefined
          failures = 0
        } catch (error) {
          if (signal.aborted) return
          if (options.remote() !== remote) continue
          complain(failures, error)
          const pauseMs = backoffMs({ attempt: failures, ...RETRY, random: options.random })
          await clock.sleep(pauseMs, untilReconnected(options, signal))
          failures = options.remote() === remote ? failures + 1 : 0
        }
      }
    },
  }
}

// Only bounds a wait that an offer ends.
const IDLE_MS = 3_600_000
