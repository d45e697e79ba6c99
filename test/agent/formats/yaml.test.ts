import t from 'tap'
import type { ConfigEdit } from '../../../agent/formats/edit.ts'
import { editYaml, readYaml, readYamlList } from '../../../agent/formats/yaml.ts'

interface Case {
  readonly name: string
  readonly before: string
  readonly edits: readonly ConfigEdit[]
  readonly after: string
}

const set: ConfigEdit = { path: ['tls', 'ca'], value: '/ca.pem' }
const unset: ConfigEdit = { path: ['tls', 'ca'], value: undefined }

const edited: readonly Case[] = [
  { name: 'an empty file', before: '', edits: [set], after: 'tls:\n  ca: /ca.pem\n' },
  { name: 'a file of comments', before: '# c', edits: [set], after: '# c\ntls:\n  ca: /ca.pem' },
  {
    name: 'a bare document start',
    before: '---\n',
    edits: [set],
    after: '---\ntls:\n  ca: /ca.pem\n',
  },
  {
    name: 'a document start and end',
    before: '%YAML 1.2\n--- # c\na: 1\n...\n',
    edits: [set],
    after: '%YAML 1.2\n--- # c\na: 1\ntls:\n  ca: /ca.pem\n...\n',
  },
  {
    name: "the file's own indentation",
    before: 'a:\n    b: 1\ntls:\n',
    edits: [set, { path: ['x', 'w', 'z'], value: 1 }],
    after: 'a:\n    b: 1\ntls:\n    ca: /ca.pem\nx:\n    w:\n        z: 1\n',
  },
  {
    name: 'a key without a value, and one that is null',
    before: 'tls: # later\nb: ~ # c\n',
    edits: [set, { path: ['b', 'c'], value: 1 }],
    after: 'tls: # later\n  ca: /ca.pem\nb:\n  c: 1 # c\n',
  },
  {
    name: 'quotes stay as they are',
    before: `tls: {"ca": 'x', b: "y",}\n`,
    edits: [set, { path: ['tls', 'b'], value: 'é "z"' }, { path: ['tls', 'c'], value: 'no' }],
    after: `tls: {"ca": '/ca.pem', b: "é \\"z\\"", c: "no",}\n`,
  },
  {
    name: 'an equal value in another spelling',
    before: 'a: "x"\nb: !!str x\nc: 0x10\nd: [ 1,\n  2 ]\n',
    edits: [
      { path: ['a'], value: 'x' },
      { path: ['b'], value: 'x' },
      { path: ['c'], value: 16 },
      { path: ['d'], value: [1, 2] },
    ],
    after: 'a: "x"\nb: !!str x\nc: 0x10\nd: [ 1,\n  2 ]\n',
  },
  {
    name: 'strings that some parser would not take for strings',
    before: '',
    edits: [
      'yes',
      '1.5',
      '',
      'a: b',
      '# c',
      '~',
      '2001-01-01',
      'x\u0085\ny',
      '-',
      '0x1',
      ' a',
      '*a',
    ].map((value, index) => ({ path: [`k${index}`], value })),
    after:
      'k0: "yes"\nk1: "1.5"\nk2: ""\nk3: "a: b"\nk4: "# c"\nk5: "~"\nk6: "2001-01-01"\n' +
      'k7: "x\\u0085\\ny"\nk8: "-"\nk9: "0x1"\nk10: " a"\nk11: "*a"\n',
  },
  {
    name: 'values of several lines',
    before: 'a: |\n  one\n\n  two\n# c\nb: >-\n  x\nc: several\n  words # c\n',
    edits: [
      { path: ['a'], value: 'x' },
      { path: ['b'], value: { c: 1 } },
      { path: ['c'], value: true },
    ],
    after: 'a: x\n# c\nb:\n  c: 1\nc: true # c\n',
  },
  {
    name: 'a block that becomes a value, a list that becomes a table',
    before: 'a: # c\n  # about b\n  b: 1 # d\nl:\n- 1\n- 2\n',
    edits: [
      { path: ['a'], value: 'x' },
      { path: ['l'], value: { m: 1 } },
    ],
    after: 'a: x # c\n  # about b\nl:\n  m: 1\n',
  },
  {
    name: 'lists, item by item',
    before:
      'a:\n  - x # one\n  # between\n  - "y"\nb: [ 1, 2, 3 ]\nc: [\n  1, # c\n]\nd:\n- e: 1\n',
    edits: [
      { path: ['a'], value: ['x', 'z', 'new'] },
      { path: ['b'], value: [1, 5] },
      { path: ['c'], value: [1, 2] },
      { path: ['d', 0, 'f'], value: 2 },
    ],
    after:
      'a:\n  - x # one\n  # between\n  - "z"\n  - new\nb: [ 1, 5 ]\nc: [\n  1, 2, # c\n]\nd:\n- e: 1\n  f: 2\n',
  },
  {
    name: 'a template between the keys of the table that it is for',
    before: 'tls:\n  a: 1\n  #ca: x\n\n  b: 2\n#ca: y\n',
    edits: [set],
    after: 'tls:\n  a: 1\n  #ca: x\n  ca: /ca.pem\n\n  b: 2\n#ca: y\n',
  },
  {
    name: 'removal with the comment behind, the last key with its table, comments inside stay',
    before: 'a: 1\ntls: # c\n  # about ca\n  ca: x # c\nb:\n  c: 1\n  d: 2\n',
    edits: [unset, { path: ['b', 'c'], value: undefined }],
    after: 'a: 1\n  # about ca\nb:\n  d: 2\n',
  },
  {
    name: 'removal up to the last key of the file',
    before: 'tls:\n  ca:\n    x: 1',
    edits: [{ path: ['tls', 'ca', 'x'], value: undefined }],
    after: '',
  },
  {
    name: 'removal behind a dash, and of all that an item has',
    before: 'l:\n- a: 1\n  b: 2\n- c: 3\n- d: |\n    x\n  e: 1\n',
    edits: [
      { path: ['l', 0, 'a'], value: undefined },
      { path: ['l', 1, 'c'], value: undefined },
      { path: ['l', 2, 'd'], value: undefined },
    ],
    after: 'l:\n- b: 2\n- {}\n- e: 1\n',
  },
  {
    name: 'removal between braces and brackets',
    before: '{a: {b: 1, c: 2, d: 3}, e: {f: 1}, g: 2}\n',
    edits: [
      { path: ['a', 'b'], value: undefined },
      { path: ['a', 'd'], value: undefined },
      { path: ['e', 'f'], value: undefined },
      { path: ['g'], value: undefined },
    ],
    after: '{a: {c: 2}, e: {}}\n',
  },
  {
    name: 'a table given as a value, key by key',
    before: 'tls:\n  ca: /ca.pem # keep\n  old: 1\n',
    edits: [{ path: ['tls'], value: { ca: '/ca.pem', deep: { er: [1] } } }],
    after: 'tls:\n  ca: /ca.pem # keep\n  deep:\n    er: [1]\n',
  },
  {
    name: 'anchors elsewhere are no obstacle',
    before: 'base: &b {x: 1}\nuse: *b\nm:\n  <<: *b\n  y: 1\n',
    edits: [set, { path: ['m', 'y'], value: 2 }],
    after: 'base: &b {x: 1}\nuse: *b\nm:\n  <<: *b\n  y: 2\ntls:\n  ca: /ca.pem\n',
  },
]

