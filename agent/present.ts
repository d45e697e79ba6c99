// Service reports as text for people: Terraform's marks, one sentence per change, diffs.

import type { ChangeSummary, ServiceReport } from '../shared/contract/report.ts'

const MARKS = { create: '+', update: '~', remove: '-' } as const

export function presentPlan(
  services: readonly ServiceReport[],
  options: { readonly diff: boolean },
): string {
  const blocks = services.map(service => presentService(service, options))
  const changes = services.reduce((sum, service) => sum + service.changes.length, 0)
  const restarts = services.filter(
    service => service.activation === 'restart' && service.changes.length > 0,
  ).length
  const summary =
    changes === 0
      ? 'Nothing to change.'
      : `Plan: ${plural(changes, 'change')}, ${plural(restarts, 'restart')}.`
  return printable(`${blocks.join('\n')}\n${summary}\n`)
}

export function presentResult(services: readonly ServiceReport[]): string {
  const lines = services.map(service => {
    const seen = service.served.map(
      one =>
        `  ${one.ok ? 'ok' : 'NOT OK'}  ${one.listener}  ${one.ok ? `${one.fingerprint?.slice(0, 16)} ${one.protocol ?? ''} ${one.health ?? ''}` : one.reason.message}`,
    )
    return [
      `${service.service}: ${service.outcome} - ${service.reason.message}`,
      ...seen,
      ...notices(service),
    ].join('\n')
  })
  return printable(`${lines.join('\n')}\n`)
}

function presentService(service: ServiceReport, { diff }: { readonly diff: boolean }): string {
  const title = [service.service, service.version, service.unit]
    .filter(part => part !== undefined)
    .join('  ')
  const head = `${title}\n  ${service.outcome}: ${service.reason.message}`
  const changes = service.changes.map(change => presentChange(change, diff))
  const act =
    service.changes.length === 0
      ? []
      : [`  activation: ${service.activation} - ${service.activationReason.message}`]
  return [head, ...changes, ...act, ...notices(service)].join('\n')
}

function presentChange(change: ChangeSummary, diff: boolean): string {
  const lines = [
    `  ${MARKS[change.action]} ${change.summary}`,
    `      ${change.reason.message} (${change.reason.code})`,
  ]
  if (diff && change.diff !== undefined)
    lines.push(
      ...change.diff
        .trimEnd()
        .split('\n')
        .map(line => `      ${line}`),
    )
  return lines.join('\n')
}

function notices(service: ServiceReport): readonly string[] {
  return service.notices.map(notice => `  note: ${notice.message} (${notice.code})`)
}

// What products and files say must not draw on the terminal of whoever reads it.
function printable(text: string): string {
  return text.replaceAll(UNPRINTABLE, character => {
    const code = character.codePointAt(0) ?? 0
    return `\\u${code.toString(16).padStart(4, '0')}`
  })
}

// Controls but line feed and tab, and the marks that reorder text.
const UNPRINTABLE = /(?![\n\t])[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
