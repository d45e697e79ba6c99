// Who has done what, newest first, and whether the log is as it was written.

import { useState } from 'preact/hooks'
import type { AuditList, AuditRecordView, AuditVerdict } from '../../../../shared/contract/audit.ts'
import type { ApiError } from '../api.ts'
import { auditQuery, mentions } from '../audit-model.ts'
import { count, instant, number, short } from '../format.ts'
import { asApiError, useLoaded, useNow } from '../hooks.ts'
import { VerbButton } from '../parts/confirm.tsx'
import { FilterField } from '../parts/filter.tsx'
import { type Column, Grid } from '../parts/grid.tsx'
import { Status } from '../parts/status.tsx'
import { Card, Empty, Failure, ReasonText, Time, Title, Waiting } from '../parts/text.tsx'
import { refilter } from '../address.ts'
import { useSession } from '../session.ts'
import type { Word } from '../words.ts'

const PAGE = 200
const PAGES_STEP = 5

export function Audit({ filter }: { filter: string }) {
  const { api } = useSession()
  const nowMs = useNow()
  const [pages, setPages] = useState(1)
  const { query, words } = auditQuery(filter)
  const { value, error } = useLoaded(
    signal => load(next => api.get<AuditList>(pathOf(query, next), signal), pages),
    { on: ['audit'], key: `${query} ${pages}`, restMs: 2_000 },
  )
  const shown = (value?.records ?? []).filter(record => mentions(record, words))
  return (
    <>
      <Title>Audit</Title>
      <Chain />
      {error === undefined ? null : <Failure error={error} attempt="Could not load the log" />}
      <Card
        title="Log"
        name="card-flush"
        aside={
          <div class="list-tools">
            <span class="muted" role="status">
              {count(shown.length, 'record')}
            </span>
            <FilterField
              value={filter}
              label="Filter records"
              placeholder="actor:ada action:freeze target:n1"
              onValue={setFilter}
            />
          </div>
        }
      >
        {value === undefined && error === undefined ? <Waiting what="Loading the log" /> : null}
        {value === undefined ? null : (
          <Grid
            label="Audit log"
            rows={shown}
            columns={columnsAt(nowMs)}
            keyOf={({ sequence }) => `${sequence}`}
            empty={<Empty title="No record matches." />}
          />
        )}
        {value?.next === undefined ? null : (
          <p class="more">
            <button type="button" class="button" onClick={() => setPages(pages + PAGES_STEP)}>
              Older ones
            </button>
          </p>
        )}
      </Card>
    </>
  )
}

function setFilter(filter: string): void {
  refilter({ view: 'audit', filter })
}

function pathOf(query: string, next: string | number | undefined): string {
  const before = next === undefined ? '' : `&before=${next}`
  return `/v1/audit?limit=${PAGE}${before}${query === '' ? '' : `&${query}`}`
}

async function load(
  ask: (next: string | number | undefined) => Promise<AuditList>,
  pages: number,
): Promise<AuditList> {
  const records: AuditRecordView[] = []
  let next: AuditList['next']
  for (let page = 0; page < pages; page++) {
    const answer = await ask(next)
    records.push(...answer.records)
    next = answer.next
    if (next === undefined) break
  }
  return { records, ...(next === undefined ? {} : { next }) }
}

function columnsAt(nowMs: number): readonly Column<AuditRecordView>[] {
  return [
    {
      title: 'When',
      width: '7rem',
      cell: ({ atMs }) => (
        <span title={instant(atMs)}>
          <Time atMs={atMs} nowMs={nowMs} />
        </span>
      ),
    },
    { title: 'Who', width: 'minmax(6rem, 1fr)', cell: ({ actor }) => <b>{actor}</b> },
    { title: 'What', width: 'minmax(8rem, 1.2fr)', cell: ({ action }) => <code>{action}</code> },
    {
      title: 'Of what',
      width: 'minmax(8rem, 1.5fr)',
      cell: ({ subject }) => <span title={subject}>{subject}</span>,
    },
    {
      title: 'Why',
      width: 'minmax(8rem, 2fr)',
      cell: ({ reason }, isChosen) =>
        reason === undefined ? null : (
          <span title={reason.message}>
            <ReasonText reason={reason} tabIndex={isChosen ? 0 : -1} />
          </span>
        ),
    },
    {
      title: 'Record',
      width: '8.5rem',
      isExtra: true,
      cell: ({ sequence, hash }) => (
        <span class="muted" title={hash}>
          {number(sequence)} <code>{short(hash)}</code>
        </span>
      ),
    },
  ]
}

const VERDICTS = {
  intact: { label: 'Intact', tone: 'ok', shape: 'check', meaning: 'Every hash holds' },
  broken: { label: 'Broken', tone: 'bad', shape: 'cross', meaning: 'A record was changed' },
  'head-missing': { label: 'Cut off', tone: 'bad', shape: 'cross', meaning: 'Records are missing' },
} as const satisfies Record<AuditVerdict['verdict'], Word>

function Chain() {
  const { api } = useSession()
  const [verdict, setVerdict] = useState<AuditVerdict>()
  const [error, setError] = useState<ApiError>()
  const [isBusy, setBusy] = useState(false)
  const verify = async () => {
    setBusy(true)
    setError(undefined)
    try {
      setVerdict(await api.get<AuditVerdict>('/v1/audit/verify'))
    } catch (thrown) {
      setError(asApiError(thrown))
    }
    setBusy(false)
  }
  return (
    <section class="card chain" aria-label="Hash chain">
      <div role="status">
        {verdict === undefined ? (
          <p class="muted">
            Every record holds the hash of the one before it. Verifying reads all of them.
          </p>
        ) : (
          <p>
            <Status word={VERDICTS[verdict.verdict]} /> {verdict.message}{' '}
            <span class="muted">{count(verdict.records, 'record')} were looked at</span>
          </p>
        )}
      </div>
      {error === undefined ? null : <Failure error={error} attempt="Not verified" />}
      <VerbButton
        label={isBusy ? 'Verifying…' : 'Verify'}
        refused={isBusy ? 'it is being verified' : undefined}
        onPress={() => void verify()}
      />
    </section>
  )
}
