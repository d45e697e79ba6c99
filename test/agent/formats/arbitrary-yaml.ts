// YAML files as people write them: a random tree, printed with random indentation, quotes, comments,
// block and flow styles, and, for the products of Elastic, dotted keys.

import fc from 'fast-check'
import type { ConfigEdit } from '../../../agent/formats/edit.ts'
import { configValue } from './arbitrary-toml.ts'

type Lines = readonly string[]

const key = fc.constantFrom('a', 'b', 'c_d', 'tls', 'x.y', 'a.b', '"q k"', "'s'", '1')
const lineComment = fc.oneof(
  { arbitrary: fc.constant(''), weight: 4 },
  { arbitrary: fc.constantFrom(' # note', ' # a: 1', '  #✨'), weight: 1 },
)
const between = fc.oneof(
  { arbitrary: fc.constant<Lines>([]), weight: 6 },
  {
    arbitrary: fc.constantFrom<Lines>([''], ['# a: 1'], ['  # tls: x'], ['', '# c', ''], ['#b: 2']),
    weight: 1,
  },
)

const flowScalar = fc.constantFrom(
  'true',
  'yes',
  '1',
  '0644',
  '1.50',
  'plain text',
  '/etc/ssl/x.pem',
  "'single ''q'' # x'",
  '"double \\" # x"',
  'http://h:1',
  'null',
  '~',
  'ALIAS',
  '{}',
  '[]',
)
const manyLines = fc.constantFrom<Lines>(
  ['|', '  text', '  # no comment', '', '  more'],
  ['>-', '  folded', '  text'],
  ['|+', '  keep', '', ''],
  ['[', '    a, # one', '    "b"', '  ]'],
  ['several words', '  on two lines'],
  ['&own 1'],
  ['!!str 1'],
)

const { flow } = fc.letrec<{ flow: string }>(tie => ({
  flow: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { arbitrary: flowScalar, weight: 5 },
    {
      arbitrary: fc
        .tuple(fc.array(tie('flow'), { maxLength: 3 }), fc.constantFrom(', ', ' , '))
        .map(([items, comma]) => `[${items.join(comma)}]`),
      weight: 1,
    },
    {
      arbitrary: fc
        .tuple(
          fc.uniqueArray(key, { maxLength: 3 }),
          fc.array(tie('flow'), { minLength: 3, maxLength: 3 }),
          fc.boolean(),
        )
        .map(([keys, values, padded]) => {
          const pairs = keys.map((k, index) => `${k}: ${values[index]}`).join(', ')
          return padded ? `{ ${pairs} }` : `{${pairs}}`
        }),
      weight: 1,
    },
  ),
}))

/** The lines of a node at column 0; a flow node is one line, a block node is several. */
const { map } = fc.letrec<{ map: Lines; seq: Lines; entry: (k: string) => Lines; item: Lines }>(
  tie => ({
    map: fc
      .tuple(
        fc.uniqueArray(key, { minLength: 1, maxLength: 4 }),
        fc.array(fc.tuple(tie('entry'), between), { minLength: 4, maxLength: 4 }),
      )
      .map(([keys, entries]) =>
        keys.flatMap((k, index) => {
          const [entry, gap] = entries[index] ?? [() => [], []]
          return [...entry(k), ...gap]
        }),
      ),
    seq: fc.array(tie('item'), { minLength: 1, maxLength: 3 }).map(items => items.flat()),
    entry: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      {
        arbitrary: fc
          .tuple(flow, fc.constantFrom(' ', '   '), lineComment)
          .map(([v, gap, c]) => (k: string) => [`${k}:${gap}${v}${c}`]),
        weight: 5,
      },
      { arbitrary: lineComment.map(c => (k: string) => [`${k}:${c}`]), weight: 1 },
      {
        arbitrary: manyLines.map(([first = '', ...rest]) => (k: string) => [
          `${k}: ${first}`,
          ...rest,
        ]),
        weight: 1,
      },
      {
        arbitrary: fc
          .tuple(tie('map'), fc.constantFrom(2, 2, 4), lineComment, between)
          .map(([lines, width, c, gap]) => (k: string) => [
            `${k}:${c}`,
            ...gap,
            ...indent(lines, width),
          ]),
        weight: 3,
      },
      {
        arbitrary: fc
          .tuple(tie('seq'), fc.constantFrom(0, 2), lineComment)
          .map(([lines, width, c]) => (k: string) => [`${k}:${c}`, ...indent(lines, width)]),
        weight: 1,
      },
    ),
    item: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      { arbitrary: fc.tuple(flow, lineComment).map(([v, c]) => [`- ${v}${c}`]), weight: 3 },
      {
        arbitrary: tie('map').map(lines => {
          const [first = '', ...rest] = indent(lines, 2)
          return [`- ${first.slice(2)}`, ...rest]
        }),
        weight: 2,
      },
    ),
  }),
)

function indent(lines: Lines, width: number): Lines {
  return lines.map(line => (line === '' ? line : ' '.repeat(width) + line))
}

export const yamlText: fc.Arbitrary<string> = fc
  .tuple(
    fc.oneof({ arbitrary: map, weight: 9 }, { arbitrary: fc.constant<Lines>([]), weight: 1 }),
    fc.constantFrom<Lines>([], [], ['---'], ['# top', ''], ['#a: 1']),
    fc.constantFrom('\n', '\n', '\r\n'),
    fc.constantFrom('', '', '\uFEFF'),
    fc.boolean(),
  )
  .chain(([lines, top, eol, bom, isTerminated]) =>
    fc.constantFrom<Lines>([], [], ['base: &base {k: v}'], ['base: &base', '  a: 1']).map(base => {
      const all = [...top, ...base, ...lines]
      const text = all.join(eol) + (isTerminated && all.length > 0 ? eol : '')
      return bom + text.replaceAll('ALIAS', base.length > 0 ? '*base' : '1')
    }),
  )

const stepName = fc.constantFrom('a', 'b', 'c_d', 'tls', 'x', 'y', 'x.y', 'q k', 'new')

export const yamlEdit: fc.Arbitrary<ConfigEdit> = fc.record({
  path: fc
    .tuple(
      stepName,
      fc.array(
        fc.oneof(
          { arbitrary: stepName, weight: 5 },
          { arbitrary: fc.constantFrom(0, 1), weight: 1 },
        ),
        {
          maxLength: 2,
        },
      ),
    )
    .map(([first, rest]) => [first, ...rest]),
  value: fc.oneof(
    { arbitrary: configValue, weight: 3 },
    { arbitrary: fc.constant(null), weight: 1 },
    { arbitrary: fc.constant(undefined), weight: 2 },
  ),
})
