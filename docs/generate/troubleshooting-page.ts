// docs/troubleshooting.md: every code with what it means and what to do.

import { CHAPTERS, FAMILIES } from '../../shared/reasons/explain.ts'
import { GENERATED, anchor, type Page, page } from './markdown.ts'

export function troubleshootingPage(): Page {
  return page('docs/troubleshooting.md', [
    '# Troubleshooting by code',
    GENERATED,
    'Every message of the programs ends with a code, and every answer of the API has one. Codes are stable; the same code means the same in the command line, the dashboard, the API, logs and metrics. `tlsfleet explain CODE` prints an entry of this page where there is no web, `tlsfleet explain` all of them. On a node begin with `tlsfleet-agent doctor`, elsewhere with `tlsfleet doctor`.',
    'A code that is a reason is no error by itself: it says why something was done, waits, or is as it is. Where nothing has to be done, the entry says so.',
    CHAPTERS.map(({ title }) => `- [${title}](#${anchor(title)})`).join('\n'),
    ...CHAPTERS.flatMap(({ title, codes }) => [`## ${title}`, ...Object.entries(codes).map(entry)]),
    '## Codes with names of products in them',
    ...Object.values(FAMILIES).map(({ form, of }) => entry([form, of])),
  ])
}

function entry([code, [meaning, action]]: readonly [string, readonly [string, string]]): string {
  return `### ${code}\n\n${meaning}\n\n*What to do:* ${action}`
}
