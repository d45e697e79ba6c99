// What a code means and what to do about it, as the operator's API answers it.

import * as z from 'zod/mini'

export const REASON_ROUTE = '/v1/reasons/:code'

/** Of a reason, an error or a finding: lower-case words with hyphens. */
export const ReasonCode = z.string().check(z.regex(/^[a-z0-9][a-z0-9-]{0,127}$/))

/** GET reasons/:code. Markdown: `code`, and links to pages below `docs/`. */
export const ReasonExplained = z.object({
  code: ReasonCode,
  meaning: z.string(),
  action: z.string(),
})
export type ReasonExplained = Readonly<z.infer<typeof ReasonExplained>>
