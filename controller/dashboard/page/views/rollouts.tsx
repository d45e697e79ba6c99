// The latest rollouts, those under way first.

import type { RolloutView } from '../../../../shared/contract/operator-api.ts'
import { count, short } from '../format.ts'
import { useLoaded, useNow } from '../hooks.ts'
import { StepBar } from '../parts/step-bar.tsx'
import { Status } from '../parts/status.tsx'
import { Advice, Card, Empty, Failure, ReasonText, Time, Title, Waiting } from '../parts/text.tsx'
import { countsOf, hasEnded } from '../rollout-model.ts'
import { hrefOf } from '../route.ts'
import { useSession } from '../session.ts'
import { ROLLOUT_STATES } from '../words.ts'

const PATH = '/v1/rollouts?limit=30&steps=counts'

export function Rollouts() {
  const { api } = useSession()
  const { value, error } = useLoaded(
    signal => api.get<{ rollouts: readonly RolloutView[] }>(PATH, signal),
    { on: ['rollouts'], key: 'rollouts' },
  )
  const open = (value?.rollouts ?? []).filter(({ status }) => !hasEnded(status))
  const ended = (value?.rollouts ?? []).filter(({ status }) => hasEnded(status))
  return (
    <>
      <Title>Rollouts</Title>
      {error === undefined ? null : <Failure error={error} attempt="Could not load them" />}
      {value === undefined && error === undefined ? <Waiting what="Loading rollouts" /> : null}
      {value !== undefined && open.length + ended.length === 0 ? (
        <Empty title="Nothing has been rolled out yet.">
          <Advice text="`tlsfleet plan -f fleet.yaml` says what would change, `tlsfleet apply -f fleet.yaml` makes a rollout of it." />
        </Empty>
      ) : null}
      {open.length === 0 ? null : <RolloutCard title="Under way" rollouts={open} />}
      {ended.length === 0 ? null : <RolloutCard title="Ended" rollouts={ended} />}
    </>
  )
}

function RolloutCard({ title, rollouts }: { title: string; rollouts: readonly RolloutView[] }) {
  const nowMs = useNow()
  return (
    <Card title={title} name="card-flush">
      <ul class="rollout-list">
        {rollouts.map(rollout => (
          <RolloutLine key={rollout.id} rollout={rollout} nowMs={nowMs} />
        ))}
      </ul>
    </Card>
  )
}

function RolloutLine({ rollout, nowMs }: { rollout: RolloutView; nowMs: number }) {
  const { id, revision, author, status, reason, startedAtMs, endedAtMs } = rollout
  const { counts, nodes } = countsOf(rollout)
  return (
    <li>
      <a href={hrefOf({ view: 'rollout', id, filter: '' })}>
        <span class="rollout-name">
          <b>Revision {revision}</b>
          <span class="muted">
            {short(id)} by {author ?? 'unknown'}
          </span>
        </span>
        <Status word={ROLLOUT_STATES[status]} />
        <span class="rollout-progress">
          <StepBar counts={counts} />
          <span class="muted">
            {count(nodes, 'node')}
            {reason === undefined || status === 'succeeded' ? null : (
              <>
                {', '}
                <ReasonText reason={reason} isPlain />
              </>
            )}
          </span>
        </span>
        <span class="muted rollout-when">
          {endedAtMs !== undefined ? (
            <>
              ended <Time atMs={endedAtMs} nowMs={nowMs} />
            </>
          ) : startedAtMs !== undefined ? (
            <>
              began <Time atMs={startedAtMs} nowMs={nowMs} />
            </>
          ) : (
            'not started'
          )}
        </span>
      </a>
    </li>
  )
}
