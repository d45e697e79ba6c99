// When certificates end, and which of them nobody will renew.

import { useMemo, useState } from 'preact/hooks'
import type { CertificateView } from '../../../../shared/contract/certificates.ts'
import { commonName, count, instant, number } from '../format.ts'
import { useLoaded, useNow } from '../hooks.ts'
import { FilterField } from '../parts/filter.tsx'
import { type Column, Grid } from '../parts/grid.tsx'
import { Status } from '../parts/status.tsx'
import { TimelineChart } from '../parts/timeline-chart.tsx'
import { Card, Empty, Failure, ReasonText, Time, Title, Waiting } from '../parts/text.tsx'
import { hrefOf } from '../route.ts'
import { refilter } from '../address.ts'
import { useSession } from '../session.ts'
import { byEnd, fateOf, nameOf, timelineOf } from '../timeline.ts'
import { CERTIFICATE_STATES } from '../words.ts'

// The inventory of a large fleet is dear to work out, and certificates last for weeks.
const REST_MS = 20_000

export function Certificates({ filter }: { filter: string }) {
  const { api } = useSession()
  const nowMs = useNow(60_000)
  const [isDown, setDown] = useState(false)
  const [isUnrenewed, setUnrenewed] = useState(false)
  const path = `/v1/certificates${isDown ? '?controller=down' : ''}`
  const { value, error } = useLoaded(
    signal => api.list<CertificateView>(path, 'certificates', signal),
    { on: ['nodes', 'authorities'], key: path, restMs: REST_MS },
  )
  const shown = useMemo(
    () => (value === undefined ? [] : select(byEnd(value), filter, isUnrenewed)),
    [value, filter, isUnrenewed],
  )
  return (
    <>
      <Title>Certificates</Title>
      {error === undefined ? null : <Failure error={error} attempt="Could not load them" />}
      {value === undefined && error === undefined ? (
        <Waiting what="Working out the forecast" />
      ) : null}
      {value === undefined ? null : (
        <>
          <Card
            title="Forecast"
            aside={
              <label class="switch">
                <input
                  type="checkbox"
                  checked={isDown}
                  onChange={event => setDown(event.currentTarget.checked)}
                />
                If the controller stayed away from now on
              </label>
            }
          >
            <Verdict certificates={value} nowMs={nowMs} isDown={isDown} />
            <TimelineChart timeline={timelineOf(value, nowMs)} nowMs={nowMs} />
          </Card>
          <Card
            title="By end"
            name="card-flush"
            aside={
              <div class="list-tools">
                <label class="switch">
                  <input
                    type="checkbox"
                    checked={isUnrenewed}
                    onChange={event => setUnrenewed(event.currentTarget.checked)}
                  />
                  Only what nobody renews
                </label>
                <span class="muted" role="status">
                  {count(shown.length, 'certificate')}
                </span>
                <FilterField
                  value={filter}
                  label="Filter certificates"
                  placeholder="node, service, name, issuer"
                  onValue={setFilter}
                />
              </div>
            }
          >
            <Grid
              label="Certificates"
              rows={shown}
              columns={columnsAt(nowMs)}
              keyOf={keyOf}
              hrefOf={({ node }) =>
                node === undefined ? undefined : hrefOf({ view: 'node', name: node })
              }
              empty={<Empty title="No certificate matches." />}
            />
          </Card>
        </>
      )}
    </>
  )
}

function setFilter(filter: string): void {
  refilter({ view: 'certificates', filter })
}

function select(
  certificates: readonly CertificateView[],
  filter: string,
  isUnrenewed: boolean,
): readonly CertificateView[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean)
  return certificates.filter(one => {
    if (isUnrenewed && one.unrenewed === undefined) return false
    const { node, service, issuer, subject, state, fingerprint, names } = one
    const known = [nameOf(one), node, service, issuer, subject, state, fingerprint, names?.dns]
    const text = [known, names?.ip].flat(2).join(' ').toLowerCase()
    return words.every(word => text.includes(word))
  })
}

function keyOf({ kind, node, service, listener, fingerprint, role }: CertificateView): string {
  return [kind, node, service, listener, role, fingerprint].join(' ')
}

function Verdict({
  certificates,
  nowMs,
  isDown,
}: {
  certificates: readonly CertificateView[]
  nowMs: number
  isDown: boolean
}) {
  const fates = certificates.map(one => fateOf(one, nowMs))
  const ended = fates.filter(fate => fate === 'ended').length
  const unrenewed = fates.filter(fate => fate === 'unrenewed').length
  const first = byEnd(certificates).find(
    one => one.unrenewed !== undefined && (one.notAfterMs ?? 0) > nowMs,
  )
  if (ended + unrenewed === 0)
    return <p class="verdict">All {number(certificates.length)} are renewed before they end.</p>
  return (
    <p class="verdict">
      {ended === 0 ? null : <b class="tone-bad">{number(ended)} have ended. </b>}
      {unrenewed === 0 ? null : (
        <b class="tone-warn">{number(unrenewed)} will not be renewed if nothing changes. </b>
      )}
      {first?.notAfterMs === undefined ? null : (
        <span>
          The first of them ends <Time atMs={first.notAfterMs} nowMs={nowMs} />: {nameOf(first)}
          {isDown ? ', without the controller' : ''}.
        </span>
      )}
    </p>
  )
}

function columnsAt(nowMs: number): readonly Column<CertificateView>[] {
  return [
    {
      title: 'Ends',
      width: '7.5rem',
      cell: ({ notAfterMs }) =>
        notAfterMs === undefined ? (
          <span class="muted">not known</span>
        ) : (
          <b title={instant(notAfterMs)}>
            <Time atMs={notAfterMs} nowMs={nowMs} />
          </b>
        ),
    },
    {
      title: 'Certificate',
      width: 'minmax(11rem, 1.6fr)',
      cell: one =>
        one.node === undefined ? (
          <span class="strong">{nameOf(one)}</span>
        ) : (
          <a class="strong" tabIndex={-1} href={hrefOf({ view: 'node', name: one.node })}>
            {nameOf(one)}
          </a>
        ),
    },
    {
      title: 'State',
      width: '9rem',
      cell: ({ state, reason }) => (
        <span title={reason.message}>
          <Status word={CERTIFICATE_STATES[state]} />
        </span>
      ),
    },
    {
      title: 'Renewal',
      width: 'minmax(11rem, 2fr)',
      cell: ({ renewAtMs, unrenewed }) =>
        unrenewed === undefined ? (
          renewAtMs === undefined ? (
            <span class="muted">none is planned</span>
          ) : (
            <Time atMs={renewAtMs} nowMs={nowMs} />
          )
        ) : (
          <span title={unrenewed.message}>
            <ReasonText reason={unrenewed} />
          </span>
        ),
    },
    {
      title: 'Listener',
      width: 'minmax(8rem, 1.2fr)',
      isExtra: true,
      cell: ({ listener, authority }) => listener ?? authority?.state ?? '',
    },
    {
      title: 'Issuer',
      width: 'minmax(8rem, 1.2fr)',
      isExtra: true,
      cell: ({ issuer }) =>
        issuer === undefined ? '' : <span title={issuer}>{commonName(issuer)}</span>,
    },
  ]
}
