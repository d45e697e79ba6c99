import { readFileSync } from 'node:fs'
import t from 'tap'
import { assert } from '../../../shared/assert.ts'
import type { ConfigEdit } from '../../../agent/formats/edit.ts'
import { editToml, lookup, readToml } from '../../../agent/formats/toml.ts'

interface Case {
  readonly name: string
  readonly before: string
  readonly edits: readonly ConfigEdit[]
  readonly after: string
  readonly isExact?: boolean
}

const on: ConfigEdit = { path: ['http', 'on'], value: true }
const off: ConfigEdit = { path: ['http', 'on'], value: undefined }

const edited: readonly Case[] = [
  { name: 'an empty file', before: '', edits: [on], after: '[http]\non = true\n' },
  { name: 'a file of comments', before: '# c\n', edits: [on], after: '# c\n\n[http]\non = true\n' },
  {
    name: 'a table without keys',
    before: '[http]\n[data]\n  x = 1\n',
    edits: [on],
    after: '[http]\n  on = true\n[data]\n  x = 1\n',
  },
  {
    name: 'a new key below the last one, with its indentation',
    before: '[http]\n\ta = 1 # c\n\n### [data]\n[data]\nx = 1\n',
    edits: [on],
    after: '[http]\n\ta = 1 # c\n\ton = true\n\n### [data]\n[data]\nx = 1\n',
  },
  {
    name: 'a header in another spelling',
    before: '[ "HTTP" ] # c\nON=false\n',
    edits: [on],
    after: '[ "HTTP" ] # c\nON=true\n',
  },
  {
    name: 'every spelling of one key',
    before: '[http]\non = false\nOn = true\n[HTTP]\nON = false\n',
    edits: [on],
    after: '[http]\non = true\nOn = true\n[HTTP]\nON = true\n',
  },
  {
    name: 'only the exact spelling where case counts',
    before: '[HTTP]\non = false\n',
    edits: [on],
    after: '[HTTP]\non = false\n\n[http]\non = true\n',
    isExact: true,
  },
  {
    name: 'an equal value in another spelling',
    before: "[http]\ns = 'x' \nn = 0x10\na = [ 1 , 2, ]\n",
    edits: [
      { path: ['http', 's'], value: 'x' },
      { path: ['http', 'n'], value: 16 },
      { path: ['http', 'a'], value: [1, 2] },
    ],
    after: "[http]\ns = 'x' \nn = 0x10\na = [ 1 , 2, ]\n",
  },
  {
    name: 'a float that should be an integer, a string that should be a boolean',
    before: 'n = 1.0\n[http]\non = "true"\n',
    edits: [{ path: ['n'], value: 1 }, on],
    after: 'n = 1\n[http]\non = true\n',
  },
  {
    name: 'a template of several lines, and no half of it',
    before: '[tls]\n# ciphers = [\n#   "A", # c = [\n# ]\n# min = "x"\n',
    edits: [{ path: ['tls', 'ciphers'], value: ['B'] }],
    after: '[tls]\n# ciphers = [\n#   "A", # c = [\n# ]\nciphers = ["B"]\n# min = "x"\n',
  },
  {
    name: 'prose that looks like a template, and a template of another table',
    before: '[http]\na = 1\n# on = the switch\n\n# [[other]]\n#   on = false\n',
    edits: [on],
    after: '[http]\na = 1\non = true\n# on = the switch\n\n# [[other]]\n#   on = false\n',
  },
  {
    name: 'a comment inside a string of several lines',
    before: '[http]\na = """\n# on = false\n[http]\n"""\n[b]\n',
    edits: [on],
    after: '[http]\na = """\n# on = false\n[http]\n"""\non = true\n[b]\n',
  },
  {
    name: 'a comment between the items of an array is no template',
    before: '[http]\na = [\n  # on = false\n  1,\n]\n',
    edits: [on],
    after: '[http]\na = [\n  # on = false\n  1,\n]\non = true\n',
  },
  {
    name: 'of several spellings only those with another value',
    before: 'n = 0x10\nN = 1\n',
    edits: [{ path: ['n'], value: 16 }],
    after: 'n = 0x10\nN = 16\n',
  },
  {
    name: 'a global key above the first table and its banner',
    before: '### Welcome\n\n###\n### [meta]\n###\n\n[meta]\n',
    edits: [{ path: ['bind'], value: ':1' }],
    after: '### Welcome\nbind = ":1"\n\n###\n### [meta]\n###\n\n[meta]\n',
  },
  {
    name: 'inline tables, nested and empty',
    before: 'http = { a = 1 }\ne = {}\n',
    edits: [on, { path: ['e', 'f', 'g'], value: 's' }],
    after: 'http = { a = 1, on = true }\ne = { f = { g = "s" } }\n',
  },
  {
    name: 'dotted keys, in a table and inline',
    before: 'http . a = 1 # c\n[x]\n  y.z = 1\n[t]\ni = { a.b = 1, c = 2 }\n',
    edits: [on, { path: ['x', 'y', 'w'], value: 2 }, { path: ['t', 'i', 'a', 'd'], value: 3 }],
    after:
      'http . a = 1 # c\nhttp.on = true\n[x]\n  y.z = 1\n  y.w = 2\n[t]\ni = { a.b = 1, a.d = 3, c = 2 }\n',
  },
  {
    name: 'a table that exists only through its sub-table',
    before: '[http.sub]\nx = 1\n',
    edits: [on],
    after: '[http.sub]\nx = 1\n\n[http]\non = true\n',
  },
  {
    name: 'removal of a line, of a dotted key and in inline tables',
    before: '[http]\non = true # c\nb.c = 1\ni = { a = 1, b = 2, c = 3 }\nj = {x=1}\n',
    edits: [
      off,
      { path: ['http', 'b', 'c'], value: undefined },
      { path: ['http', 'i', 'a'], value: undefined },
      { path: ['http', 'i', 'c'], value: undefined },
      { path: ['http', 'j', 'x'], value: undefined },
    ],
    after: '[http]\ni = { b = 2 }\nj = {}\n',
  },
  {
    name: 'removal of a value of several lines, and of every spelling',
    before: '[http]\nOn = [\n 1, # c\n]\non = 1\n\n# c',
    edits: [off],
    after: '[http]\n\n# c',
  },
  {
    name: 'a table given as a value, key by key',
    before: '[http]\na = 1 # keep\nb = 2\n',
    edits: [{ path: ['http'], value: { a: 1, on: true } }],
    after: '[http]\na = 1 # keep\non = true\n',
  },
  {
    name: 'a new item and a new sub-table of a list',
    before: '[[x]]\n[x.s]\na = 1\n[[x]]\n[y]\n',
    edits: [
      { path: ['x', 1, 's', 'a'], value: 2 },
      { path: ['x', 2, 'a'], value: 3 },
    ],
    after: '[[x]]\n[x.s]\na = 1\n[[x]]\n\n[x.s]\na = 2\n\n[[x]]\na = 3\n\n[y]\n',
  },
  {
    name: 'the integer 0 at the very end',
    before: 'n = 0',
    edits: [{ path: ['n'], value: 12 }],
    after: 'n = 12',
  },
  {
    name: 'strings that need escapes, keys that need quotes',
    before: "a = 'C:\\x'\nb = 'x'\n",
    edits: [
      { path: ['a'], value: 'D:\\y' },
      { path: ['b'], value: "it's \u007f\n✨" },
      { path: ['k k', 'é.1'], value: [1.5, Infinity, -2, 1e21] },
    ],
    after: `a = 'D:\\y'\nb = "it's \\u007f\\n✨"\n\n["k k"]\n"é.1" = [1.5, inf, -2, 1e+21]\n`,
  },
]

