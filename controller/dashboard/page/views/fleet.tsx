// The fleet at a glance, and every node of it.

import { useMemo, useState } from 'preact/hooks'
import type { NodeState, RolloutView } from '../../../../shared/contract/operator-api.ts'
import {
  byLabel,
  byProduct,
  countStates,
  inWords,
  labelKeys,
  type Part,
  shownStates,
  STATE_ORDER,
  type StateCounts,
} from '../fleet-summary.ts'
import { count, number } from '../format.ts'
import { useLoaded, useNodes, useNow } from '../hooks.ts'
import { hasTerm, matches, parseFilter, toggleTerm } from '../node-filter.ts'
import type { NodeRow } from '../node-row.ts'
import { type Column, Grid } from '../parts/grid.tsx'
import { ShapeIcon } from '../parts/icons.tsx'
import { FilterField } from '../parts/filter.tsx'
import { Meter, type Segment, Status } from '../parts/status.tsx'
import { Advice, Card, Empty, Failure, Labels, Time, Title, Waiting } from '../parts/text.tsx'
import { countsOf, hasEnded } from '../rollout-model.ts'
import { hrefOf } from '../route.ts'
import { refilter } from '../address.ts'
import { useSession } from '../session.ts'
import { NODE_STATES, ROLLOUT_STATES } from '../words.ts'

export function Fleet({ filter }: { filter: string }) {
  const { me } = useSession()
  const { rows, error, isLoading } = useNodes()
  if (rows === undefined)
    return (
      <>
        <Title>Fleet {me.fleet}</Title>
        {error === undefined ? (
          <Waiting what="Loading nodes" />
        ) : (
          <Failure error={error} attempt="Could not load the nodes" />
        )}
      </>
    )
  const counts = countStates(rows)
  return (
    <>
      <Title aside={<RolloutsUnderWay />}>Fleet {me.fleet}</Title>
      {error === undefined ? null : <Failure error={error} attempt="Could not renew the nodes" />}
      {rows.length === 0 && !isLoading ? (
        <FirstNode />
      ) : (
        <>
          <Glance counts={counts} total={rows.length} filter={filter} />
          <Parts rows={rows} filter={filter} />
          <NodeList rows={rows} filter={filter} isLoading={isLoading} />
        </>
      )}
    </>
  )
}

export function setFilter(filter: string): void {
  refilter({ view: 'fleet', filter })
}

function segmentsOf(counts: StateCounts): readonly Segment[] {
  return STATE_ORDER.toReversed().map(state => ({
    word: NODE_STATES[state],
    value: counts.get(state) ?? 0,
  }))
}

function Glance({ counts, total, filter }: { counts: StateCounts; total: number; filter: string }) {
  return (
    <section class="glance" aria-label="States">
      <Meter segments={segmentsOf(counts)} label={inWords(counts)} />
      <div class="tiles">
        {shownStates(counts).map(state => (
          <Tile key={state} state={state} counts={counts} total={total} filter={filter} />
        ))}
      </div>
    </section>
  )
}

function Tile({
  state,
  counts,
  total,
  filter,
}: {
  state: NodeState
  counts: StateCounts
  total: number
  filter: string
}) {
  const word = NODE_STATES[state]
  const value = counts.get(state) ?? 0
  const term = `state:${state}`
  const share = total === 0 ? 0 : (value / total) * 100
  return (
    <button
      type="button"
      class={`tile tone-${value === 0 ? 'none' : word.tone}`}
      aria-pressed={hasTerm(filter, term)}
      title={word.meaning}
      onClick={() => setFilter(toggleTerm(filter, term))}
    >
      <span class="tile-name">
        <ShapeIcon shape={word.shape} />
        {word.label}
      </span>
      <span class="tile-value">{number(value)}</span>
      <span class="tile-share">{value === 0 ? 'none' : shareText(share)}</span>
    </button>
  )
}

function shareText(percent: number): string {
  if (percent === 100) return 'all of them'
  return percent < 1 ? 'less than 1 %' : `${Math.min(99, Math.round(percent))} %`
}

const PARTS_SHOWN = 8

function Parts({ rows, filter }: { rows: readonly NodeRow[]; filter: string }) {
  const keys = useMemo(() => labelKeys(rows), [rows])
  const products = useMemo(() => byProduct(rows), [rows])
  const [chosen, setChosen] = useState<string>()
  const key = chosen !== undefined && keys.includes(chosen) ? chosen : keys[0]
  const labelled = useMemo(() => (key === undefined ? [] : byLabel(rows, key)), [rows, key])
  return (
    <div class="columns">
      <Card title="By product">
        {products.length === 0 ? (
          <Empty title="No node has reported a product yet." />
        ) : (
          <PartList parts={products} filter={filter} />
        )}
      </Card>
      <Card
        title="By label"
        aside={
          keys.length < 2 ? null : (
            <select
              aria-label="Label"
              value={key}
              onChange={event => setChosen(event.currentTarget.value)}
            >
              {keys.map(one => (
                <option key={one} value={one}>
                  {one}
                </option>
              ))}
            </select>
          )
        }
      >
        {key === undefined ? (
          <Empty title="No node has a label.">
            <Advice text="Give some when you add a node: `tlsfleet node add n1 --label role=meta`." />
          </Empty>
        ) : (
          <PartList parts={labelled} filter={filter} />
        )}
      </Card>
    </div>
  )
}

