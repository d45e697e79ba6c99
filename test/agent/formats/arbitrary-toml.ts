// TOML files as people write them: odd spacing, comments in odd places, every spelling of keys and
// values. Some are invalid, by duplicate keys; those must be refused.

import fc from 'fast-check'
import type { ConfigEdit, ConfigValue } from '../../../agent/formats/edit.ts'

const name = fc.constantFrom('a', 'b', 'c-d', 'A', 'http', 'x1', 'y', 'z', 'B', 'k_2', 'HTTP', '7')
const quotedName = fc.constantFrom('"a"', "'b'", '"q.x"', "'é'", '"http"')
const space = fc.constantFrom('', ' ', '  ', '\t')
const key = fc.oneof({ arbitrary: name, weight: 6 }, { arbitrary: quotedName, weight: 1 })
const dotted = fc
  .tuple(fc.array(key, { minLength: 1, maxLength: 3 }), fc.constantFrom('.', ' . '))
  .map(([keys, dot]) => keys.join(dot))
const keyPath = fc.oneof({ arbitrary: key, weight: 5 }, { arbitrary: dotted, weight: 1 })

const scalar = fc.constantFrom(
  'true',
  'false',
  '0',
  '+12',
  '0x1F',
  '1_000',
  '1.0',
  '-2.5e3',
  'inf',
  '9223372036854775807',
  '""',
  '"/etc/ssl/x.pem"',
  '"a \\"b\\" # [x]"',
  "'C:\\dir # x'",
  '"\\u00e9 ✨"',
  '1979-05-27T07:32:00Z',
  '1979-05-27',
  '07:32:00',
  '"""\n[http]\na = 1 # no comment\n"""',
  "'''\n# not a comment\n[[x]]\n'''",
)

const comment = fc.constantFrom('# note', '#', '# a = 1', '### [http]', '#✨ µs', '# [a]')
const lineComment = fc.oneof(
  { arbitrary: fc.constant(''), weight: 4 },
  { arbitrary: comment.map(text => ` ${text}`), weight: 1 },
)

const { value } = fc.letrec<{ value: string }>(tie => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { arbitrary: scalar, weight: 6 },
    { arbitrary: inlineArray(tie('value')), weight: 1 },
    { arbitrary: longArray(tie('value')), weight: 1 },
    { arbitrary: inlineTable(tie('value')), weight: 2 },
  ),
}))

function inlineArray(item: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(item, { maxLength: 3 }), space, fc.boolean())
    .map(([items, gap, trailing]) => {
      const comma = trailing && items.length > 0 ? ',' : ''
      return `[${gap}${items.join(`,${gap}`)}${comma}${gap}]`
    })
}

function longArray(item: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(fc.tuple(item, lineComment), { maxLength: 3 }), lineComment)
    .map(([items, last]) => `[${last}\n${items.map(([v, c]) => `    ${v},${c}\n`).join('')}  ]`)
}

function inlineTable(item: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc
    .tuple(fc.array(fc.tuple(keyPath, item), { maxLength: 3 }), space)
    .map(
      ([pairs, gap]) =>
        `{${gap}${pairs.map(([k, v]) => `${k}${gap}=${gap}${v}`).join(', ')}${gap}}`,
    )
}

const pair = fc
  .tuple(space, keyPath, space, value, lineComment)
  .map(([indent, k, gap, v, c]) => `${indent}${k}${gap}=${gap}${v}${c}`)
const header = fc
  .tuple(space, keyPath, space, lineComment, fc.boolean())
  .map(([indent, k, gap, c, isList]) =>
    isList ? `${indent}[[${gap}${k}${gap}]]${c}` : `${indent}[${gap}${k}${gap}]${c}`,
  )
const other = fc.constantFrom(
  '',
  '  ',
  '# a = 1',
  '  # b = [',
  '  #   "x",',
  '  # ]',
  '#a="t"',
  '###',
  '### [http]',
  '# [http]',
  '\t# c-d = "µs"',
)

export const tomlText: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(
      fc.oneof(
        { arbitrary: pair, weight: 4 },
        { arbitrary: header, weight: 2 },
        { arbitrary: other, weight: 2 },
      ),
      { maxLength: 14 },
    ),
    fc.constantFrom('\n', '\n', '\r\n'),
    fc.constantFrom('', '', '\uFEFF'),
    fc.boolean(),
  )
  .map(([lines, eol, bom, isTerminated]) => {
    const text = lines.join('\n') + (isTerminated && lines.length > 0 ? '\n' : '')
    return bom + text.replaceAll('\n', eol)
  })

const leaf: fc.Arbitrary<ConfigValue> = fc.oneof(
  fc.boolean(),
  fc.integer(),
  fc.constantFrom(1.5, '', '/etc/ssl/x.pem', 'tab\there', 'q"\'\\', 'é ✨', 'line\nbreak', 'true'),
)

export const configValue: fc.Arbitrary<ConfigValue> = fc.oneof(
  { arbitrary: leaf, weight: 6 },
  { arbitrary: fc.array(leaf, { maxLength: 3 }), weight: 2 },
  {
    arbitrary: fc.dictionary(fc.constantFrom('a', 'b', 'k k'), leaf, {
      maxKeys: 2,
      noNullPrototype: true,
    }),
    weight: 1,
  },
)

const step = fc.oneof(
  { arbitrary: fc.constantFrom('a', 'b', 'c-d', 'A', 'http', 'q.x', 'new'), weight: 6 },
  { arbitrary: fc.constantFrom(0, 1), weight: 1 },
)

export const configEdit: fc.Arbitrary<ConfigEdit> = fc.record({
  path: fc
    .tuple(
      fc.constantFrom('a', 'b', 'c-d', 'A', 'http', 'q.x', 'new'),
      fc.array(step, { maxLength: 2 }),
    )
    .map(([first, rest]) => [first, ...rest]),
  value: fc.oneof(
    { arbitrary: configValue, weight: 3 },
    { arbitrary: fc.constant(undefined), weight: 1 },
  ),
})
