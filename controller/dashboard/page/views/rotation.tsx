// One rotation: its phase, who is in the way by name, and what it waits for.

import { useState } from 'preact/hooks'
import type { RotationView } from '../../../../shared/contract/rotations.ts'
import { count, short } from '../format.ts'
import { useLoaded, useNow } from '../hooks.ts'
import { Confirm, type Question, VerbButton } from '../parts/confirm.tsx'
import { Phases, PHASES } from '../parts/phases.tsx'
import { Legend, Meter, type Segment, Status } from '../parts/status.tsx'
import { Card, Empty, Failure, ReasonText, Time, Title, Waiting } from '../parts/text.tsx'
import { refusalFor } from '../rights.ts'
import { rotationVerbsOf, type RotationChoice } from '../rotation-model.ts'
import { hrefOf } from '../route.ts'
import { useSession } from '../session.ts'
import { NOT_KNOWN, PLACES, ROTATION_STATES, STOPPED, TAINTED } from '../words.ts'

export function Rotation({ id }: { id: string }) {
  const { api, me, announce } = useSession()
  const nowMs = useNow()
  const [question, setQuestion] = useState<Question>()
  const path = `/v1/rotations/${encodeURIComponent(id)}`
  const { value, error, reload } = useLoaded(signal => api.get<RotationView>(path, signal), {
    on: ['rotations', 'rollouts', 'nodes'],
    key: id,
    restMs: 2_000,
  })
  if (value === undefined)
    return (
      <>
        <Title above={<a href="#/rotations">CAs</a>}>Rotation {short(id)}</Title>
        {error === undefined ? (
          <Waiting what="Loading the rotation" />
        ) : (
          <Failure error={error} attempt="Could not load the rotation" />
        )}
      </>
    )
  const ask = (choice: RotationChoice) =>
    setQuestion({
      title: `${choice.label}: rotation ${short(id)}`,
      effect: choice.effect,
      action: choice.label,
      isGrave: choice.isGrave,
      async act(reason, idempotencyKey) {
        const body = reason === undefined ? {} : { reason }
        const ifMatch = value.version
        await api.write('POST', `${path}/${choice.verb}`, { body, idempotencyKey, ifMatch })
        announce(`${choice.label}: done`)
        reload()
      },
    })
  const { kind, status, stopped, isTainted } = value
  return (
    <>
      <Title
        above={<a href="#/rotations">CAs</a>}
        aside={
          <>
            <Status word={stopped === undefined ? ROTATION_STATES[status] : STOPPED} />
            {isTainted ? <Status word={TAINTED} /> : null}
          </>
        }
      >
        {kind === 'issuer' ? 'Change of issuer' : `Rotation of the ${kind} CA`}
      </Title>
      {error === undefined ? null : <Failure error={error} attempt="Could not renew it" />}
      {status === 'running' ? (
        <div class="verbs" role="group" aria-label="What to do with it">
          {rotationVerbsOf(value, me.name).map(choice => (
            <VerbButton
              key={choice.verb}
              label={choice.label}
              refused={refusalFor(me.role, choice.right) ?? choice.refused}
              isGrave={choice.isGrave}
              onPress={() => ask(choice)}
            />
          ))}
        </div>
      ) : null}
      <Where rotation={value} nowMs={nowMs} />
      <div class="columns wide-left">
        <Barrier rotation={value} />
        <History rotation={value} nowMs={nowMs} />
      </div>
      {question === undefined ? null : (
        <Confirm question={question} onClose={() => setQuestion(undefined)} />
      )}
    </>
  )
}

const WAITS = {
  nothing: undefined,
  rollout: 'It waits for its rollout.',
  barrier: 'It waits for the nodes below.',
  advance: 'Everything is in place. It waits for somebody to confirm the next phase.',
  resume: 'It waits to be resumed.',
} as const satisfies Record<RotationView['waitsFor'], string | undefined>

function waitText({ waitsFor, needsOthers, author, confirmedBy }: RotationView) {
  if (waitsFor !== 'advance' || needsOthers === 0) return WAITS[waitsFor]
  const so = confirmedBy.length === 0 ? '' : ` (${confirmedBy.join(', ')} confirmed it)`
  return `Everything is in place. It waits for ${count(needsOthers, 'operator')} other than ${author}${so}: the next phase removes trust.`
}

function Where({ rotation, nowMs }: { rotation: RotationView; nowMs: number }) {
  const { phase, phaseSinceMs, rollout, stopped, direction, pace, status } = rotation
  const meaning = PHASES.find(one => one.phase === phase)?.meaning ?? ''
  return (
    <section class="card progress" aria-label="Phase">
      <Phases rotation={rotation} />
      <p>
        <b>{phase}</b> <span class="muted">({meaning.toLowerCase()})</span> since{' '}
        <Time atMs={phaseSinceMs} nowMs={nowMs} />, pace {pace}
        {direction === 'reverse' ? ', being taken back' : ''}.{' '}
        {status === 'running' ? waitText(rotation) : ''}{' '}
        {rollout === undefined ? null : (
          <a href={hrefOf({ view: 'rollout', id: rollout, filter: '' })}>
            Rollout {short(rollout)}
          </a>
        )}
      </p>
      {stopped === undefined ? null : (
        <p class="tone-warn">
          <ReasonText reason={stopped} />
        </p>
      )}
    </section>
  )
}

function Barrier({ rotation: { barrier, nodes, status } }: { rotation: RotationView }) {
  const segments: readonly Segment[] = Object.entries(PLACES)
    .toReversed()
    .map(([place, word]) => ({ word, value: nodes.filter(one => one.place === place).length }))
  return (
    <Card title="Nodes" aside={<span class="muted">{count(nodes.length, 'node')}</span>}>
      <Meter segments={segments} label="Where the nodes are" />
      <Legend segments={segments} />
      {barrier.blockers.length === 0 ? (
        <Empty title={status === 'running' ? 'Nobody is in the way.' : 'It has ended.'} />
      ) : (
        <ul class="blockers" aria-label="In the way">
          {barrier.blockers.map(({ node, service, listener, reason, isUnknown }) => (
            <li key={`${node} ${service ?? ''} ${listener ?? ''} ${reason.code}`}>
              <Status word={isUnknown ? NOT_KNOWN : PLACES.behind} plain />
              <span>
                <a href={hrefOf({ view: 'node', name: node })}>{node}</a>{' '}
                {[service, listener].filter(one => one !== undefined).join(' ')}
                <span class="muted line">
                  <ReasonText reason={reason} />
                </span>
              </span>
            </li>
          ))}
        </ul>
      )}
      {barrier.total > barrier.blockers.length ? (
        <p class="muted">and {count(barrier.total - barrier.blockers.length, 'more', 'more')}</p>
      ) : null}
    </Card>
  )
}

function History({ rotation: { history }, nowMs }: { rotation: RotationView; nowMs: number }) {
  return (
    <Card title="History">
      <ol class="history">
        {history.toReversed().map(({ version, atMs, actor, kind, phase, reason }) => (
          <li key={version}>
            <span class="history-when">
              <Time atMs={atMs} nowMs={nowMs} />
            </span>
            <div>
              <b>{kind.replaceAll('-', ' ')}</b> {phase ?? ''} <span class="muted">by {actor}</span>
              {reason === undefined ? null : (
                <p class="muted">
                  <ReasonText reason={reason} />
                </p>
              )}
            </div>
          </li>
        ))}
      </ol>
    </Card>
  )
}
