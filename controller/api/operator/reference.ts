// GET reference: the description of the API as a page. No state and no secrets, so that it needs no
// token; no script runs on it, and nothing is loaded from anywhere.

import { createHash } from 'node:crypto'
import * as z from 'zod/mini'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import type { App } from '../context.ts'
import { REFERENCE_STYLE, referencePage } from '../openapi/reference.ts'
import { descriptionOf } from './openapi.ts'

const POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(REFERENCE_STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export function referenceRoute(app: App): void {
  let page: string | undefined
  app.get(
    OPERATOR_ROUTES.reference,
    {
      config: { policy: { kind: 'public' } },
      schema: {
        summary: 'This description as a page to read',
        response: {
          200: { description: 'The page', content: { 'text/html': { schema: z.string() } } },
        },
      },
    },
    async (_request, reply) => {
      page ??= referencePage(descriptionOf(app))
      return reply
        .headers({ 'content-security-policy': POLICY, 'referrer-policy': 'no-referrer' })
        .type('text/html; charset=utf-8')
        .send(page)
    },
  )
}
