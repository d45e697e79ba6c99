import fc from 'fast-check'
import t from 'tap'
import { formatTable, widthOf, wrap } from '../../../controller/cli/table.ts'

const COLUMNS = [{ title: 'NAME' }, { title: 'N', align: 'right' }, { title: 'WHY' }] as const

await t.test('columns are aligned, also when cells have colours', async t => {
  const rows = [
    ['a', '1', 'short'],
    ['\u001b[31mlonger\u001b[39m', '12', ''],
    ['größe', '3', 'x'],
  ]

  t.equal(
    formatTable(COLUMNS, rows, undefined),
    [
      'NAME     N  WHY',
      'a        1  short',
      '\u001b[31mlonger\u001b[39m  12',
      'größe    3  x',
      '',
    ].join('\n'),
  )
})

await t.test('only a terminal wraps the last column, and only when there is room to', async t => {
  const rows = [['a', '1', 'one two three four five six seven eight']]

  t.equal(
    formatTable(COLUMNS, rows, 36),
    'NAME  N  WHY\na     1  one two three four five six\n         seven eight\n',
  )
  t.equal(formatTable(COLUMNS, rows, undefined).split('\n').length, 3)
  t.equal(formatTable(COLUMNS, rows, 20).split('\n').length, 3, 'too narrow to wrap')
})

await t.test('wrapping loses nothing and keeps the width, but for longer words', async t => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(words, fc.integer({ min: 1, max: 40 }), (list, width) => {
      const lines = wrap(list.join(' '), width)

      return (
        lines.join(' ') === list.join(' ') &&
        lines.every(line => widthOf(line) <= width || !line.includes(' '))
      )
    }),
  )
  t.pass()
})
