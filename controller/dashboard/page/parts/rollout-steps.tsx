// Every node of a rollout: its state, why it waits, and what can be done about it.

import { useMemo, useState } from 'preact/hooks'
import type { RolloutView } from '../../../../shared/contract/operator-api.ts'
import type { StepList } from '../../../../shared/contract/rollout-verbs.ts'
import type { Reason } from '../../../../shared/contract/schema.ts'
import { count, number } from '../format.ts'
import { useNow } from '../hooks.ts'
import { type Choice, stepsInOrder, type StepVerb, stepVerbsOf } from '../rollout-model.ts'
import { hrefOf } from '../route.ts'
import { useSession } from '../session.ts'
import { STEP_STATES } from '../words.ts'
import { VerbButton } from './confirm.tsx'
import { FilterField } from './filter.tsx'
import { type Column, Grid } from './grid.tsx'
import { Status } from './status.tsx'
import { Card, Empty, ReasonText, Time } from './text.tsx'

type Step = RolloutView['steps'][number] & {
  readonly batch: number | undefined
  readonly waiting: Reason | undefined
}

export function RolloutSteps({
  rollout,
  list,
  onVerb,
}: {
  rollout: RolloutView
  list: StepList
  onVerb: (node: string, choice: Choice<StepVerb>) => void
}) {
  const { me } = useSession()
  const nowMs = useNow()
  const [filter, setFilter] = useState('')
  const steps = useMemo(() => {
    const more = new Map(list.steps.map(step => [step.node, step]))
    return stepsInOrder(
      rollout.steps.map((step): Step => {
        const known = more.get(step.node)
        return { ...step, batch: known?.batch, waiting: known?.waiting }
      }),
    )
  }, [rollout, list])
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean)
  const shown = steps.filter(({ node, state, waiting, reason }) => {
    const label = STEP_STATES[state].label.toLowerCase()
    const text = `${node} ${state} ${label} ${waiting?.code ?? ''} ${reason?.code ?? ''}`
    return words.every(word => text.includes(word))
  })
  const columns: readonly Column<Step>[] = [
    {
      title: 'Node',
      width: 'minmax(9.5rem, 1.3fr)',
      cell: ({ node }) => (
        <a class="strong" tabIndex={-1} href={hrefOf({ view: 'node', name: node })}>
          {node}
        </a>
      ),
    },
    { title: 'State', width: '8rem', cell: ({ state }) => <Status word={STEP_STATES[state]} /> },
    {
      title: 'Why',
      width: 'minmax(9rem, 2.2fr)',
      cell: ({ waiting, reason }, isChosen) => {
        const why = waiting ?? reason
        return why === undefined ? null : (
          <span title={`${why.code}: ${why.message}`}>
            <ReasonText reason={why} tabIndex={isChosen ? 0 : -1} />
          </span>
        )
      },
    },
    {
      title: 'Batch',
      width: '4rem',
      isExtra: true,
      cell: ({ batch }) => (batch === undefined || batch < 0 ? '' : number(batch + 1)),
    },
    {
      title: 'Since',
      width: '6rem',
      isExtra: true,
      cell: ({ sinceMs }) => <Time atMs={sinceMs} nowMs={nowMs} />,
    },
    {
      title: 'Verb',
      width: '7rem',
      cell: ({ node, state }, isChosen) =>
        stepVerbsOf(state, rollout.status, me.role).map(choice => (
          <VerbButton
            key={choice.verb}
            label={choice.label}
            refused={choice.refused}
            isGrave={choice.isGrave}
            isSmall
            tabIndex={isChosen ? 0 : -1}
            onPress={() => onVerb(node, choice)}
          />
        )),
    },
  ]
  return (
    <Card
      title="Nodes"
      name="card-flush"
      aside={
        <div class="list-tools">
          <span class="muted" role="status">
            {shown.length === steps.length
              ? count(steps.length, 'node')
              : `${shown.length} of ${count(steps.length, 'node')}`}
          </span>
          <FilterField
            value={filter}
            label="Filter nodes"
            placeholder="name, state or reason"
            onValue={setFilter}
          />
        </div>
      }
    >
      <Grid
        label="Nodes of the rollout"
        rows={shown}
        columns={columns}
        keyOf={({ node }) => node}
        hrefOf={({ node }) => hrefOf({ view: 'node', name: node })}
        empty={<Empty title="No node matches the filter." />}
      />
    </Card>
  )
}
