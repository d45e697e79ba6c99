import t from 'tap'
import {
  readFlag,
  readVariable,
  setFlag,
  setVariable,
  splitWords,
} from '../../../agent/formats/env-file.ts'

const edited = (text: string) => ({ kind: 'edited', text })

await t.test('a variable is read as systemd reads it', async t => {
  // Each of these was compared with what systemd 252 passed to a program.
  const values: readonly [string, string | undefined][] = [
    ['A=1', '1'],
    ['  A = 1 2  \n', '1 2'],
    ['A=\n', ''],
    ['A="x y" # no comment\n', 'x y# no comment'],
    ['A="x"\'y\'  z \n', 'xyz'],
    ['A=a"b"\n', 'a"b"'],
    ['A=a \\\n  b\n', 'a   b'],
    ['A="a\\\nb \\" \\$ \\` \\\\ \\d"\n', 'ab " $ ` \\ \\d'],
    ["A='a\\'\n", 'a\\'],
    ['A="two\nlines"\n', 'two\nlines'],
    ['A=a\\ \n', 'a '],
    ['#A=1\n;A=2\nB=A=3\n', undefined],
    ['# c \\\n\nA=1\n', '1'],
    ['export A=1\n', undefined],
    ['A=1\nA=2\n', '2'],
    ['A=1\r\nB=2\r\n', '1'],
    ['\uFEFFA=1\n', undefined],
    ['', undefined],
  ]
  for (const [text, value] of values) t.equal(readVariable(text, 'A'), value, JSON.stringify(text))
})

await t.test('setting a variable leaves every other byte alone', async t => {
  const sets: readonly [string, string, string][] = [
    ['', 'x', 'A="x"\n'],
    ['B=1', 'x', 'B=1\nA="x"'],
    ['B=1\r\n', 'x y', 'B=1\r\nA="x y"\r\n'],
    ['A=1 \nA = 2  \n# c\n', '3', 'A=1 \nA = 3\n# c\n'],
    ["A='a'\n", 'b c', "A='b c'\n"],
    ["A='a'\n", "b'c", 'A="b\'c"\n'],
    ['A=a\n', 'b c', 'A="b c"\n'],
    ['A=\n', 'b', 'A="b"\n'],
    ['A="a\\\n b" \nB=1', '"$`\\', 'A="\\"\\$\\`\\\\"\nB=1'],
    ['# c \\', 'x', '# c \\\n\nA="x"'],
  ]
  for (const [before, value, after] of sets) {
    t.same(setVariable(before, 'A', value), edited(after), JSON.stringify(before))
    t.same(setVariable(after, 'A', value), edited(after), `${JSON.stringify(before)}, again`)
  }
})

await t.test('removing a variable removes all its lines', async t => {
  const text = '# A=0\nA=1\n B=2\n  A="3\n4"\r\nC=5\nA=6'

  t.same(setVariable(text, 'A', undefined), edited('# A=0\n B=2\nC=5\n'))
  t.same(setVariable(text, 'D', undefined), edited(text))
})

await t.test('words are split as systemd splits $ARGS', async t => {
  t.same(splitWords(` --a  "b c"\t'd e'f \\"g 'h\\'i' `), ['--a', 'b c', 'd ef', '"g', "h'i"])
  t.same(splitWords('"" \'open and shut'), ['', 'open and shut'])
  t.same(splitWords(''), [])
})

await t.test('a flag is found in every form that programs take', async t => {
  const words = ['--x.y=1', '-x.y=2', '--x.y', '3', '--z', '--x.y', '--w', '--', '--x.y=4']

  t.same(readFlag(words, 'x.y'), { value: undefined, count: 4 })
  t.same(readFlag(words.slice(0, 4), '--x.y'), { value: '3', count: 3 })
  t.same(readFlag(words, 'x'), { value: undefined, count: 0 })
  t.same(readFlag(['--x='], 'x'), { value: '', count: 1 })
})

await t.test('setting a flag never makes a second one and keeps the other words', async t => {
  const flags: readonly [string, string | undefined, string][] = [
    ['', '/w', 'ARGS="--f=/w"\n'],
    ['ARGS=""\n', '/w', 'ARGS="--f=/w"\n'],
    ['ARGS=\n', '/w', 'ARGS="--f=/w"\n'],
    [
      'ARGS="--a \\\n  --b=\'x y\' \\"c\\""\n',
      '/w',
      'ARGS="--a \\\n  --b=\'x y\' \\"c\\" --f=/w"\n',
    ],
    ['ARGS="--a --f=/v --b"\n', '/w', 'ARGS="--a --f=/w --b"\n'],
    ['ARGS="--a -f=/v \\\n --b"\n', '/w', 'ARGS="--a -f=/w \\\n --b"\n'],
    ["ARGS='--f /v --b'\n", '/w', "ARGS='--f /w --b'\n"],
    ['ARGS="--f --b"\n', '/w', 'ARGS="--f=/w --b"\n'],
    ['ARGS="--f=/u --a --f /v -f=/x --b"\n', '/w', 'ARGS="--f=/w --a --b"\n'],
    ['ARGS=--a\n', '/w', 'ARGS="--a --f=/w"\n'],
    ['ARGS="--a -- b"\n', '/w', 'ARGS="--a --f=/w -- b"\n'],
    ['ARGS="--a"\n', "x y'z", "ARGS=\"--a '--f=x y\\\\'z'\"\n"],
    ['ARGS="--a"\nB=1\nARGS="--b"\n', '/w', 'ARGS="--a"\nB=1\nARGS="--b --f=/w"\n'],
    ['ARGS="--f=/w"\n', undefined, 'ARGS=""\n'],
    ['ARGS="--f /w -f=/x --a --f=/y"\n', undefined, 'ARGS="--a"\n'],
    ['B=1\n', undefined, 'B=1\n'],
  ]
  for (const [before, value, after] of flags) {
    t.same(setFlag(before, 'ARGS', 'f', value), edited(after), JSON.stringify(before))
    t.same(setFlag(after, 'ARGS', '--f', value), edited(after), `${JSON.stringify(before)}, again`)
  }
})

await t.test(
  'a file that systemd versions read differently, or that has no end, is refused',
  async t => {
    const problem = (text: string) => {
      const result = setVariable(text, 'A', 'x')
      return result.kind === 'refused' ? result.problem : result
    }

    t.match(problem('B=1\nC="open\n'), { code: 'unparsable', line: 2, column: 1 })
    t.match(problem('C=a\\'), { code: 'unparsable' })
    t.match(problem('# c \\\nA=1\n'), { code: 'unsupported-shape', line: 2 })
    t.match(problem('B=\uFFFD\n'), { code: 'unparsable' })
    t.match(setVariable('', 'A', 'a\0b'), { problem: { code: 'unsupported-shape' } })
    t.match(setFlag('A="open', 'A', 'f', 'x'), { problem: { code: 'unparsable' } })
  },
)
