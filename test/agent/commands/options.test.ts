// The agent's command line: what it takes, and one clear line for what it does not.

import t from 'tap'
import { OperationalError } from '../../../shared/errors.ts'
import { EXIT, HELP, parseOptions } from '../../../agent/commands/options.ts'

await t.test('commands and options are read in any order', async t => {
  t.match(parseOptions(['plan', '--desired', 'd.yaml', '--root', '/srv/n1', '--json']), {
    command: 'plan',
    desired: 'd.yaml',
    root: '/srv/n1',
    json: true,
    diff: true,
  })
  t.match(parseOptions(['--no-diff', 'plan']), { command: 'plan', diff: false, json: false })
  t.match(parseOptions(['renew', 'influxdb']), { command: 'renew', subject: 'influxdb' })
  t.match(parseOptions([]), { command: undefined, help: false })
  t.match(parseOptions(['-h']), { help: true })
  t.match(parseOptions(['enroll', '--token-file', '-']), { tokenFile: '-' })
})

await t.test('anything else is a usage error of one short line', async t => {
  for (const [argv, message] of [
    [['plan', '--frobnicate'], /--frobnicate/],
    [['plan', '--desired'], /--desired/],
    [['plan', '--json=yes'], /--json/],
    [['plan', '-x'], /-x/],
    [['plan', 'more'], /more/],
    [['renew', 'influxdb', 'more'], /more/],
    [['plan', '--state-dir', 'relative'], /--state-dir/],
    [['plan', '--config', 'relative.toml'], /--config/],
    [['plan', '--desired', ''], /--desired/],
    [['plan', '--root', ''], /--root/],
  ] as const) {
    const error = (() => {
      try {
        return parseOptions(argv)
      } catch (caught) {
        return caught
      }
    })()
    if (!(error instanceof OperationalError)) {
      t.fail(`${argv.join(' ')} was accepted`)
      continue
    }
    t.equal(error.code, 'usage')
    t.match(error.message, message)
    t.ok(error.message.length < 100 && !error.message.includes('\n'), error.message)
  }
})

await t.test('the help names every command, option and exit code', async t => {
  const words =
    'run enroll status plan apply renew verify schema --desired --root --systemctl --state-dir ' +
    '--config --token-file --json --no-diff --help --version'
  for (const word of [...words.split(' '), ...Object.values(EXIT).map(code => `${code} `)])
    t.ok(HELP.includes(word), word)
})