function PartList({ parts, filter }: { parts: readonly Part[]; filter: string }) {
  const [isOpen, setOpen] = useState(false)
  const shown = isOpen ? parts : parts.slice(0, PARTS_SHOWN)
  return (
    <>
      <ul class="parts">
        {shown.map(part => (
          <li key={part.term}>
            <button
              type="button"
              class="part"
              aria-pressed={hasTerm(filter, part.term)}
              title={inWords(part.states)}
              onClick={() => setFilter(toggleTerm(filter, part.term))}
            >
              <span class="part-name">{part.name}</span>
              <Meter segments={segmentsOf(part.states)} label={inWords(part.states)} />
              <span class="part-total">{number(part.total)}</span>
              <Worst states={part.states} />
            </button>
          </li>
        ))}
      </ul>
      {parts.length <= PARTS_SHOWN ? null : (
        <button type="button" class="button quiet small" onClick={() => setOpen(!isOpen)}>
          {isOpen ? 'Fewer' : `${parts.length - PARTS_SHOWN} more`}
        </button>
      )}
    </>
  )
}

/** What is worst among them, in words: the bar alone would tell it by colour. */
function Worst({ states }: { states: StateCounts }) {
  const worst = STATE_ORDER.find(state => (states.get(state) ?? 0) > 0)
  if (worst === undefined) return null
  const word = NODE_STATES[worst]
  return (
    <span class={`part-worst tone-${word.tone}`}>
      <ShapeIcon shape={word.shape} />
      {worst === 'converged'
        ? 'all converged'
        : `${number(states.get(worst) ?? 0)} ${word.label.toLowerCase()}`}
    </span>
  )
}

function NodeList({
  rows,
  filter,
  isLoading,
}: {
  rows: readonly NodeRow[]
  filter: string
  isLoading: boolean
}) {
  const nowMs = useNow()
  const shown = useMemo(() => {
    const parsed = parseFilter(filter)
    return rows.filter(row => matches(row, parsed))
  }, [rows, filter])
  return (
    <Card
      title="Nodes"
      name="card-flush"
      aside={
        <div class="list-tools">
          <span class="muted" role="status">
            {shown.length === rows.length
              ? count(rows.length, 'node')
              : `${number(shown.length)} of ${count(rows.length, 'node')}`}
            {isLoading ? ', loading more' : ''}
          </span>
          <FilterField
            value={filter}
            label="Filter nodes"
            placeholder="name, role=meta, env!=prod, state:failed"
            onValue={setFilter}
          />
        </div>
      }
    >
      <Grid
        label="Nodes"
        rows={shown}
        columns={columnsAt(nowMs)}
        keyOf={({ name }) => name}
        hrefOf={({ name }) => hrefOf({ view: 'node', name })}
        empty={
          <Empty title="No node matches the filter.">
            <button type="button" class="button" onClick={() => setFilter('')}>
              Show all
            </button>
          </Empty>
        }
      />
    </Card>
  )
}

function columnsAt(nowMs: number): readonly Column<NodeRow>[] {
  return [
    {
      title: 'Node',
      width: 'minmax(9.5rem, 1.3fr)',
      cell: ({ name }) => (
        <a class="strong" tabIndex={-1} href={hrefOf({ view: 'node', name })}>
          {name}
        </a>
      ),
    },
    {
      title: 'State',
      width: '8.5rem',
      cell: ({ state }) => <Status word={NODE_STATES[state]} />,
    },
    {
      title: 'Why',
      width: 'minmax(10rem, 2.2fr)',
      cell: ({ state, reason }) =>
        state === 'converged' ? (
          <span class="muted">{reason.message}</span>
        ) : (
          <span title={`${reason.code}: ${reason.message}`}>{reason.message}</span>
        ),
    },
    {
      title: 'Products',
      width: 'minmax(8rem, 1.2fr)',
      isExtra: true,
      cell: ({ products }) => products.join(', '),
    },
    {
      title: 'Labels',
      width: 'minmax(9rem, 1.9fr)',
      isExtra: true,
      cell: ({ labels }) => <Labels labels={labels} />,
    },
    {
      title: 'Heard of',
      width: '6.5rem',
      cell: ({ seenAtMs }) =>
        seenAtMs === undefined ? (
          <span class="muted">never</span>
        ) : (
          <Time atMs={seenAtMs} nowMs={nowMs} />
        ),
    },
  ]
}

function FirstNode() {
  return (
    <Empty title="There is no node yet.">
      <Advice text="`tlsfleet node add NAME --dns NAME.example.org` answers with the line to paste on the machine." />
    </Empty>
  )
}

const OPEN_ROLLOUTS =
  '/v1/rollouts?limit=4&steps=counts&status=planned&status=staging&status=running&status=draining'

function RolloutsUnderWay() {
  const { api } = useSession()
  const { value } = useLoaded(
    signal => api.get<{ rollouts: readonly RolloutView[] }>(OPEN_ROLLOUTS, signal),
    { on: ['rollouts'], key: 'open' },
  )
  const open = (value?.rollouts ?? []).filter(({ status }) => !hasEnded(status))
  return (
    <>
      {open.slice(0, 2).map(rollout => {
        const { id, status, revision } = rollout
        const { counts, nodes } = countsOf(rollout)
        const done = counts.get('done') ?? 0
        return (
          <a key={id} class="under-way" href={hrefOf({ view: 'rollout', id, filter: '' })}>
            <Status word={ROLLOUT_STATES[status]} plain />
            <span>
              Revision {revision}: {number(done)} of {count(nodes, 'node')}
            </span>
          </a>
        )
      })}
    </>
  )
}
