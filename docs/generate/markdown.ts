// Pieces of Markdown that pages are put together from.

/** What is written, and where, relative to the project. */
export interface Page {
  readonly path: string
  readonly text: string
}

export const GENERATED = '<!-- Written by `npm run docs`; changes here are lost. -->'

export function page(path: string, parts: readonly string[]): Page {
  const text = parts.filter(part => part !== '').join('\n\n')
  return { path, text: `${text}\n` }
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const line = (cells: readonly string[]) => `| ${cells.map(cell).join(' | ')} |`
  return [line(head), `|${head.map(() => '---|').join('')}`, ...rows.map(line)].join('\n')
}

export function fence(language: string, text: string): string {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\``
}

/** As GitHub makes it of a heading. */
export function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}

// A bar would end the cell; one that is escaped already is left.
function cell(text: string): string {
  return text.replaceAll(/(?<!\\)\|/g, '\\|').replaceAll('\n', ' ')
}
