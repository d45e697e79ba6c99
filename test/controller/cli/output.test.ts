import fc from 'fast-check'
import t from 'tap'
import {
  printable,
  printableText,
  processTerminal,
  toJson,
  toJsonLine,
} from '../../../controller/cli/output.ts'

await t.test(
  'no text that is printed for people holds a control character but the line feed',
  async t => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0x2fff })), codes => {
        const text = String.fromCodePoint(...codes)
        // oxlint-disable-next-line no-control-regex
        return !/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(
          printableText(text),
        )
      }),
    )
    t.equal(printableText('größe: 1\n  ok'), 'größe: 1\n  ok', 'plain text stays')
    t.equal(printableText('a\tb\rc'), 'a    b\\u000dc')
  },
)

await t.test('a printable copy keeps the shape of what it copies', async t => {
  const value = { a: ['\u001b[0m', 1, true, null], 'k\u0007': { b: 'x' } }

  t.strictSame(printable(value), { a: ['\\u001b[0m', 1, true, null], 'k\\u0007': { b: 'x' } })
})

await t.test('JSON ends with a line feed, and an event is one line', async t => {
  t.equal(toJson({ a: 1 }), '{\n  "a": 1\n}\n')
  t.equal(toJsonLine({ a: 'x\ny' }), '{"a":"x\\ny"}\n')
})

await t.test('a process that runs many commands listens to its output once', async t => {
  const before = process.stdout.listenerCount('error')

  for (let command = 0; command < 20; command++) processTerminal()

  t.equal(process.stdout.listenerCount('error'), before + 1)
})
