import t from 'tap'
import { findDamage } from '../../../agent/formats/ownership.ts'

const edit = { path: ['http', 'on'], value: true }
const question = { edit, keys: 'exact', wanted: true } as const

await t.test('an edit may change the owned key and the empty tables on the way to it', async t => {
  const ok: readonly [unknown, unknown][] = [
    [{}, { http: { on: true } }],
    [{ http: {} }, { http: { on: true } }],
    [{ http: null }, { http: { on: true } }],
    [
      { http: { on: { deep: [1] } }, a: 1 },
      { a: 1, http: { on: true } },
    ],
  ]
  for (const [before, after] of ok) t.equal(findDamage({ ...question, before, after }), undefined)
})

await t.test('any other difference is damage', async t => {
  const damaged: readonly [unknown, unknown][] = [
    [{}, {}],
    [{}, { http: { on: 'true' } }],
    [{}, { http: { on: [true] } }],
    [{ a: 1 }, { http: { on: true } }],
    [{ a: 1 }, { a: '1', http: { on: true } }],
    [{ a: 1n }, { a: 1, http: { on: true } }],
    [{ a: [1, 2] }, { a: [2, 1], http: { on: true } }],
    [{ a: {} }, { http: { on: true } }],
    [{ a: null }, { http: { on: true } }],
    [{ a: new Date(0) }, { a: new Date(1), http: { on: true } }],
    [{ 'http.on': 1 }, { http: { on: true } }],
    [{ http: { x: 1 } }, { http: { on: true } }],
  ]
  for (const [before, after] of damaged) {
    t.type(findDamage({ ...question, before, after }), 'string', JSON.stringify(after))
  }
})

await t.test('a removed key must be gone, a removed item moves the others up', async t => {
  const removal = { edit: { ...edit, value: undefined }, keys: 'exact', wanted: undefined } as const
  const before = { http: { on: 1 }, a: 1 }

  t.equal(findDamage({ ...removal, before, after: { a: 1 } }), undefined)
  t.type(findDamage({ ...removal, before, after: before }), 'string')

  const item = { ...removal, edit: { path: ['l', 1], value: undefined } }
  const list = { l: [1, 2, 3] }
  t.equal(findDamage({ ...item, before: list, after: { l: [1, 3] } }), undefined)
  t.type(findDamage({ ...item, before: list, after: { l: [1, 2] } }), 'string')
  const dotted = { ...item, edit: { path: ['a', 'l', 0], value: undefined }, keys: 'flat' } as const
  const after = { 'a.l': [{ 'x.y': 2 }] }
  t.equal(findDamage({ ...dotted, before: { a: { l: [1, { x: { y: 2 } }] } }, after }), undefined)
})

await t.test('all spellings of a key must have the value where case does not count', async t => {
  const folded = { ...question, keys: 'case-insensitive', before: {} } as const

  t.equal(findDamage({ ...folded, after: { HTTP: { on: true, On: true } } }), undefined)
  t.type(findDamage({ ...folded, after: { HTTP: { on: true, On: false } } }), 'string')
})
