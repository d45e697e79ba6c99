// How often one caller may ask: so many requests at once, so many a second after that. A script that
// runs wild is slowed down, and everybody else is served as before.

import type { Clock } from '../../shared/clock.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { App } from './context.ts'
import { createTokenBuckets } from './token-bucket.ts'

/** A dashboard that is opened, or a command for every node of a small fleet. */
export const REQUESTS_BURST = 600
const REQUESTS_PER_SECOND = 100

/** Must be called after policies are enforced: whoever is not known is refused before. */
export function limitRequests(app: App, clock: Pick<Clock, 'monotonic'>): void {
  const buckets = createTokenBuckets({ burst: REQUESTS_BURST, perSecond: REQUESTS_PER_SECOND })
  app.addHook('onRequest', async request => {
    const caller = request.operator?.name
    if (caller === undefined || buckets.take(caller, clock.monotonic())) return
    throw new OperationalError('too-many-requests', `${caller} asks too often`, {
      retryable: true,
      hint: `${REQUESTS_PER_SECOND} requests a second; GET /v1/watch tells what has changed.`,
      details: { retryAfterMs: buckets.waitMs(caller) },
    })
  })
}
