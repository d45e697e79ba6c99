// The accounts of Metricbeat as text: what would change and why, what was done, what is next.

import { unreachable } from '../../../shared/assert.ts'
import type { PasswordFile } from '../../elastic/passwords.ts'
import type { Entry } from '../../elastic/plan.ts'
import type { Paint } from '../output.ts'
import { because, count } from './words.ts'

export type EntryView = Omit<Entry, 'write'>

export interface AccountsView {
  readonly cluster: { readonly name: string; readonly version: string; readonly url: string }
  readonly entries: readonly EntryView[]
}

/** Without the request, which is nobody's business but the server's. */
export function entryView(entry: Entry): EntryView {
  const { kind, name, action, added, removed, reason } = entry
  return { kind, name, action, added, removed, reason }
}

export function isEmptyPlan({ entries }: AccountsView): boolean {
  return !entries.some(isChange)
}

function isChange({ action }: EntryView): boolean {
  return action === 'create' || action === 'update'
}

export function accountsText(view: AccountsView, paint: Paint): string {
  const { cluster, entries } = view
  return [
    `${paint.bold(cluster.name)}  Elasticsearch ${cluster.version} at ${cluster.url}`,
    ...entries.flatMap(entry => entryLines(entry, paint)),
    '',
    paint.bold(summary(view)),
    '',
  ].join('\n')
}

function entryLines(entry: EntryView, paint: Paint): readonly string[] {
  const { kind, action, added, removed, reason } = entry
  const subject = subjectOf(entry)
  switch (action) {
    case 'none':
      // Not looked at is not the same as in order.
      return reason.code === 'password-not-at-hand'
        ? [`    ${paint.dim(`${subject}: not checked: ${because(reason)}`)}`]
        : []
    case 'skip':
      return [`  ${paint.yellow('!')} ${subject}: skipped: ${because(reason)}`]
    case 'create':
    case 'update':
      return [
        `  ${action === 'create' ? paint.green('+') : paint.yellow('~')} ${subject}: ${verbs[kind][action]}`,
        ...added.map(right => `      ${paint.green(`+ ${right}`)}`),
        ...removed.map(right => `      ${paint.red(`- ${right}`)}`),
        `      ${paint.dim(`because ${because(reason)}`)}`,
      ]
    default:
      return unreachable(action)
  }
}

const verbs = {
  role: { create: 'create', update: 'update' },
  user: { create: 'create', update: 'update' },
  password: { create: 'set', update: 'set' },
} as const

function subjectOf({ kind, name }: Pick<EntryView, 'kind' | 'name'>): string {
  return kind === 'password' ? `password of ${name}` : `${kind} ${name}`
}

function summary(view: AccountsView): string {
  const { entries } = view
  const skipped = entries.filter(({ action }) => action === 'skip').length
  const rest = skipped === 0 ? '' : `, ${skipped} skipped`
  if (isEmptyPlan(view)) return `Plan: no changes${rest}`
  return `Plan: ${count(entries.filter(isChange).length, 'change')}${rest}`
}

/** One change that was made. */
export function doneLine(entry: EntryView, passwordPath: string | undefined): string {
  const done = entry.kind === 'password' ? 'set' : entry.action === 'create' ? 'created' : 'updated'
  const where = passwordPath === undefined ? '' : `, password in ${passwordPath}`
  return `${subjectOf(entry)} ${done}${where}\n`
}

/** How the password of the writer gets to where Metricbeat reads it. */
export function keystoreText(file: PasswordFile | undefined): string {
  if (file === undefined) return ''
  const add = 'metricbeat keystore add ES_PWD --stdin --force'
  const path = shellWord(file.path)
  // The keystore keeps what it is given, a line feed included.
  const command = file.endsWithLineFeed ? `tr -d '\\r\\n' < ${path} | ${add}` : `${add} < ${path}`
  return `
On the hosts of Metricbeat, as root, with the file in place there (then \`password: "\${ES_PWD}"\` in metricbeat.yml):
  ${command}
`
}

function shellWord(text: string): string {
  return /^[\w./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
