import { readFileSync } from 'node:fs'
import t from 'tap'
import { assert } from '../../../shared/assert.ts'
import { unifiedDiff } from '../../../agent/formats/unified-diff.ts'
import { goldenCases } from './golden-cases.ts'

const golden = (name: string) => readFileSync(new URL(`golden/${name}`, import.meta.url), 'utf8')

for (const { name, input, output, edit } of goldenCases) {
  await t.test(name, async t => {
    const expected = golden(output)

    const result = edit(golden(input))

    t.same(result, { kind: 'edited', text: expected })
  })
}

await t.test('an edited file is not edited again', async t => {
  // The removal of a list item by its index would remove the next one.
  const repeatable = goldenCases.filter(({ input }) => input !== 'metricbeat-nested.yml')
  for (const { output, edit } of repeatable.filter(({ input }) => !input.includes('telegraf'))) {
    const text = golden(output)
    t.same(edit(text), { kind: 'edited', text }, output)
  }
})

await t.test(
  'line ends, a byte order mark and a missing final newline are carried through',
  async t => {
    for (const { input, edit } of goldenCases.filter(({ input }) => !input.includes('crlf'))) {
      const text = golden(input)
      const plain = edit(text)
      assert(plain.kind === 'edited', input)
      const crlf = (lf: string) => lf.replaceAll('\n', '\r\n')

      t.same(edit(crlf(text)), { kind: 'edited', text: crlf(plain.text) }, `${input} with CRLF`)
      if (!input.startsWith('default-')) {
        const bom = '\uFEFF'
        t.same(edit(bom + text), { kind: 'edited', text: bom + plain.text }, `${input} with BOM`)
      }
      const cut = edit(text.trimEnd())
      assert(cut.kind === 'edited', input)
      t.notMatch(cut.text, /\n$/, `${input} without final newline`)
      t.equal(cut.text, plain.text.trimEnd(), `${input} without final newline`)
    }
  },
)

await t.test('every removed line of a golden file is one that an edit is about', async t => {
  const removed = goldenCases.flatMap(({ input, output }) =>
    unifiedDiff(golden(input), golden(output), { path: input, contextLines: 0 })
      .split('\n')
      .filter(line => line.startsWith('-') && !line.startsWith('---')),
  )
  t.ok(removed.length > 0)
  t.same(
    removed.filter(line => /^-\s*#/.test(line)),
    [],
    'no comment is ever removed',
  )
})
