// What has happened to a node: rollouts that it was in, and what operators did with it.

import { useState } from 'preact/hooks'
import type { AuditList } from '../../../../shared/contract/audit.ts'
import type { NodeRolloutList } from '../../../../shared/contract/node-history.ts'
import { useLoaded, useNow } from '../hooks.ts'
import { historyOf } from '../node-history.ts'
import { hrefOf } from '../route.ts'
import { useSession } from '../session.ts'
import { STEP_STATES } from '../words.ts'
import { ShapeIcon } from './icons.tsx'
import { Card, Empty, Failure, ReasonText, Time, Waiting } from './text.tsx'

// The newest; then as many as one answer of the API has.
const LIMIT = 30
const LIMIT_MAX = 500

export function NodeHistory({ name }: { name: string }) {
  const { api } = useSession()
  const nowMs = useNow()
  const [limit, setLimit] = useState(LIMIT)
  const { value, error } = useLoaded(
    async signal => {
      const node = encodeURIComponent(name)
      const [rollouts, audit] = await Promise.all([
        api.get<NodeRolloutList>(`/v1/nodes/${node}/rollouts?limit=${limit}`, signal),
        api.get<AuditList>(`/v1/audit?target=${node}&limit=${limit}`, signal),
      ])
      return historyOf(rollouts, audit)
    },
    { on: ['rollouts', 'audit'], key: `${name} ${limit}`, restMs: 3_000 },
  )
  return (
    <Card title="History">
      {value === undefined && error === undefined ? <Waiting what="Loading" /> : null}
      {error === undefined ? null : <Failure error={error} attempt="Could not load it" />}
      {value?.happenings.length === 0 ? <Empty title="Nothing has happened to it yet." /> : null}
      <ol class="history">
        {(value?.happenings ?? []).map(({ key, atMs, rollout, entry }) => (
          <li key={key}>
            <span class="history-when">
              <Time atMs={atMs} nowMs={nowMs} />
            </span>
            {rollout === undefined ? null : (
              <div>
                <span class={`tone-${STEP_STATES[rollout.step.state].tone} status`}>
                  <ShapeIcon shape={STEP_STATES[rollout.step.state].shape} />
                  <a href={hrefOf({ view: 'rollout', id: rollout.rollout, filter: '' })}>
                    Revision {rollout.revision}
                  </a>
                </span>{' '}
                {STEP_STATES[rollout.step.state].label.toLowerCase()}
                {rollout.step.reason === undefined ? null : (
                  <p class="muted">
                    <ReasonText reason={rollout.step.reason} />
                  </p>
                )}
              </div>
            )}
            {entry === undefined ? null : (
              <div>
                <b>{entry.action}</b> <span class="muted">by {entry.actor}</span>
                {entry.reason === undefined ? null : (
                  <p class="muted">
                    <ReasonText reason={entry.reason} />
                  </p>
                )}
              </div>
            )}
          </li>
        ))}
      </ol>
      {value?.hasMore === true && limit < LIMIT_MAX ? (
        <p class="more">
          <button type="button" class="button small" onClick={() => setLimit(LIMIT_MAX)}>
            Older ones
          </button>
        </p>
      ) : null}
    </Card>
  )
}
