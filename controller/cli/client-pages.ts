// Lists come in pages; commands want the whole.

import { OperationalError } from '../../shared/errors.ts'
import type { Question } from './exchange.ts'

/** A controller that answers every page with another one must not keep us busy forever. */
const PAGES_MAX = 1_000

interface PageAnswer {
  readonly next?: string | undefined
}

/** Answers of all pages; `query` is asked with each of them. The question has no query of its own. */
export async function everyPage<T extends PageAnswer>(
  call: (question: Question<T>) => Promise<T>,
  question: Question<T>,
  query: URLSearchParams = new URLSearchParams(),
): Promise<readonly [T, ...T[]]> {
  const ask = (after: URLSearchParams) => {
    const text = after.toString()
    return call({ ...question, path: text === '' ? question.path : `${question.path}?${text}` })
  }
  let last = await ask(query)
  const pages: [T, ...T[]] = [last]
  while (last.next !== undefined) {
    if (pages.length >= PAGES_MAX)
      throw new OperationalError(
        'malformed-answer',
        `could not ${question.attempt}: the list has no end`,
      )
    const more = new URLSearchParams(query)
    more.set('after', last.next)
    last = await ask(more)
    pages.push(last)
  }
  return pages
}
