// JSON without the parser of YAML: the same value, or none.

import fc from 'fast-check'
import t from 'tap'
import { parseYamlText } from '../../agent/yaml-text.ts'
import { plainJson } from '../../agent/plain-json.ts'

const spaced = (value: object) =>
  fc.constantFrom(...[0, 1, 2, 7].map(n => JSON.stringify(value, null, n)))

await t.test('any object, however it is indented, is what YAML takes it for', async t => {
  let count = 0
  // Of a key that is a number the engine changes the order, which is a reason to ask the other parser.
  const key = fc.string({ minLength: 1 }).filter(name => !/^\d|^__proto__$|^<<$/.test(name))
  const { tree } = fc.letrec<{ tree: unknown }>(tie => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, true, false),
      fc.integer(),
      fc.string({ unit: 'binary' }),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 4, noNullPrototype: true }),
    ),
  }))
  const object = fc.dictionary(key, tree, { maxKeys: 5, noNullPrototype: true })
  fc.assert(
    fc.property(object.chain(spaced), text => {
      const plain = plainJson(text)
      count += 1
      return (
        plain !== undefined &&
        JSON.stringify(plain.value) === JSON.stringify(parseYamlText(text, 'd'))
      )
    }),
  )
  t.ok(count >= 100)
})

await t.test('what is not said once and plainly is for the other parser', async t => {
  for (const text of [
    '{"a": 1, "a": 2}',
    '{"a": {"b": 1, "b": 1}}',
    '{"a": "\\/"}',
    '{"a": 1.0}',
    '{"a": 1,}',
    '{"a": 1} {"b": 2}',
    '{a: 1}',
    'a: 1',
    '- 1',
    '',
  ])
    t.equal(plainJson(text), undefined, text)
  t.same(plainJson(' \n{"a": "x  y"}\n'), { value: { a: 'x  y' } })
})
