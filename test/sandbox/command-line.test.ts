import t from 'tap'
import { expandVariables, parseCommand, splitWords } from './command-line.ts'

await t.test('words are split at white space, quotes and escapes resolved', async t => {
  t.same(splitWords(` a  "b c" 'd "e"' f"g h"i "" \\"x\\s `), [
    'a',
    'b c',
    'd "e"',
    'fg hi',
    '',
    '"x ',
  ])
  t.same(splitWords('--web.page-title="A B" --x'), ['--web.page-title=A B', '--x'])
})

await t.test('specifiers are expanded and prefixes taken off when a unit is loaded', async t => {
  t.same(parseCommand('-/bin/x %n %N 100%% $A', 'u@i.service'), {
    argv: ['/bin/x', 'u@i.service', 'u@i', '100%', '$A'],
    ignoreErrors: true,
  })
  t.equal(parseCommand(' ', 'u.service'), undefined)
})

await t.test('variables are expanded as the real systemd was seen to', async t => {
  // Of `ExecStart=/bin/echo …` with `Environment="FOO=a  b"` on systemd 252.
  const argv = ['$FOO', '${FOO}', 'x$FOO', 'x${FOO}y', '$$FOO', '$NONE', '${NONE}', 'end']
  const expanded = ['a', 'b', 'a  b', 'x$FOO', 'xa  by', '$FOO', '', 'end']
  t.same(expandVariables(argv, { FOO: 'a  b' }), expanded)
  t.same(expandVariables(['$ARGS'], { ARGS: `--a='B C' --d` }), ['--a=B C', '--d'])
})
