import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createCommands } from '../../../agent/edges/commands.ts'
import { createNotifier } from '../../../agent/edges/notify.ts'
import { OUTPUT_BYTES_MAX } from '../../../agent/edges/run-program.ts'
import { transientArgv, transientResult } from '../../../agent/edges/service-context.ts'
import { parseProperties } from '../../../agent/edges/systemctl.ts'
import { unitStateOf } from '../../../agent/edges/unit-state.ts'
import type { UnitState } from '../../../agent/host.ts'
import { Secret } from '../../../shared/secret.ts'

const isRoot = process.getuid?.() === 0
const accounts = {
  user: async (name: string) => (name === 'nobody' ? { uid: 65534, gid: 65534 } : undefined),
  group: async (name: string) => (name === 'other' ? 4711 : undefined),
}
const commands = createCommands({ systemctl: '/bin/false', systemdRun: undefined, accounts })
const timeoutMs = 10_000
const sh = (script: string, ...more: readonly string[]) => ['/bin/sh', '-c', script, 'sh', ...more]

function unitOf(text: string): UnitState {
  const state = unitStateOf('x.service', parseProperties(`LoadState=loaded\n${text}`), {
    wallMs: 0,
    monotonicMs: 0,
  })
  if (state === undefined) throw new Error('no such unit')
  return state
}

await t.test('a program gets its arguments and nothing of our environment', async t => {
  process.env['TLSFLEET_CANARY'] = 'secret'

  const result = await commands.run(
    sh('env; pwd; printf "<%s>" "$@"; cat', '$HOME', 'a b', '', '*'),
    { timeoutMs },
  )

  t.match(result, { code: 0, stderr: '' })
  // The runner of the tests passes on names of files, which may hold the word.
  t.notMatch(result.stdout, /CANARY|=secret$/m)
  t.match(result.stdout, /^LC_ALL=C$/m)
  t.match(result.stdout, /^\/$/m)
  t.ok(result.stdout.endsWith('<$HOME><a b><><*>'))
})

await t.test('what a program is told stands in its input and nowhere else', async t => {
  const secret = 'hunter2\nsecond line\n'

  const result = await commands.run(sh('env; cat /proc/self/cmdline | tr "\\0" " "; cat >&2'), {
    timeoutMs,
    stdin: new Secret(secret),
    environment: { ES_PATH_CONF: '/etc/elasticsearch', LC_ALL: 'de_DE' },
  })

  t.equal(result.stderr, secret)
  t.notMatch(result.stdout, /hunter2/)
  t.match(result.stdout, /^ES_PATH_CONF=\/etc\/elasticsearch$/m)
  t.match(result.stdout, /^LC_ALL=C$/m, 'the language stays')
  t.match(await commands.run(sh('exit 3'), { timeoutMs, stdin: new Secret('x'.repeat(1e6)) }), {
    code: 3,
  })
})

await t.test('how a program ended is a result, that it could not run is an error', async t => {
  const run = (argv: readonly string[], limitMs = timeoutMs) =>
    commands.run(argv, { timeoutMs: limitMs })

  t.same(await run(sh('echo out; echo err >&2; exit 7')), {
    code: 7,
    stdout: 'out\n',
    stderr: 'err\n',
  })
  t.match(await run(sh('kill -TERM $$')), { code: undefined })
  const flood = await run(sh('yes'))
  t.equal(flood.code, undefined)
  t.equal(flood.stdout.length, OUTPUT_BYTES_MAX)
  await t.rejects(run(['/no/such/program']), { code: 'command-missing' })
  await t.rejects(run([t.testdir({ f: 'no program' }) + '/f']), { code: 'command-failed-to-start' })
  // The grandchild keeps the pipes open, and is not waited for.
  await t.rejects(run(sh('sleep 3 & sleep 3'), 50), { code: 'command-timeout', retryable: true })
  await t.rejects(async () => run(['sh']), { name: 'AssertionError' })
})

await t.test('without systemd a service means its user and its environment', async t => {
  const unit = unitOf('User=nobody\nGroup=other\nEnvironment="A=one two" LC_ALL=de_DE')

  const { stdout } = await commands.run(sh('id -u; id -g; echo $A $LC_ALL'), {
    timeoutMs,
    asServiceOf: unit,
  })

  if (isRoot) t.equal(stdout, '65534\n4711\none two C\n')
  else t.ok(stdout.endsWith('one two C\n'))
})

