// What a code means, one at a time: all of them are a hundred kilobytes, and nobody asks for many.

import * as z from 'zod/mini'
import { REASON_ROUTE, ReasonCode, ReasonExplained } from '../../../shared/contract/reasons.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { explain } from '../../../shared/reasons/explain.ts'
import type { App } from '../context.ts'

export function reasonRoute(app: App): void {
  app.get(
    REASON_ROUTE,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Explain a code: what it means, and what to do',
        params: z.strictObject({ code: ReasonCode }),
        response: { 200: ReasonExplained },
      },
    },
    async ({ params: { code } }) => {
      const explained = explain(code)
      if (explained !== undefined) return explained
      throw new OperationalError('not-found', `there is no code ${code}`)
    },
  )
}
