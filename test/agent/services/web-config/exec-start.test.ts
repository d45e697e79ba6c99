import fc from 'fast-check'
import t from 'tap'
import { assignmentsOf, commandOf, listOf } from '../../../../agent/edges/unit-file.ts'
import {
  execStartIn,
  unitWord,
  withFlags,
  type FlagValue,
} from '../../../../agent/services/web-config/exec-start.ts'

const service = (exec: string) => `[Service]\nExecStart=${exec}\n`
const argvOf = (...texts: readonly string[]) => {
  const exec = execStartIn(texts)
  return exec.kind === 'unclear' ? exec.why : exec.argv
}
const edited = (exec: string, ...flags: readonly FlagValue[]) => {
  const start = execStartIn([service(exec)])
  const result = start.kind === 'unclear' ? start : withFlags(start, flags)
  return typeof result === 'string' ? result : result.why
}

await t.test('the command line is found as systemd finds it', async t => {
  t.same(argvOf('[Unit]\nExecStart=/no\n[Service]\n ExecStart = /a  b "c d" e\'f g\'\n'), [
    '/a',
    'b',
    'c d',
    'ef g',
  ])
  t.same(
    argvOf('[Service]\r\nExecStart=/a \\\r\n# c\r\n; d\r\n  b\r\n[Install]\r\nExecStart=/no\r\n'),
    ['/a', 'b'],
  )
  t.same(argvOf(service('/a'), service('\nExecStart=!!/b 100%%')), ['/b', '100%'])
  t.equal(argvOf(service('/a'), service('/b')), 'it has several ExecStart')
  t.equal(argvOf('[Service]\n#ExecStart=/a\n'), 'it has no ExecStart')
})

await t.test('flags are added, replaced and taken out where they stand', async t => {
  const to = (value: string | undefined) => ({ name: '--web.x', value })
  t.equal(edited('/a b', to('/x')), '/a b --web.x=/x')
  t.equal(edited('/a --web.x=old b', to('/x')), '/a --web.x=/x b')
  t.equal(edited("/a -web.x 'old one'  b", to('/x')), '/a --web.x=/x  b')
  t.equal(edited('/a "--web.x=old" b', to(undefined)), '/a b')
  t.equal(edited('/a b', to(undefined)), '/a b')
  t.equal(edited('/a --web.x=${OLD}', to('/x')), '--web.x in ExecStart comes from a variable')
  t.equal(edited('/a -- b', to('/x')), 'ExecStart has a bare --')
})

await t.test(
  'an argument is written so that systemd puts nothing in and splits nothing',
  async t => {
    t.equal(unitWord('--a=/etc/b.yml'), '--a=/etc/b.yml')
    t.equal(unitWord('a b'), '"a b"')
    t.equal(unitWord('100%$HOME;'), '"100%%$$HOME;"')
    fc.assert(
      fc.property(
        fc.string({
          unit: fc.constantFrom('a', 'b', '/', ' ', "'", '"', '\\', ';', '%', '$', '=', '-'),
        }),
        fc.array(fc.constantFrom('b', '--web.y=1', '"c d"', "'e'", '$ARGS', '--web.x=old'), {
          maxLength: 4,
        }),
        (value, words) => {
          const exec = ['/bin/a', ...words].join(' ')
          const line = edited(exec, { name: '--web.x', value })

          const unit = service(line)
          const [command = ''] = listOf(assignmentsOf(unit, 'Service'), 'ExecStart')
          // Read by other code than ours; specifiers and variables are put in after the splitting.
          const argv = commandOf(command).map(word =>
            word.replaceAll('%%', '%').replaceAll('$$', '$'),
          )
          const others = words
            .filter(word => word !== '--web.x=old')
            .map(word => word.replace(/["']/g, ''))
          return (
            argv.filter(word => word === `--web.x=${value}`).length >= 1 &&
            argv.filter(word => !word.startsWith('--web.x=')).join('|') ===
              ['/bin/a', ...others].join('|')
          )
        },
      ),
      // Two uses of one flag never come here: they are refused before.
      { numRuns: 300, examples: [] },
    )
  },
)
