// What a node has reported about one service, or plans for it.

import type { ChangeSummary, Served, ServiceReport } from '../../../../shared/contract/report.ts'
import { commonName, short } from '../format.ts'
import { useNow } from '../hooks.ts'
import { OUTCOMES, type Word } from '../words.ts'
import { Diff } from './diff.tsx'
import { ShapeIcon } from './icons.tsx'
import { Status } from './status.tsx'
import { Card, Fact, ReasonText, Time } from './text.tsx'

export function ServiceCard({ service }: { service: ServiceReport }) {
  const nowMs = useNow()
  const { outcome, reason, corrective, unit, version, notAfterMs, renewAtMs, served } = service
  return (
    <Card
      title={service.service}
      name="card-service"
      aside={
        <span class="card-states">
          {corrective ? <Status word={DRIFT} /> : null}
          <Status word={OUTCOMES[outcome]} />
        </span>
      }
    >
      <p>
        <ReasonText reason={reason} />
      </p>
      <dl class="facts facts-row">
        <Fact name="Unit">{unit ?? 'not known'}</Fact>
        <Fact name="Version">{version ?? 'not known'}</Fact>
        {notAfterMs === undefined ? null : (
          <Fact name="Certificate ends">
            <Time atMs={notAfterMs} nowMs={nowMs} />
          </Fact>
        )}
        {renewAtMs === undefined ? null : (
          <Fact name="Renewal">
            <Time atMs={renewAtMs} nowMs={nowMs} />
          </Fact>
        )}
      </dl>
      <Changes service={service} />
      {served.length === 0 ? null : <ServedList served={served} nowMs={nowMs} />}
      {service.notices.length === 0 ? null : (
        <ul class="notices">
          {service.notices.map(notice => (
            <li key={`${notice.code} ${notice.message}`} class="tone-info">
              <ShapeIcon shape="question" />
              <ReasonText reason={notice} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

const DRIFT: Word = {
  label: 'Drift',
  tone: 'warn',
  shape: 'triangle',
  meaning: 'The node had converged to this before',
}

export function Changes({
  service: { changes, activation, activationReason },
}: {
  service: Pick<ServiceReport, 'changes' | 'activation' | 'activationReason'>
}) {
  if (changes.length === 0 && activation === 'none') return null
  return (
    <div class="changes">
      {changes.map(change => (
        <Change key={`${change.kind} ${change.resource}`} change={change} />
      ))}
      {activation === 'none' ? null : (
        <p class="change-line">
          <b class="act">{activation}</b> <ReasonText reason={activationReason} />
        </p>
      )}
    </div>
  )
}

const SIGN_OF = { create: '+', update: '~', remove: '−' } as const

function Change({ change }: { change: ChangeSummary }) {
  const line = (
    <>
      <b class={`act act-${change.action}`} title={change.action}>
        {SIGN_OF[change.action]}
      </b>{' '}
      <code class="resource">{change.resource}</code> <span class="muted">{change.summary}</span>
    </>
  )
  if (change.diff === undefined || change.diff === '') return <p class="change-line">{line}</p>
  return (
    <details open>
      <summary class="change-line">{line}</summary>
      <Diff text={change.diff} />
    </details>
  )
}

function ServedList({ served, nowMs }: { served: readonly Served[]; nowMs: number }) {
  return (
    <ul class="served" aria-label="Served certificates">
      {served.map(one => (
        <li key={one.listener}>
          <span class={`served-mark tone-${one.ok ? 'ok' : 'bad'}`}>
            <ShapeIcon shape={one.ok ? 'check' : 'cross'} />
            <span class="unseen">{one.ok ? 'as expected' : 'not as expected'}</span>
          </span>
          <div>
            <p class="served-head">
              <code>{one.listener}</code>
              {one.notAfterMs === undefined ? null : (
                <span>
                  ends <Time atMs={one.notAfterMs} nowMs={nowMs} />
                </span>
              )}
              {one.protocol === undefined ? null : <span>{one.protocol}</span>}
              {one.health === undefined ? null : <span>{one.health}</span>}
            </p>
            <p class="muted">
              {one.ok ? null : <ReasonText reason={one.reason} />}
              {one.ok ? describe(one) : null}
            </p>
          </div>
        </li>
      ))}
    </ul>
  )
}

function describe({ names, issuer, fingerprint }: Served): string {
  const known = [
    names === undefined ? undefined : [...names.dns, ...names.ip].join(', '),
    issuer === undefined ? undefined : `by ${commonName(issuer)}`,
    fingerprint === undefined ? undefined : `SHA-256 ${short(fingerprint, 16)}…`,
  ]
  return known.filter(one => one !== undefined).join(' · ')
}
