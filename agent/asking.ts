// Certificates that somebody else signs are asked for again and again, which may go on for days: not
// more often than every half minute, less and less often, and at once when there is an answer.

import type { Clock } from '../shared/clock.ts'
import { backoffMs } from '../shared/backoff.ts'
import type { ServiceName } from '../shared/contract/service.ts'
import { OperationalError } from '../shared/errors.ts'
import { PENDING } from './apply.ts'
import type { SignInternal } from './issuers.ts'

export interface Asking {
  /** `send`, held back while it is too early to ask again. The answer is then that of the last time. */
  patient(generation: number, send: SignInternal): SignInternal
  /** Whoever waits may ask now. */
  hurry(): void
  /** Monotonic: when this service may be asked for again. Undefined: it does not wait. */
  dueAtMs(service: ServiceName): number | undefined
}

interface Waiting {
  /** Of the key and the document: another one is another question. */
  readonly question: string
  readonly answer: OperationalError
  readonly attempts: number
  readonly askAgainAtMs: number
}

// Half of it is drawn at random.
const APART = { baseMs: 60_000, maxMs: 600_000 }

export function createAsking(options: {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly random: () => number
}): Asking {
  const { clock, random } = options
  const waiting = new Map<ServiceName, Waiting>()
  return {
    patient: (generation, send) => async request => {
      const { service, keys } = request
      const question = `${generation} ${keys.publicKeyPem}`
      const last = waiting.get(service)
      const isSame = last?.question === question
      if (isSame && clock.monotonic() < last.askAgainAtMs) throw last.answer
      try {
        const chain = await send(request)
        waiting.delete(service)
        return chain
      } catch (error) {
        waiting.delete(service)
        if (!(error instanceof OperationalError) || error.code !== PENDING) throw error
        const attempts = isSame ? last.attempts + 1 : 1
        const pauseMs = backoffMs({ attempt: attempts - 1, ...APART, random })
        const askAgainAtMs = clock.monotonic() + pauseMs
        waiting.set(service, { question, answer: error, attempts, askAgainAtMs })
        throw error
      }
    },
    hurry() {
      for (const [service, one] of waiting)
        waiting.set(service, { ...one, attempts: 0, askAgainAtMs: 0 })
    },
    dueAtMs: service => waiting.get(service)?.askAgainAtMs,
  }
}
