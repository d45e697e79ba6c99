import type { Session } from '../output.ts'
import { formatTable } from '../table.ts'

export interface ContextRow {
  readonly name: string
  readonly url: string
  readonly current: boolean
}

export function contextsText(
  contexts: readonly ContextRow[],
  { paint, width }: Pick<Session, 'paint' | 'width'>,
): string {
  if (contexts.length === 0) return 'no contexts; log in to a controller: tlsfleet login --help\n'
  const rows = contexts.map(({ name, url, current }) => [
    current ? paint.green('*') : '',
    current ? paint.bold(name) : name,
    url,
  ])
  return formatTable([{ title: '' }, { title: 'CONTEXT' }, { title: 'CONTROLLER' }], rows, width)
}
