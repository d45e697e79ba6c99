// GET /metrics: for Prometheus, with a token of role viewer (`authorization: credentials_file`).

import * as z from 'zod/mini'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { EXPOSITION_TYPE } from '../../../shared/exposition.ts'
import type { ApiContext, App } from '../context.ts'

export function metricsRoute(app: App, { metrics }: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.metrics,
    {
      // The names of all nodes are in it.
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'Metrics of the controller and its fleet, in the text format of Prometheus',
        description:
          'The fleet is looked at every 30 seconds at most, however often this is asked for. No query is looked at.',
        response: {
          200: { description: 'The metrics', content: { 'text/plain': { schema: z.string() } } },
        },
      },
    },
    async (_request, reply) => {
      const text = await metrics.text()
      return reply.type(EXPOSITION_TYPE).send(text)
    },
  )
}
