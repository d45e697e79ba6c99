import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createServices } from '../../../agent/edges/systemd.ts'

/** A systemctl that runs `body` in sh, with its arguments, and notes them. */
function standIn(t: Test, body: string) {
  const directory = t.testdir({})
  const systemctl = join(directory, 'systemctl')
  const log = join(directory, 'log')
  writeFileSync(systemctl, `#!/bin/sh\necho "$@" >>${log}\n${body}\n`)
  chmodSync(systemctl, 0o755)
  const said = () => (existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [])
  return { services: createServices({ systemctl, root: directory }), directory, said }
}

const failing = (message: string, code = 1) => `echo '${message}' >&2; exit ${code}`
const ACTIVE = "echo 'LoadState=loaded\nId=x.service\nActiveState=active'"

await t.test('the verbs of activation are those of systemctl, none waits for its job', async t => {
  const { services, said } = standIn(t, ACTIVE)

  for (const verb of ['reload', 'hangup', 'restart', 'start'] as const)
    await services.activate('x.service', verb)
  await services.resetFailed('x.service')
  await services.daemonReload()

  t.same(said(), [
    'reload --no-block x.service',
    'kill --kill-who=main --signal=HUP x.service',
    'restart --no-block x.service',
    'show x.service --property=ActiveState,Result,Job',
    'start --no-block x.service',
    'show x.service --property=ActiveState,Result,Job',
    'reset-failed x.service',
    'daemon-reload',
  ])
})

await t.test('what systemctl refuses has a code', async t => {
  const cases = [
    [
      'Failed to reload x.service: Job type reload is not applicable for unit x.service.',
      'reload-unsupported',
    ],
    ['Failed to restart x.service: Unit x.service is masked.', 'activation-failed'],
    ['x.service: Start request repeated too quickly.', 'restart-refused'],
    ['Failed to connect to bus: No such file or directory', 'service-manager-unreachable'],
    [
      'System has not been booted with systemd as init system (PID 1). Can not operate.',
      'service-manager-unreachable',
    ],
  ] as const

  for (const [message, code] of cases) {
    const { services } = standIn(t, failing(message))
    await t.rejects(services.activate('x.service', 'reload'), { code }, code)
  }
})

await t.test('a start limit is seen although systemctl returns success', async t => {
  const refused = 'ActiveState=failed\nResult=start-limit-hit\nJob='

  await t.rejects(standIn(t, `echo '${refused}'`).services.activate('x.service', 'restart'), {
    code: 'restart-refused',
    retryable: false,
    hint: /reset-failed x.service/,
  })
  // Still to be decided: the result is that of the last attempt.
  await standIn(t, `echo '${refused}7'`).services.activate('x.service', 'restart')
  await standIn(t, `echo '${refused}'`).services.activate('x.service', 'reload')
})

await t.test(
  'a manager that is away, hangs or speaks nonsense is unreachable, for now',
  async t => {
    const unreachable = { code: 'service-manager-unreachable', retryable: true }

    for (const body of [
      failing('Failed to connect to bus: Connection refused'),
      failing('what?'),
      'kill -9 $$',
    ])
      await t.rejects(standIn(t, body).services.show('x.service'), unreachable)
    await t.rejects(
      createServices({ systemctl: '/no/such/systemctl' }).show('x.service'),
      unreachable,
    )
    t.equal(
      await standIn(t, failing('Unit x.service could not be found.', 4)).services.show('x.service'),
      undefined,
    )
  },
)

await t.test('a systemctl that cannot print UTC is asked once', async t => {
  const old = `case "$*" in *--timestamp*) ${failing("systemctl: unrecognized option '--timestamp=us+utc'")};; esac\n${ACTIVE}`
  const { services, said } = standIn(t, old)

  t.match(await services.show('x.service'), { unit: 'x.service', activeState: 'active' })
  t.match(await services.show('x.service'), { unit: 'x.service' })

  t.equal(said().length, 3)
  t.equal(said().filter(line => line.includes('--timestamp')).length, 1)
})

await t.test('units that are asked for together are one question', async t => {
  const block = `for unit in "$@"; do case "$unit" in *.service) echo "Id=$unit"; echo "LoadState=loaded"; echo;; esac; done`
  const { services, said } = standIn(t, block)
  const all = await Promise.all(
    ['b.service', 'a.service', 'b.service'].map(unit => services.show(unit)),
  )

  t.same(
    all.map(state => state?.unit),
    ['b.service', 'a.service', 'b.service'],
  )
  t.equal(said().length, 1)
  await services.show('a.service')
  t.equal(said().length, 2)
})

await t.test('where not all of them can be shown, each is asked for alone', async t => {
  const missing = `case "$*" in *"a.service b"*) ${failing('Unit a.service could not be found.', 4)};; *a.service*) ${failing('Unit a.service could not be found.', 4)};; esac; echo 'LoadState=loaded\nId=b.service'`
  const { services, said } = standIn(t, missing)
  const [a, b] = await Promise.all([services.show('a.service'), services.show('b.service')])

  t.equal(a, undefined)
  t.match(b, { unit: 'b.service' })
  t.equal(said().length, 3)

  const away = standIn(t, failing('Failed to connect to bus: Connection refused'))
  const unreachable = { code: 'service-manager-unreachable' }
  const both = ['a.service', 'b.service'].map(unit => away.services.show(unit))
  for (const state of both) await t.rejects(state, unreachable)
})

await t.test('nothing of our environment reaches systemctl', async t => {
  const { services, directory } = standIn(t, `env >"$(dirname "$0")/env"\n${ACTIVE}`)
  process.env['TLSFLEET_CANARY'] = 'x'

  await services.show('x.service')

  const names = readFileSync(join(directory, 'env'), 'utf8').match(/^\w+(?==)/gm) ?? []
  // The shell adds the first four, and tap puts itself into every child of its tests.
  t.same(
    names.filter(name => !/^(PWD|OLDPWD|SHLVL|_|NODE_OPTIONS|_TAPJS_\w+)$/.test(name)),
    ['LC_ALL'],
  )
})

await t.test('an invocation is read from its link; a name that is no unit is a bug', async t => {
  const { services, directory, said } = standIn(t, ACTIVE)
  mkdirSync(join(directory, 'run/systemd/units'), { recursive: true })
  symlinkSync('abc', join(directory, 'run/systemd/units/invocation:x.service'))

  t.equal(await services.peekInvocation('x.service'), 'abc')
  t.equal(await services.peekInvocation('y.service'), undefined)
  for (const name of ['--help', '../x', 'a b', 'x*', ''])
    await t.rejects(services.show(name), { name: 'AssertionError' }, name)
  t.same(said(), [])
})

await t.test('a group that the unit does not name is that of its user', async t => {
  const { directory } = standIn(t, "echo 'LoadState=loaded\nUser=prom'")
  const services = createServices({
    systemctl: join(directory, 'systemctl'),
    primaryGroup: async user => `${user}-group`,
  })

  t.match(await services.show('x.service'), { user: 'prom', group: 'prom-group' })
})

await t.test('unit files that cannot be read again are an error', async t => {
  const { services } = standIn(t, failing('Failed to reload daemon: Access denied'))

  await t.rejects(services.daemonReload(), { code: 'daemon-reload-failed' })
})
