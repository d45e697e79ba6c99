// What became of a service, in the log.

import type { ServiceName } from '../shared/contract/service.ts'
import type { Logger } from '../shared/log.ts'
import type { ApplyResult } from './apply.ts'

export function logResult(log: Logger, service: ServiceName, result: ApplyResult): void {
  if (result.kind === 'changed') log.info({ service, activations: result.activations }, 'changed')
  else if (result.kind === 'staged' || result.kind === 'waiting')
    log.info({ service, reason: result.reason }, result.kind)
  else log.warn({ service, reason: result.reason }, result.kind)
}
