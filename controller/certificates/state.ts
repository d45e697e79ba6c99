// The state of a certificate in one word, with the reason. Pure.

import type { CertificateState } from '../../shared/contract/certificates.ts'
import type { Served } from '../../shared/contract/report.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import { type Dates, instant, isDue, isExpired, isOverdue } from './renewal.ts'

export interface Judged {
  readonly state: CertificateState
  readonly reason: Reason
}

/** Of a certificate that is known to exist. */
export function stateOf(dates: Dates, unrenewed: Reason | undefined, nowMs: number): Judged {
  const reason = unrenewed ?? current(dates)
  if (isExpired(dates, nowMs)) return { state: 'expired', reason }
  if (isOverdue(dates, nowMs)) return { state: 'overdue', reason }
  if (isDue(dates, nowMs))
    return {
      state: 'renewal-due',
      reason: unrenewed ?? { code: 'renewal-due', message: 'its renewal is under way' },
    }
  return { state: 'ok', reason }
}

function current({ renewAtMs }: Dates): Reason {
  const when = renewAtMs === undefined ? 'in time' : instant(renewAtMs)
  return { code: 'renewal-planned', message: `renewed by itself, ${when}` }
}

/** `not-recorded`: by its chain the service CA has signed it, and yet its issue is on no record. */
export type Foreignness = 'ours' | 'not-ours' | 'not-recorded'

/** Of what a listener was seen serving. */
export function servedState(
  served: Served,
  foreignness: Foreignness,
  known: { readonly dates: Dates; readonly unrenewed: Reason | undefined; readonly nowMs: number },
): Judged {
  const { dates, unrenewed, nowMs } = known
  if (isExpired(dates, nowMs)) return stateOf(dates, unrenewed, nowMs)
  if (foreignness === 'not-recorded')
    return {
      state: 'foreign',
      reason: {
        code: 'issue-not-recorded',
        message: 'by its chain it is from the service CA, which has no record of it',
      },
    }
  if (foreignness === 'not-ours')
    return {
      state: 'foreign',
      reason: served.ok
        ? { code: 'certificate-foreign', message: 'served, and not issued by the service CA' }
        : served.reason,
    }
  if (dates.notAfterMs === undefined) return unseenState(served, dates, nowMs)
  return stateOf(dates, unrenewed, nowMs)
}

/** Of a certificate that should be served where nothing was seen. */
export function unseenState(served: Served | undefined, dates: Dates, nowMs: number): Judged {
  const reason = served?.reason ?? {
    code: 'not-observed',
    message: 'no report says what is served',
  }
  return { state: isExpired(dates, nowMs) ? 'expired' : 'unknown', reason }
}