await t.test('a TOML file is edited in its own way', async t => {
  for (const { name, before, edits, after, isExact } of edited) {
    const keys = isExact === true ? 'exact' : 'case-insensitive'
    t.same(editToml(before, edits, { keys }), { kind: 'edited', text: after }, name)
    t.same(editToml(after, edits, { keys }), { kind: 'edited', text: after }, `${name}, again`)
  }
})

await t.test('a file that cannot be read is refused with its position', async t => {
  const problem = (text: string) => {
    const result = editToml(text, [on])
    return result.kind === 'refused' ? result.problem : result
  }

  t.match(problem('a = 1\nb = ${VAR}\n'), { code: 'unparsable', line: 2, column: 5 })
  t.match(problem('[http]\n[data]\n[http]\n'), { code: 'duplicate-key', line: 3 })
  t.match(problem('[http]\na = 1\na = 2\n'), { code: 'duplicate-key', line: 3, column: 1 })
  t.match(problem('a = {x = 1}\n[a]\n'), { code: 'duplicate-key', line: 2 })
  t.match(problem('a = "\n'), { code: 'unparsable' })
  t.match(problem('a = 1\rb = 2\n'), { code: 'unparsable' })
  const utf16 = Buffer.from('\uFEFFa = 1\n', 'utf16le').toString('utf8')
  t.match(problem(utf16), { code: 'unparsable', message: 'the file is not UTF-8 text' })
  t.match(problem('a = "\uFFFD"\n'), { code: 'unparsable', line: 1, column: 6 })
  t.match(problem(`a = ${'['.repeat(100_000)}`), { code: 'unparsable' })
  t.match(problem(`a = "${'x'.repeat(5_000_000)}"`), { code: 'unparsable' })
  t.match(readToml('a = '), { kind: 'refused', problem: { code: 'unparsable' } })
})

