// A rollout as it goes: where it is, why nothing moves, and the verbs.

import { useMemo, useRef, useState } from 'preact/hooks'
import type { RolloutEventList, RolloutView } from '../../../../shared/contract/operator-api.ts'
import type { StepList } from '../../../../shared/contract/rollout-verbs.ts'
import type { ApiError } from '../api.ts'
import { count, instant, short } from '../format.ts'
import { useLoaded, useNow } from '../hooks.ts'
import { Batches } from '../parts/batches.tsx'
import { Budgets } from '../parts/budgets.tsx'
import { Confirm, type Question, VerbButton } from '../parts/confirm.tsx'
import { RolloutSteps } from '../parts/rollout-steps.tsx'
import { segmentsOfSteps, StepBar } from '../parts/step-bar.tsx'
import { Legend, Status } from '../parts/status.tsx'
import { Card, Empty, Failure, ReasonText, Time, Title, Waiting } from '../parts/text.tsx'
import { type Choice, countSteps, hasEnded, statusWord, verbsOf } from '../rollout-model.ts'
import { hrefOf } from '../route.ts'
import { type Session, useSession } from '../session.ts'

interface Seen {
  readonly rollout: RolloutView
  readonly steps: StepList
  readonly events: RolloutEventList['events']
}

const EVENTS_SHOWN = 200
const STEPS_PAGE = 500

export function Rollout({ id }: { id: string }) {
  const session = useSession()
  const { api, me } = session
  const nowMs = useNow(1_000)
  const [question, setQuestion] = useState<Question>()
  const path = `/v1/rollouts/${encodeURIComponent(id)}`
  const shown = useRef<RolloutView>(undefined)
  const read = useMemo(() => createReader(api, path), [api, path])
  const { value, error, reload } = useLoaded(read, {
    // Steps wait for nodes and for the budgets of their groups.
    on: ['rollouts', 'leases', 'freezes'],
    key: id,
  })
  if (value === undefined)
    return (
      <>
        <Heading id={id} />
        {error === undefined ? (
          <Waiting what="Loading the rollout" />
        ) : (
          <Failure error={error} attempt="Could not load the rollout" />
        )}
      </>
    )
  const { rollout, steps } = value
  shown.current = newer(shown.current, rollout)
  const known = { ...rollout, pausedBy: steps.pausedBy }
  const ask = (choice: Choice<string>, of: string) =>
    setQuestion(questionOf(session, { choice, path: of, shown, reload }))
  return (
    <>
      <Heading
        id={id}
        rollout={rollout}
        status={<Status word={statusWord(rollout.status, steps.pausedBy)} />}
      />
      {error === undefined ? null : <Failure error={error} attempt="Could not renew it" />}
      <div class="verbs" role="group" aria-label="What to do with it">
        {verbsOf(known, me.role).map(choice => (
          <VerbButton
            key={choice.verb}
            label={choice.label}
            refused={choice.refused}
            isGrave={choice.isGrave}
            onPress={() => ask(choice, `${path}/${choice.verb}`)}
          />
        ))}
      </div>
      <Progress seen={value} nowMs={nowMs} />
      <div class="columns wide-left">
        <div class="stack">
          <RolloutSteps
            rollout={rollout}
            list={steps}
            onVerb={(node, choice) =>
              ask(
                { ...choice, effect: `${node}: ${choice.effect}` },
                `${path}/nodes/${encodeURIComponent(node)}/${choice.verb}`,
              )
            }
          />
        </div>
        <div class="stack">
          {hasEnded(rollout.status) ? null : (
            <Budgets nodes={new Set(rollout.steps.map(({ node }) => node))} />
          )}
          <Log events={value.events} nowMs={nowMs} />
        </div>
      </div>
      {question === undefined ? null : (
        <Confirm question={question} onClose={() => setQuestion(undefined)} />
      )}
    </>
  )
}

function newer(known: RolloutView | undefined, found: RolloutView): RolloutView {
  return known !== undefined && known.id === found.id && known.version > found.version
    ? known
    : found
}

/** Events are asked for once: what is known stays. */
function createReader(api: Session['api'], path: string) {
  let events: RolloutEventList['events'] = []
  return async (signal: AbortSignal): Promise<Seen> => {
    // The list begins with the oldest; people want the latest.
    const after =
      events.at(-1)?.version ??
      Math.max(0, (await api.get<RolloutView>(path, signal)).version - EVENTS_SHOWN)
    const [answer, steps] = await Promise.all([
      api.get<RolloutEventList>(`${path}/events?after=${after}&wait=0`, signal),
      allSteps(api, `${path}/steps`, signal),
    ])
    events = [...events, ...answer.events].slice(-EVENTS_SHOWN)
    return { rollout: answer.rollout, steps, events }
  }
}

