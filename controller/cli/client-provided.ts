// The part of the client that is about pairs for issuer `provided`.

import * as z from 'zod/mini'
import { OPERATOR_ROUTES } from '../../shared/contract/operator-api.ts'
import {
  ProvidedList,
  ProvidedStored,
  type ProvidedUpload,
  ProvidedView,
} from '../../shared/contract/provided.ts'
import type { Question } from './exchange.ts'
import { everyPage } from './client-pages.ts'

export function providedCalls(call: <T>(question: Question<T>) => Promise<T>) {
  return {
    async providedPairs(): Promise<readonly ProvidedView[]> {
      const attempt = 'list pairs'
      const path = OPERATOR_ROUTES.provided
      const question = { attempt, method: 'GET', path, answer: ProvidedList } as const
      return (await everyPage(call, question)).flatMap(({ provided }) => provided)
    },

    providedPair: (name: string) =>
      call({
        attempt: `show pair ${name}`,
        method: 'GET',
        path: pathOf(name),
        answer: ProvidedView,
      }),

    putProvidedPair: (name: string, body: ProvidedUpload) =>
      call({
        attempt: `upload pair ${name}`,
        method: 'PUT',
        path: pathOf(name),
        body,
        answer: ProvidedStored,
      }),

    removeProvidedPair: (name: string) =>
      call({
        attempt: `remove pair ${name}`,
        method: 'DELETE',
        path: pathOf(name),
        answer: z.unknown(),
      }),
  }
}

function pathOf(name: string): string {
  return OPERATOR_ROUTES.providedPair.replace(':name', encodeURIComponent(name))
}
