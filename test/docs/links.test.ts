// Links between the documents lead to a file that is there, and to a heading of it.

import { existsSync, globSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'
import { readText } from './tables.ts'

const ROOT = dirname(dirname(import.meta.dirname))
const DOCUMENTS = globSync('{*.md,docs/**/*.md,examples/**/*.md}', { cwd: ROOT })

/** Of links of a document: those that lead nowhere. `read` is undefined for what is not there. */
function brokenLinks(path: string, read: (path: string) => string | undefined): readonly string[] {
  const text = withoutCode(read(path) ?? '')
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, link = '']) => link)
    .filter(link => !/^[a-z]+:/.test(link))
    .filter(link => {
      const [to = '', anchor] = link.split('#')
      const target = to === '' ? path : normalize(join(dirname(path), to))
      const there = read(target)
      if (there === undefined) return true
      return anchor !== undefined && !anchorsOf(there).has(anchor)
    })
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...withoutCode(text).matchAll(/^#+ (.*)$/gm)]
  return new Set(
    headings.map(([, heading = '']) =>
      heading
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}

/** Blocks go; of code in a line the words stay, as headings are made of them. */
function withoutCode(text: string): string {
  return text
    .replaceAll(/^```[^]*?^```$/gm, '')
    .replaceAll(/`([^`\n]*)`/g, (_, code: string) => code.replaceAll(/[[\]()]/g, ''))
}

const readIfThere = (path: string) => {
  const file = join(ROOT, path)
  if (!existsSync(file)) return undefined
  return path.endsWith('.md') ? readText(path) : ''
}

await t.test('every link of the documents leads somewhere', async t => {
  t.ok(DOCUMENTS.length > 20, `${DOCUMENTS.length} documents`)
  for (const path of DOCUMENTS.toSorted()) t.strictSame(brokenLinks(path, readIfThere), [], path)
})

await t.test('a link to a file or a heading that is not there is found', async t => {
  const files = new Map([
    [
      'a.md',
      '# A `b`\n[x](docs/b.md) [x](docs/b.md#two-words) [x](#a-b) [x](https://example.org/)',
    ],
    ['bad.md', '[x](b.md) [x](docs/b.md#three) [x](#a)\n```\n[x](code)\n```\n`[a](b)`'],
    ['docs/b.md', '## Two words'],
  ])
  const read = (path: string) => files.get(path)
  t.strictSame(brokenLinks('a.md', read), [])
  t.strictSame(brokenLinks('bad.md', read), ['b.md', 'docs/b.md#three', '#a'])
})

await t.test('every page of the guide can be reached from the README', async t => {
  const reached = new Set(['README.md'])
  for (const path of reached)
    for (const [, link = ''] of withoutCode(readIfThere(path) ?? '').matchAll(/\]\(([^)#\s]+)/g)) {
      const target = normalize(join(dirname(path), link))
      if (target.endsWith('.md') && existsSync(join(ROOT, target))) reached.add(target)
    }
  t.strictSame(
    DOCUMENTS.filter(path => path.startsWith('docs/') && !reached.has(path)),
    [],
  )
})