await t.test('an edit that has no safe way is refused', async t => {
  const refusals: readonly [string, ConfigEdit][] = [
    ['[[http]]\n', on],
    ['http = 1\n', on],
    ['http = [1]\n', on],
    ['[http.on]\na = 1\n', on],
    ['[http.on]\na = 1\n', off],
    ['[[x]]\n', { path: ['x', 0], value: undefined }],
    ['[[x]]\n', { path: ['x', 2, 'a'], value: 1 }],
    ['', { path: ['x', 1, 'a'], value: 1 }],
    ['', { path: ['x', 0], value: 1 }],
    ['', { path: [], value: 1 }],
    ['', { path: ['x'], value: null }],
    ['x = 1\n', { path: ['x'], value: [null] }],
    ['', { path: ['x'], value: '\ud800' }],
    ['x = { # c\n a = 1 }\n', { path: ['x', 'a'], value: undefined }],
  ]
  for (const [text, edit] of refusals) {
    const result = editToml(text, [edit])
    t.match(result, { kind: 'refused', problem: { code: 'unsupported-shape' } }, text)
  }
})

await t.test('edits are done in their order, all or none', async t => {
  const first = { path: ['a'], value: 1 }

  t.same(editToml('', [first, { path: ['a'], value: 2 }]), { kind: 'edited', text: 'a = 2\n' })
  t.match(editToml('', [first, { path: ['a', 'b'], value: 2 }]), { kind: 'refused' })
})

await t.test('values are read as they are, and looked up in any spelling', async t => {
  const text =
    '\uFEFF[http]\nOn = 1\non = "x"\nd = 1979-05-27\nb = 9223372036854775807\n[[x]]\nf = 1.5\n'
  const result = readToml(text)
  assert(result.kind === 'read', 'the text is TOML')

  t.same(result.value, {
    http: { On: 1, on: 'x', d: '1979-05-27', b: '9223372036854775807' },
    x: [{ f: 1.5 }],
  })
  t.same(lookup(result.value, ['HTTP', 'ON'], { keys: 'case-insensitive' }), [
    { path: ['http', 'On'], value: 1 },
    { path: ['http', 'on'], value: 'x' },
  ])
  t.same(lookup(result.value, ['http', 'on']), [{ path: ['http', 'on'], value: 'x' }])
  t.same(lookup(result.value, ['x', 0, 'f']), [{ path: ['x', 0, 'f'], value: 1.5 }])
  t.same(lookup(result.value, ['x', 1, 'f']), [])
  t.same(lookup({ 'a.b': { c: 1 }, a: { 'b.c': 2 } }, ['a.b', 'c'], { keys: 'flat' }), [
    { path: ['a.b', 'c'], value: 1 },
    { path: ['a', 'b.c'], value: 2 },
  ])
})

await t.test('the stock file that is as it should be comes back as the same string', async t => {
  const text = readFileSync(new URL('golden/influxdb-1.6.7.conf', import.meta.url), 'utf8')
  const edits = [
    { path: ['reporting-enabled'], value: false },
    { path: ['META', 'dir'], value: '/var/lib/influxdb/meta' },
    { path: ['http', 'no-such-key'], value: undefined },
  ]

  const result = editToml(text, edits, { keys: 'case-insensitive' })

  t.same(result, { kind: 'edited', text })
})
