// Which nodes a query of the API means by their labels: `role=meta,env!=prod,zone,!old`, all of which
// must hold. The fleet spec has its own words for this (selector.ts).

import { unreachable } from '../../shared/assert.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Labels } from '../../shared/contract/schema.ts'

export type LabelCondition =
  | { readonly kind: 'is' | 'is-not'; readonly label: string; readonly value: string }
  | { readonly kind: 'has' | 'has-not'; readonly label: string }

/** Long enough for every use, short enough for a statement of the store. */
const CONDITIONS_MAX = 16
const LABEL = /^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$/
const VALUE = /^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/

/** Throws `malformed-request`. */
export function parseLabelQuery(text: string): readonly LabelCondition[] {
  const parts = text.split(',')
  if (parts.length > CONDITIONS_MAX) throw refused(text)
  return parts.map(part => condition(part.trim(), text))
}

function condition(part: string, text: string): LabelCondition {
  const [, label = '', operator, value = ''] = /^([^=!]+)(!=|==?)(.*)$/.exec(part) ?? []
  if (operator !== undefined) {
    if (!LABEL.test(label) || !VALUE.test(value)) throw refused(text)
    return { kind: operator === '!=' ? 'is-not' : 'is', label, value }
  }
  const isAbsent = part.startsWith('!')
  const name = isAbsent ? part.slice(1) : part
  if (!LABEL.test(name)) throw refused(text)
  return { kind: isAbsent ? 'has-not' : 'has', label: name }
}

/** What the store asks of its rows, for a record that is at hand. */
export function fits(labels: Labels, conditions: readonly LabelCondition[]): boolean {
  return conditions.every(one => {
    const value = Object.hasOwn(labels, one.label) ? labels[one.label] : undefined
    switch (one.kind) {
      case 'is':
        return value === one.value
      case 'is-not':
        return value !== one.value
      case 'has':
        return value !== undefined
      case 'has-not':
        return value === undefined
      default:
        return unreachable(one)
    }
  })
}

function refused(text: string): OperationalError {
  return new OperationalError(
    'malformed-request',
    `\`${text.slice(0, 100)}\` does not select nodes by label`,
    { hint: 'Like this: role=meta,env!=prod,zone,!old' },
  )
}
