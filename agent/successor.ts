// Makes the release that will follow a self-signed certificate, beside the one in use.

import type { Mode } from '../shared/contract/desired-state.ts'
import { OperationalError, describeError } from '../shared/errors.ts'
import type { Logger } from '../shared/log.ts'
import type { ServicePlan } from './plan.ts'
import { type ReleaseTools, makeRelease } from './release.ts'

/** True: it is there now. A failure is no failure of the service; the next pass tries again. */
export async function prepareSuccessor(
  tools: ReleaseTools & { readonly log: Logger },
  plan: ServicePlan,
  mode: Mode,
): Promise<boolean> {
  if (plan.kind !== 'actionable' || plan.isInactive || mode !== 'enforce') return false
  const { material, service } = plan
  const reason = material.kind === 'keep' ? material.succession?.prepareFor : undefined
  if (reason === undefined) return false
  try {
    const { facts } = await makeRelease(tools, plan, plan.facts.storePassword?.password)
    tools.log.info({ service, reason, fingerprint: facts.fingerprint }, 'next certificate prepared')
    return true
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    const { code } = error
    tools.log.warn({ service, code, error: describeError(error) }, 'no next certificate')
    return false
  }
}