await t.test('a YAML file is edited in its own way', async t => {
  for (const { name, before, edits, after } of edited) {
    t.same(editYaml(before, edits), { kind: 'edited', text: after }, name)
    t.same(editYaml(after, edits), { kind: 'edited', text: after }, `${name}, again`)
  }
})

const flat: readonly Case[] = [
  {
    name: 'nested, dotted and mixed spellings are found',
    before: 'a.b.c: 1\nd:\n  e.f: 1\ng.h:\n  i: 1\n',
    edits: [
      { path: ['a', 'b', 'c'], value: 2 },
      { path: ['d.e', 'f'], value: 2 },
      { path: ['g.h.i'], value: 2 },
    ],
    after: 'a.b.c: 2\nd:\n  e.f: 2\ng.h:\n  i: 2\n',
  },
  {
    name: 'a new key goes into the table that is there, or beside its relatives',
    before: 'x.ssl:\n  on: true\ny: 1\nx.z: 1\nw:\n',
    edits: [
      { path: ['x.ssl.key.path'], value: 'p' },
      { path: ['x.new.a'], value: 1 },
      { path: ['w.a.b'], value: 1 },
      { path: ['v.u'], value: 1 },
    ],
    after: 'x.ssl:\n  on: true\n  key.path: p\ny: 1\nx.z: 1\nx.new.a: 1\nw:\n  a.b: 1\nv.u: 1\n',
  },
  {
    name: 'removal in a mixed spelling',
    before: 'a:\n  b.c: 1\na.d: 1\n',
    edits: [{ path: ['a.b.c'], value: undefined }],
    after: 'a.d: 1\n',
  },
  {
    name: 'lists inside of dotted keys',
    before: 'm.l:\n- n.o: 1\n',
    edits: [{ path: ['m', 'l', 0, 'n', 'p'], value: 2 }],
    after: 'm.l:\n- n.o: 1\n  n.p: 2\n',
  },
]

await t.test('with flat keys, dotted and nested spellings are one key', async t => {
  const options = { flatKeys: true }
  for (const { name, before, edits, after } of flat) {
    t.same(editYaml(before, edits, options), { kind: 'edited', text: after }, name)
  }
  const twice = 'a.b: 1\na:\n  b: 1\n'
  const once = (text: string, value?: number) => editYaml(text, [{ path: ['a.b'], value }], options)
  t.same(once(twice, 1), { kind: 'edited', text: 'a:\n  b: 1\n' }, 'the last one counts')
  t.same(once(twice, 2), { kind: 'edited', text: 'a:\n  b: 2\n' })
  t.same(once('a:\n  b: 1 # old\n  c: 1\n# new\na.b: 3\n', 2), {
    kind: 'edited',
    text: 'a:\n  c: 1\n# new\na.b: 2\n',
  })
  t.same(once(`${twice}c: 1\n`), { kind: 'edited', text: 'c: 1\n' })
  t.match(editYaml('a.b.c: 1\n', [{ path: ['a.b'], value: 1 }], options), {
    kind: 'refused',
    problem: { code: 'unsupported-shape' },
  })
  t.same(editYaml(twice, [{ path: ['a.b'], value: 2 }]), {
    kind: 'edited',
    text: 'a.b: 2\na:\n  b: 1\n',
  })
})