await t.test(
  'a user that is not there cannot be become',
  { skip: isRoot ? false : 'only root becomes others' },
  async t => {
    const asServiceOf = unitOf('User=ghost')

    await t.rejects(commands.run(sh('true'), { timeoutMs, asServiceOf }), {
      code: 'command-failed-to-start',
    })
  },
)

await t.test('a transient unit takes over what decides what it sees', t => {
  const unit = unitOf(
    'Environment=A=1\nEnvironmentFiles=/etc/a b (ignore_errors=yes)\nEnvironmentFiles=/etc/c (ignore_errors=no)',
  )
  const properties = parseProperties(
    [
      'User=prometheus',
      'Group=',
      'ProtectHome=yes',
      'PrivateTmp=no',
      'ProtectProc=default',
      'ProcSubset=all',
      'CapabilityBoundingSet=',
      'WorkingDirectory=!/var/lib/p',
      'ReadWritePaths=/var/lib/p "/x y"',
      'RootImage=[unprintable]',
    ].join('\n'),
  )

  const argv = transientArgv({
    systemdRun: '/usr/bin/systemd-run',
    argv: ['/bin/check', '$A', '--x=${B}'],
    unit,
    properties,
    timeoutMs: 1500,
  })

  t.same(argv, [
    '/usr/bin/systemd-run',
    '--quiet',
    '--pipe',
    '--wait',
    '--collect',
    '--service-type=exec',
    '--property=User=prometheus',
    '--property=WorkingDirectory=-/var/lib/p',
    '--property=ProtectHome=yes',
    '--property=ReadWritePaths=/var/lib/p "/x y"',
    '--property=CapabilityBoundingSet=',
    '--property=EnvironmentFile=-/etc/a b',
    '--property=EnvironmentFile=/etc/c',
    '--property=RuntimeMaxSec=3',
    '--property=TimeoutStopSec=1',
    '--setenv=A=1',
    '--setenv=LC_ALL=C',
    '--',
    '/bin/check',
    '$$A',
    '--x=$${B}',
  ])
  t.end()
})

await t.test('a failed transient unit is not taken for a failed check', t => {
  const judge =
    (code: number, stderr: string, stdout = '') =>
    () =>
      transientResult('/bin/check', 'x.service', { code, stdout, stderr })

  t.throws(judge(1, 'Failed to find executable /bin/check: No such file or directory\n'), {
    code: 'command-missing',
  })
  t.throws(judge(1, 'Failed to start transient service unit: no\n'), {
    code: 'command-failed-to-start',
  })
  t.throws(judge(1, 'Failed to connect to bus: no\n'), { code: 'command-failed-to-start' })
  t.throws(judge(226, ''), { code: 'command-failed-to-start' })
  t.match(judge(1, 'web.yml: not good\n')(), { code: 1 })
  t.match(judge(0, '')(), { code: 0 })
  t.match(judge(203, 'my own 203\n')(), { code: 203 })
  t.end()
})

await t.test('the manager is told through its own program, if it wants to know', async t => {
  const directory = t.testdir({})
  const program = join(directory, 'systemd-notify')
  const log = join(directory, 'log')
  writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$NOTIFY_SOCKET" "$@" >>${log}\n`)
  chmodSync(program, 0o755)
  const interval = (environment: Readonly<Record<string, string>>) =>
    createNotifier({ environment: { NOTIFY_SOCKET: '/s', ...environment }, program })
      .watchdogIntervalMs

  const notifier = createNotifier({ environment: { NOTIFY_SOCKET: '/s' }, program })
  await notifier.ready('all\nis well')
  await notifier.watchdog()
  await notifier.stopping('bye')
  await createNotifier({ environment: {}, program }).ready('nobody listens')
  await createNotifier({ environment: { NOTIFY_SOCKET: '/s' }, program: '/no/such' }).ready('x')

  t.equal(
    readFileSync(log, 'utf8'),
    '/s\nREADY=1\nSTATUS=all is well\n/s\nWATCHDOG=1\n/s\nSTOPPING=1\nSTATUS=bye\n',
  )
  t.equal(interval({ WATCHDOG_USEC: '60000000' }), 30_000)
  t.equal(interval({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: String(process.pid) }), 30_000)
  t.equal(interval({ WATCHDOG_USEC: '60000000', WATCHDOG_PID: '1' }), undefined)
  t.equal(interval({ WATCHDOG_USEC: '0' }), undefined)
  t.equal(interval({}), undefined)
})
