// The CAs that there are, and how one follows another.

import type { AuthorityView } from '../../../../shared/contract/authorities.ts'
import type { RotationList, RotationSummary } from '../../../../shared/contract/rotations.ts'
import { instant, short } from '../format.ts'
import { useLoaded, useNow } from '../hooks.ts'
import { Phases } from '../parts/phases.tsx'
import { Status } from '../parts/status.tsx'
import { Advice, Card, Empty, Failure, Time, Title, Waiting } from '../parts/text.tsx'
import { hrefOf } from '../route.ts'
import { useSession } from '../session.ts'
import { AUTHORITY_STATES, ROTATION_STATES, STOPPED, TAINTED } from '../words.ts'

export function Rotations() {
  const { api } = useSession()
  const nowMs = useNow(60_000)
  const { value, error } = useLoaded(
    async signal => {
      const [{ rotations }, authorities] = await Promise.all([
        api.get<RotationList>('/v1/rotations?limit=30', signal),
        api.list<AuthorityView>('/v1/authorities', 'authorities', signal),
      ])
      return { rotations, authorities }
    },
    { on: ['rotations', 'authorities'], key: 'rotations' },
  )
  return (
    <>
      <Title>CAs and their rotation</Title>
      {error === undefined ? null : <Failure error={error} attempt="Could not load them" />}
      {value === undefined && error === undefined ? <Waiting what="Loading CAs" /> : null}
      {value === undefined ? null : (
        <>
          <Card title="Rotations" name="card-flush">
            {value.rotations.length === 0 ? (
              <Empty title="No CA has been replaced yet.">
                <Advice text="`tlsfleet ca rotate` begins: the new CA is trusted everywhere before it signs anything." />
              </Empty>
            ) : (
              <ul class="rollout-list">
                {value.rotations.map(rotation => (
                  <RotationLine key={rotation.id} rotation={rotation} nowMs={nowMs} />
                ))}
              </ul>
            )}
          </Card>
          <div class="cas">
            {value.authorities.map(ca => (
              <Authority key={ca.id} ca={ca} nowMs={nowMs} />
            ))}
          </div>
        </>
      )}
    </>
  )
}

function RotationLine({ rotation, nowMs }: { rotation: RotationSummary; nowMs: number }) {
  const { id, kind, status, stopped, isTainted, startedAtMs, endedAtMs } = rotation
  return (
    <li>
      <a href={hrefOf({ view: 'rotation', id })}>
        <span class="rollout-name">
          <b>{kind === 'issuer' ? 'Issuer of services' : `${kind} CA`}</b>
          <span class="muted">{short(id)}</span>
        </span>
        <span class="card-states">
          <Status word={stopped === undefined ? ROTATION_STATES[status] : STOPPED} />
          {isTainted ? <Status word={TAINTED} /> : null}
        </span>
        <Phases rotation={rotation} />
        <span class="muted rollout-when">
          {endedAtMs === undefined ? 'began ' : 'ended '}
          <Time atMs={endedAtMs ?? startedAtMs} nowMs={nowMs} />
        </span>
      </a>
    </li>
  )
}

function Authority({ ca, nowMs }: { ca: AuthorityView; nowMs: number }) {
  const { id, kind, state, root, intermediate, rootKey, taintedAtMs, zones, pin } = ca
  const permitted = zones === undefined ? [] : [...zones.dns, ...zones.ip]
  return (
    <Card
      title={`${kind === 'identity' ? 'Identity' : 'Service'} CA ${short(id, 12)}`}
      aside={
        <span class="card-states">
          {taintedAtMs === undefined ? null : <Status word={TAINTED} />}
          <Status word={AUTHORITY_STATES[state]} />
        </span>
      }
    >
      <dl class="facts">
        <div>
          <dt>Root</dt>
          <dd>
            {root.subject}
            <span class="line muted" title={instant(root.notAfterMs)}>
              ends <Time atMs={root.notAfterMs} nowMs={nowMs} />, its key is {rootKey}
            </span>
          </dd>
        </div>
        <div>
          <dt>Intermediate</dt>
          <dd>
            {intermediate.subject}
            <span class="line muted" title={instant(intermediate.notAfterMs)}>
              ends <Time atMs={intermediate.notAfterMs} nowMs={nowMs} />
            </span>
          </dd>
        </div>
        <div>
          <dt>Signs for</dt>
          <dd>{zones === undefined ? 'every name' : permitted.join(', ')}</dd>
        </div>
        <div>
          <dt>Pin</dt>
          <dd>
            <code class="pin">{pin}</code>
          </dd>
        </div>
      </dl>
    </Card>
  )
}
