// Operators and their tokens, for people.

import type { OperatorView, TokenView, WhoAmI } from '../../../shared/contract/operators.ts'
import type { Session } from '../output.ts'
import { formatTable } from '../table.ts'
import { relativeTime } from './words.ts'

type Options = Pick<Session, 'paint' | 'width'> & { readonly nowMs: number }

export function operatorsText(operators: readonly OperatorView[], options: Options): string {
  const columns = [
    { title: 'OPERATOR' },
    { title: 'ROLE' },
    { title: 'TOKENS', align: 'right' },
    { title: 'USED' },
    { title: 'CERTIFICATES' },
  ] as const
  const rows = operators.map(one => [
    one.name,
    one.disabled ? options.paint.red('disabled') : one.role,
    String(one.tokens.filter(token => !token.expired).length),
    lastUse(one.tokens, options.nowMs),
    one.certificateNames.join(' ') || '-',
  ])
  return formatTable(columns, rows, options.width)
}

function lastUse(tokens: readonly TokenView[], nowMs: number): string {
  const used = tokens.flatMap(({ lastUsedAtMs }) => lastUsedAtMs ?? [])
  return used.length === 0 ? 'never' : relativeTime(Math.max(...used), nowMs)
}

export function operatorText(operator: OperatorView, options: Options): string {
  const { name, role, disabled, certificateNames, createdAtMs, createdBy, tokens } = operator
  const { nowMs } = options
  const lines = [
    `${name}  ${role}${disabled ? `, ${options.paint.red('disabled')}` : ''}`,
    `  added         ${relativeTime(createdAtMs, nowMs)} by ${createdBy}`,
    `  certificates  ${certificateNames.join(' ') || 'none'}`,
    ...operator.deniedCertificates.map(
      ({ serial, atMs, by }) => `  denied        ${serial}, ${relativeTime(atMs, nowMs)} by ${by}`,
    ),
  ]
  const owned = tokens.map(token => ({ operator: name, ...token }))
  return `${lines.join('\n')}\n\n${tokensText(owned, options)}`
}

export function tokensText(
  tokens: readonly (TokenView & { readonly operator: string })[],
  { width, nowMs, paint }: Options,
): string {
  if (tokens.length === 0) return 'no tokens\n'
  const columns = [
    { title: 'OPERATOR' },
    { title: 'TOKEN' },
    { title: 'ROLE' },
    { title: 'ENDS' },
    { title: 'USED' },
    { title: 'MADE' },
  ]
  const rows = tokens.map(({ operator, id, role, expiresAtMs, lastUsedAtMs, ...token }) => [
    operator,
    id,
    role,
    token.expired ? paint.red('has ended') : endOf(expiresAtMs, nowMs),
    lastUsedAtMs === undefined ? 'never' : relativeTime(lastUsedAtMs, nowMs),
    `${relativeTime(token.createdAtMs, nowMs)} by ${token.createdBy}`,
  ])
  return formatTable(columns, rows, width)
}

function endOf(expiresAtMs: number | undefined, nowMs: number): string {
  return expiresAtMs === undefined ? 'never' : relativeTime(expiresAtMs, nowMs)
}

export function whoamiText({ name, role, fleet, credential }: WhoAmI, nowMs: number): string {
  const by =
    credential === undefined
      ? ''
      : `, by ${credential.kind} ${credential.id.slice(0, 16)}, which ends ${endOf(credential.expiresAtMs, nowMs)}`
  return `${name} (${role}) of fleet ${fleet}${by}\n`
}
