// JSON in the database is parsed at the border like anything else that comes from outside.

import { type Reason, parser, Reason as ReasonSchema } from '../../shared/contract/schema.ts'
import { corrupt } from './sqlite-errors.ts'

/** Reads a JSON column; what does not parse is a damaged store. */
export function readJson<T>(what: string, text: string, parse: (value: unknown) => T): T {
  try {
    return parse(JSON.parse(text))
  } catch (error) {
    throw corrupt(`could not read ${what} in the store`, error)
  }
}

/** Reads a column that holds one of a few words. */
export function readWord<T extends string>(what: string, text: string, words: readonly T[]): T {
  const word = words.find(one => one === text)
  if (word === undefined) throw corrupt(`could not read ${what} in the store`, new Error(text))
  return word
}

const parseReason = parser('reason', ReasonSchema)

export function readReason(text: string | null): Reason | undefined {
  return text === null ? undefined : parseReasonColumn(text)
}

/** Of a column that always holds one. */
export function parseReasonColumn(text: string): Reason {
  return readJson('a reason', text, parseReason)
}

export function writeReason(reason: Reason | undefined): string | null {
  return reason === undefined ? null : JSON.stringify(reason)
}
