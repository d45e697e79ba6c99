// Small things that stand in many views.

import type { ComponentChildren } from 'preact'
import type { Reason } from '../../../../shared/contract/schema.ts'
import type { ApiError } from '../api.ts'
import { instant, relative } from '../format.ts'
import { Code, coded } from './explained.tsx'
import { ShapeIcon } from './icons.tsx'

export function Time({ atMs, nowMs }: { atMs: number; nowMs: number }) {
  return (
    <time dateTime={new Date(atMs).toISOString()} title={instant(atMs)}>
      {relative(atMs, nowMs)}
    </time>
  )
}

/** `isPlain`: in a link, which can hold no button that explains the code. `tabIndex`: see Code. */
export function ReasonText({
  reason,
  isPlain = false,
  tabIndex,
}: {
  reason: Reason
  isPlain?: boolean
  tabIndex?: number
}) {
  return (
    <span class="reason">
      <span>{reason.message}</span>{' '}
      {isPlain ? <code>{reason.code}</code> : <Code code={reason.code} tabIndex={tabIndex} />}
    </span>
  )
}

/** With `code` parts between backticks. */
export function Advice({ text }: { text: string }) {
  return <p class="advice">{coded(text)}</p>
}

export function Failure({ error, attempt }: { error: ApiError; attempt: string }) {
  return (
    <div class="failure tone-bad" role="alert">
      <ShapeIcon shape="cross" />
      <div>
        <p>
          <b>{attempt}:</b> {error.message} <Code code={error.code} />
        </p>
        {error.hint === undefined ? null : <Advice text={error.hint} />}
      </div>
    </div>
  )
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children}
    </div>
  )
}

export function Waiting({ what }: { what: string }) {
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" /> {what}
    </p>
  )
}

export function Card({
  title,
  children,
  aside,
  name = '',
}: {
  title: string
  children: ComponentChildren
  aside?: ComponentChildren
  name?: string
}) {
  return (
    <section class={`card ${name}`} aria-label={title}>
      <header class="card-head">
        <h2>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  )
}

export function Labels({ labels }: { labels: Readonly<Record<string, string>> }) {
  return (
    <span class="labels">
      {Object.entries(labels).map(([key, value]) => (
        <span class="label" key={key}>
          {key}={value}
        </span>
      ))}
    </span>
  )
}

/** A page's name; it takes the focus when the page is changed. */
export function Title({
  children,
  above,
  aside,
}: {
  children: ComponentChildren
  above?: ComponentChildren
  aside?: ComponentChildren
}) {
  return (
    <div class="title">
      <div>
        {above === undefined ? null : <div class="crumb">{above}</div>}
        <h1 tabIndex={-1}>{children}</h1>
      </div>
      {aside === undefined ? null : <div class="title-aside">{aside}</div>}
    </div>
  )
}

/** A row of a `dl`. */
export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  )
}
