// How the gates of a rollout were judged, and what its current batch is compared with. Read from the log,
// in which every judgement is an event.

import {
  GateList,
  type GateResult,
  ROLLOUT_VERB_ROUTES,
} from '../../../shared/contract/rollout-verbs.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { gatesOf } from '../../rollout/batches.ts'
import type { RolloutEvent } from '../../rollout/rollout.ts'
import type { ApiContext, App } from '../context.ts'
import { Nothing, RolloutParams } from '../fields.ts'

export function rolloutGatesRoute(app: App, { store }: ApiContext): void {
  app.get(
    ROLLOUT_VERB_ROUTES.gates,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Show how the gates of a rollout were judged, and by which evidence',
        params: RolloutParams,
        querystring: Nothing,
        response: { 200: GateList },
      },
    },
    request =>
      store.transaction(async (tx): Promise<GateList> => {
        const { id } = request.params
        const rollout = await tx.rollouts.get(id)
        if (rollout === undefined)
          throw new OperationalError('not-found', `there is no rollout ${id}`)
        const limit = Number.MAX_SAFE_INTEGER
        const { baseline } = rollout
        return {
          wanted: [...gatesOf(rollout)],
          ...(baseline === undefined
            ? {}
            : { baseline: { unseen: [...baseline.unseen], clusters: [...baseline.clusters] } }),
          results: resultsIn(await tx.rollouts.events(id, { after: 0, limit })),
        }
      }),
  )
}

/** Phases and batches are counted from 1, as people do. */
export function resultsIn(
  stored: readonly { readonly version: number; readonly event: RolloutEvent }[],
): GateResult[] {
  const results: GateResult[] = []
  let [phase, batch] = [1, 1]
  for (const { version, event } of stored) {
    if (event.kind === 'batch-passed') batch++
    if (event.kind === 'phase-passed') [phase, batch] = [phase + 1, 1]
    if (event.kind !== 'gate-judged') continue
    const { atMs, gate, verdict, reason } = event
    results.push({ version, atMs, phase, batch, gate, verdict, evidence: reason })
  }
  return results
}
