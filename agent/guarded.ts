// Work on one service whose failure leaves the others alone.

import type { ServiceReport } from '../shared/contract/report.ts'
import type { ServiceTls } from '../shared/contract/service.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import { reportOfPlan } from './report.ts'

/** What \`work\` returns; where an edge is broken, a report that says so. */
export async function guarded(
  tls: ServiceTls,
  log: Logger,
  work: () => Promise<ServiceReport>,
): Promise<ServiceReport> {
  try {
    return await work()
  } catch (error) {
    // A broken edge fails this service and leaves the others to converge.
    if (!(error instanceof OperationalError)) throw error
    log.warn(
      { service: tls.service, code: error.code, error: describeError(error) },
      'service could not be looked after',
    )
    const reason = { code: error.code, message: describeError(error) }
    return reportOfPlan({
      kind: 'blocked',
      service: tls.service,
      outcome: 'failed',
      reason,
      unit: undefined,
      version: undefined,
    })
  }
}