await t.test('items of a file whose top is a list are edited', async t => {
  const text = '- module: elasticsearch\n  hosts: ["http://a:9200"] # all\n\n- module: kibana\n'
  t.same(editYaml(text, [{ path: [0, 'hosts'], value: ['https://a:9200'] }], { flatKeys: true }), {
    kind: 'edited',
    text: text.replace('"http://a:9200"', '"https://a:9200"'),
  })
  t.same(editYaml(text, [{ path: [1, 'ssl.enabled'], value: true }], { flatKeys: true }), {
    kind: 'edited',
    text: `${text}  ssl.enabled: true\n`,
  })
  t.match(readYamlList(text), { value: [{ module: 'elasticsearch' }, { module: 'kibana' }] })
  t.match(readYamlList('# nothing\n'), { kind: 'read', value: [] })
  t.match(readYamlList('a: 1\n'), { kind: 'refused', problem: { code: 'unsupported-shape' } })
})

await t.test('a file that cannot be read is refused with its position', async t => {
  const problem = (text: string) => {
    const result = editYaml(text, [set])
    return result.kind === 'refused' ? result.problem : result
  }

  t.match(problem('a:\n\tb: 1\n'), { code: 'unparsable', line: 2 })
  t.match(problem('a: 1\n b: 2\n'), { code: 'unparsable', line: 1 })
  t.match(problem('a: [1\n'), { code: 'unparsable' })
  t.match(problem('a: 1\nb: 1\na: 2\n'), { code: 'duplicate-key', line: 3, column: 1 })
  t.match(problem('a: 1\n---\nb: 1\n'), { code: 'unsupported-shape' })
  t.match(problem('- a\n'), { code: 'unsupported-shape' })
  t.match(problem('a: *b\n'), { code: 'unparsable' })
  t.match(problem('a: \0\n'), { code: 'unparsable', message: 'the file is not UTF-8 text' })
  t.match(problem('['.repeat(2000)), { code: 'unparsable' })
  const bomb = [
    'a: &a [1,1,1,1,1,1,1,1,1]',
    ...'bcdefgh'.split('').map((key, index) => {
      const last = 'abcdefgh'.charAt(index)
      return `${key}: &${key} [${Array(9).fill(`*${last}`).join(',')}]`
    }),
  ].join('\n')
  t.match(problem(bomb), { code: 'unparsable' })
})

await t.test('an edit that has no safe way is refused', async t => {
  const refusals: readonly [string, ConfigEdit][] = [
    ['tls: &x {ca: 1}\nb: *x\n', set],
    ['x: &x {ca: 1}\ntls: *x\n', set],
    ['tls:\n  ca: !!str 1\n', set],
    ['x: &x {ca: 1}\ntls:\n  <<: *x\n', set],
    ['tls: text\n', set],
    ['tls:\n- ca: 1\n', set],
    ['tls:\n- ca: 1\n', { path: ['tls', 1, 'ca'], value: 1 }],
    ['tls:\n- - a: 1\n    b: 2\n', { path: ['tls', 0, 0], value: undefined }],
    ['? tls\n: ca: 1\n? b\n', { path: ['tls'], value: undefined }],
    ['tls: {ca: 1, # c\n  b: 1}\n', unset],
    ['a: |\n  text', set],
    ['', { path: ['l', 0], value: 1 }],
    ['', { path: [], value: 1 }],
    ['', { path: ['a'], value: '\ud800' }],
  ]
  for (const [text, edit] of refusals) {
    const result = editYaml(text, [edit])
    t.match(result, { kind: 'refused', problem: { code: 'unsupported-shape' } }, text)
  }
})

await t.test('an edit that would change more than its key is refused', async t => {
  // Without the key between them, the comment would become a line of the text.
  const result = editYaml('a: |\n  text\ntls:\n  # c\n  ca: 1\n', [unset])

  t.match(result, { kind: 'refused', problem: { code: 'not-lossless' } })
})

await t.test('values are read with aliases and merge keys resolved', async t => {
  t.same(readYaml('\uFEFFb: &b {x: 1}\nc: {<<: *b, y: yes}\nd: *b\n1: ~\n'), {
    kind: 'read',
    value: { b: { x: 1 }, c: { x: 1, y: 'yes' }, d: { x: 1 }, 1: null },
  })
  t.same(readYaml('# nothing\n'), { kind: 'read', value: {} })
  t.match(readYaml('text'), { kind: 'refused', problem: { code: 'unsupported-shape' } })
})
