// Manual pages in the macros of man(7), which groff and mandoc both read.

export interface ManualPage {
  readonly name: string
  readonly section: '1' | '8'
  readonly summary: string
  /** Day of the sources, `2026-11-22`. */
  readonly date: string
  readonly version: string
  /** Lines of roff, after NAME. */
  readonly body: readonly string[]
}

export function manual(page: ManualPage): string {
  const title = page.name.toUpperCase()
  const manualName = page.section === '1' ? 'User Commands' : 'System Administration'
  const head = [title, page.section, page.date, `tlsfleet ${page.version}`, manualName]
  return [
    `.TH ${head.map(quoted).join(' ')}`,
    // No breaks inside of words: names of options are copied.
    '.nh',
    '.ad l',
    '.SH NAME',
    `${escaped(page.name)} \\- ${escaped(page.summary)}`,
    ...page.body,
    '',
  ].join('\n')
}

export function section(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [`.SH ${quoted(title.toUpperCase())}`, ...lines]
}

export function subsection(title: string, lines: readonly string[]): readonly string[] {
  return [`.SS ${quoted(title)}`, ...lines]
}

export function paragraph(text: string): readonly string[] {
  return text === '' ? [] : ['.PP', escaped(text)]
}

/** A term and what it means. */
export function item(term: string, text: string): readonly string[] {
  return ['.TP', `.B ${escaped(term)}`, ...(text === '' ? ['\\&'] : [escaped(text)])]
}

/** As it is, line by line. */
export function verbatim(text: string): readonly string[] {
  return [
    '.PP',
    '.nf',
    ...text.split('\n').map(line => (line === '' ? '.sp' : escaped(line))),
    '.fi',
  ]
}

/** A backslash would begin an escape, a dot or quote at the beginning of a line a request. */
export function escaped(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '...')
    .replaceAll('`', '\\(ga')
    .replaceAll("'", '\\(aq')
    .replaceAll(/^[.]/gm, '\\&.')
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}