/** Where it is, with the steps of all pages. */
async function allSteps(api: Session['api'], path: string, signal: AbortSignal): Promise<StepList> {
  let list = await api.get<StepList>(`${path}?limit=${STEPS_PAGE}`, signal)
  while (list.next !== undefined) {
    const query = new URLSearchParams({ limit: `${STEPS_PAGE}`, after: list.next })
    const page = await api.get<StepList>(`${path}?${query}`, signal)
    list = { ...page, steps: [...list.steps, ...page.steps] }
  }
  return list
}

function questionOf(
  { api, announce }: Session,
  given: {
    readonly choice: Choice<string>
    readonly path: string
    /** What is known of it when it is confirmed. */
    readonly shown: { current: RolloutView | undefined }
    readonly reload: () => void
  },
): Question {
  const { choice, path, shown, reload } = given
  return {
    title: `${choice.label}: revision ${shown.current?.revision ?? ''}`,
    effect: choice.effect,
    action: choice.label,
    isGrave: choice.isGrave,
    async act(reason, idempotencyKey) {
      const follows = choice.verb === 'rollback' || choice.verb === 'retry'
      const answer = await api
        .write<RolloutView>('POST', path, {
          body: reason === undefined ? {} : { reason },
          ...(HELD_TO_VERSION.has(choice.verb) && shown.current !== undefined
            ? { ifMatch: shown.current.version }
            : {}),
          idempotencyKey,
        })
        .catch((error: ApiError) => {
          // What is shown is older than what there is: the next attempt is about what is shown then.
          reload()
          throw error
        })
      announce(`${choice.label}: done`)
      if (!follows) shown.current = newer(shown.current, answer)
      reload()
      if (follows) location.hash = hrefOf({ view: 'rollout', id: answer.id, filter: '' })
    },
  }
}

/**
 * These mean what was looked at. The others must work while a rollout moves: a pause that is refused
 * because another node has just switched comes too late.
 */
const HELD_TO_VERSION: ReadonlySet<string> = new Set([
  'approve',
  'start',
  'promote',
  'rollback',
  'retry',
])

function Heading({
  id,
  rollout,
  status,
}: {
  id: string
  rollout?: RolloutView
  status?: preact.ComponentChildren
}) {
  return (
    <Title above={<a href="#/rollouts">Rollouts</a>} aside={status}>
      {rollout === undefined ? `Rollout ${short(id)}` : `Rollout of revision ${rollout.revision}`}
    </Title>
  )
}

function Progress({ seen: { rollout, steps }, nowMs }: { seen: Seen; nowMs: number }) {
  const counts = countSteps(rollout.steps)
  const done = counts.get('done') ?? 0
  const { author, startedAtMs, endedAtMs, reason, status } = rollout
  return (
    <section class="card progress" aria-label="Progress">
      <p class="progress-head">
        <b class="progress-figure">
          {done} <span>of {count(rollout.steps.length, 'node')} done</span>
        </b>
        <span class="muted">
          by {author ?? 'unknown'}
          {startedAtMs === undefined ? null : (
            <>
              , began <Time atMs={startedAtMs} nowMs={nowMs} />
            </>
          )}
          {endedAtMs === undefined ? null : (
            <>
              , ended <Time atMs={endedAtMs} nowMs={nowMs} />
            </>
          )}
        </span>
      </p>
      <StepBar counts={countSteps(rollout.steps)} />
      <Legend segments={segmentsOfSteps(counts)} />
      {steps.pausedBy.length === 0 || hasEnded(status) ? null : (
        <p class="tone-warn">
          <b>Paused: {steps.pausedBy.map(cause => PAUSE_CAUSES[cause] ?? cause).join(', ')}</b>
        </p>
      )}
      {reason === undefined ? null : (
        <p>
          <ReasonText reason={reason} />
        </p>
      )}
      <Batches list={steps} hasEnded={hasEnded(status)} nowMs={nowMs} />
    </section>
  )
}

const PAUSE_CAUSES: Readonly<Record<string, string>> = {
  manual: 'by an operator',
  inconclusive: 'a gate does not know whether to go on',
  deadline: 'nothing has moved for too long',
  frozen: 'its nodes are frozen; it goes on when that is over',
}

function Log({ events, nowMs }: { events: RolloutEventList['events']; nowMs: number }) {
  return (
    <Card title="Events">
      {events.length === 0 ? <Empty title="Nothing has happened yet." /> : null}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- it scrolls */}
      <ol class="log" tabIndex={0} aria-label="Events, latest first">
        {events.toReversed().map(({ version, atMs, kind, node, reason }) => (
          <li key={version}>
            <span class="log-when" title={instant(atMs)}>
              <Time atMs={atMs} nowMs={nowMs} />
            </span>
            <span>
              <b>{kind.replaceAll('-', ' ')}</b>{' '}
              {node === undefined ? null : (
                <a href={hrefOf({ view: 'node', name: node })}>{node}</a>
              )}
              {reason === undefined ? null : (
                <span class="muted log-reason">
                  <ReasonText reason={reason} />
                </span>
              )}
            </span>
          </li>
        ))}
      </ol>
    </Card>
  )
}
