// Every code that the programs give is explained, and nothing is explained that is given no more.

import { globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { CHAPTERS, FAMILIES, allCodes, explain } from '../../../shared/reasons/explain.ts'

const ROOT = dirname(dirname(dirname(import.meta.dirname)))
const sources = globSync('{agent,controller,shared}/**/*.ts', { cwd: ROOT })
  .filter(path => !path.startsWith('shared/reasons/') && !path.startsWith('controller/dashboard/'))
  .map(path => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
const everything = sources.map(({ text }) => text).join('\n')

// Findings of a second look at our own certificates, in tests only; and codes of other libraries.
const OTHERS = new Set(['shared/pki/lint.ts'])
const FOREIGN = new Set(['custom', 'number', 'string', 'undefined', 'http-certificate', 'kill'])

// Put together where they are given, each with the text that gives it.
const COMPOSED: Readonly<Record<string, string>> = {
  'already-signed': '`already-${request.state}`',
  'already-refused': '`already-${request.state}`',
  'already-withdrawn': '`already-${request.state}`',
  'gate-pass': '`gate-${verdict}`',
  'gate-fail': '`gate-${verdict}`',
  'elasticsearch-unavailable': '`${product.toLowerCase()}-unavailable`',
  'elasticsearch-unreachable': '`${product.toLowerCase()}-unreachable`',
  'kibana-unreachable': '`${product.toLowerCase()}-unreachable`',
  'not-elasticsearch': '`not-${product.toLowerCase()}`',
  'not-kibana': '`not-${product.toLowerCase()}`',
}

await t.test('every code that is given is explained', async t => {
  const found = new Map(
    sources
      .filter(({ path }) => !OTHERS.has(path))
      .flatMap(({ path, text }) => codesIn(text).map(code => [code, path] as const)),
  )
  t.ok(found.size > 500, `${found.size} codes`)
  for (const [code, path] of found) t.ok(explain(code) !== undefined, `${code} of ${path}`)
})

await t.test('every explanation is of a code that is given', async t => {
  for (const code of allCodes()) {
    const composed = COMPOSED[code]
    const isGiven =
      composed === undefined
        ? new RegExp(`'${code}'|^ *${code}:`, 'm').test(everything)
        : everything.includes(composed)
    t.ok(isGiven, code)
  }
  for (const prefix of Object.keys(FAMILIES))
    t.ok(everything.includes(`\`${prefix}\${`), `${prefix} is put together somewhere`)
})

await t.test('each code is explained once, in whole sentences', async t => {
  const seen = new Map<string, string>()
  for (const { title, codes } of CHAPTERS)
    for (const [code, [meaning, action]] of Object.entries(codes)) {
      t.equal(seen.get(code), undefined, code)
      seen.set(code, title)
      t.match(meaning, /^\S.*[.]$/, `${code}: ${meaning}`)
      t.match(action, /^\S.*[.?)]$/, `${code}: ${action}`)
    }
})

await t.test('a code that names products is explained by its family', async t => {
  t.match(explain('window-elasticsearch-kibana'), { code: 'window-elasticsearch-kibana' })
  t.not(
    explain('window-self-signed-prometheus-telegraf')?.meaning,
    explain('window-elasticsearch-kibana')?.meaning,
  )
  t.equal(explain('no-such-code'), undefined)
})

await t.test('the agent does not load the explanations', async t => {
  const loading = sources.filter(
    ({ path, text }) => path.startsWith('agent/') && /from '[^']*\/reasons\/[^']*'/.test(text),
  )
  t.same(
    loading.map(({ path }) => path),
    [],
  )
})

/** As sources give codes: in errors, in reasons, in lists of them, and to functions that make either. */
function codesIn(text: string): readonly string[] {
  const givers = [...text.matchAll(/(?:function|const) (\w+)(?:<[^>]*>)?(?: =)? ?\(\s*code: /g)]
  const names = ['OperationalError', 'because', 'refusal', ...givers.map(one => one[1] ?? '')]
  const first = [
    ...text.matchAll(new RegExp(`\\b(?:${names.join('|')})\\(\\s*'([a-z0-9-]+)'`, 'g')),
  ]
  const fields = [
    ...text.matchAll(/\bcode: '([a-z][a-z0-9-]*)'/g),
    ...text.matchAll(/\bcode: [^'\n,}]{1,80}\? '([a-z0-9-]+)'/g),
    ...text.matchAll(/\bcode: [^'\n,}]{1,80}\? '[a-z0-9-]+' : '([a-z0-9-]+)'/g),
    // Second in a call, or first in a pair: `blocked(node, 'mode-audit', …)`, `['older-epoch', …]`.
    ...text.matchAll(/\b(?:blocked|unknown|judged|errorOf|parser)\([^'()]*, '([a-z0-9-]+)'/g),
    ...(text.includes('[code: string')
      ? text.matchAll(/^ *(?:return )?\[?\n? *'([a-z-]+)',$/gm)
      : []),
    ...(text.includes('[code: string') ? text.matchAll(/^ *return \['([a-z0-9-]+)',/gm) : []),
  ]
  const lists = [
    ...text.matchAll(/^(?:export )?const \w*(?:REASON\w*|REFUSALS) = ([[{][^]*?\n[\]}])/gm),
  ]
  const listed = lists.flatMap(([, list = '']) => [
    ...list.matchAll(/^ {2}'?([a-z][\w-]*)'?(?::|,$)/gm),
  ])
  return [...first, ...fields, ...listed]
    .map(found => found[1] ?? '')
    .filter(code => code !== '' && !FOREIGN.has(code))
}
