import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { createFiles } from '../../../agent/edges/files.ts'
import { createOfflineServices } from '../../../agent/edges/offline-services.ts'
import type { UnitState } from '../../../agent/host.ts'

const LIB = '/usr/lib/systemd/system'
const ETC = '/etc/systemd/system'

// As Debian 12 ships them, shortened.
const PROMETHEUS = `[Unit]
Description=Monitoring system and time series database

[Service]
Restart=on-failure
User=prometheus
EnvironmentFile=/etc/default/prometheus
ExecStart=/usr/bin/prometheus $ARGS
ExecReload=/bin/kill -HUP $MAINPID

# systemd hardening-options
PrivateUsers=true

[Install]
WantedBy=multi-user.target
`
const INFLUXDB = `[Service]
User=influxdb
Group=influxdb
EnvironmentFile=-/etc/default/influxdb
ExecStart=/usr/bin/influxd -config /etc/influxdb/influxdb.conf $INFLUXD_OPTS

[Install]
Alias=influxd.service
`

/** A root with these files; `-> x` makes a symlink to x. */
function servicesOf(test: Test, tree: Readonly<Record<string, string>>) {
  const root = test.testdir()
  for (const [path, text] of Object.entries(tree)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    if (text.startsWith('-> ')) symlinkSync(text.slice(3), join(root, path))
    else writeFileSync(join(root, path), text)
  }
  return createOfflineServices({ files: createFiles({ root }) })
}

/** The unit that `text` makes. */
async function stateOf(test: Test, text: string): Promise<UnitState | undefined> {
  return servicesOf(test, { [`${LIB}/x.service`]: text }).show('x.service')
}

await t.test('a unit is what its file says, and does not run', async t => {
  const services = servicesOf(t, {
    [`${LIB}/prometheus.service`]: PROMETHEUS,
    [`${LIB}/influxdb.service`]: INFLUXDB,
  })

  t.same(await services.show('prometheus.service'), {
    unit: 'prometheus.service',
    loaded: true,
    activeState: 'inactive',
    subState: 'dead',
    result: 'success',
    restarts: 0,
    invocationId: undefined,
    mainPid: undefined,
    startedAtMs: undefined,
    busy: false,
    user: 'prometheus',
    group: '',
    type: 'simple',
    canReload: true,
    needsDaemonReload: false,
    execStart: ['/usr/bin/prometheus', '$ARGS'],
    environment: {},
    environmentFiles: [{ path: '/etc/default/prometheus', optional: false }],
    fragmentPath: `${LIB}/prometheus.service`,
    dropInPaths: [],
  })
  t.match(await services.show('influxdb.service'), {
    user: 'influxdb',
    group: 'influxdb',
    canReload: false,
    environmentFiles: [{ path: '/etc/default/influxdb', optional: true }],
  })
  t.equal(await services.show('nosuch.service'), undefined)
  t.equal(await services.peekInvocation('prometheus.service'), undefined)
})

await t.test('nothing can be started or asked to forget', async t => {
  const services = servicesOf(t, { [`${LIB}/prometheus.service`]: PROMETHEUS })

  for (const verb of ['start', 'restart', 'reload', 'hangup'] as const)
    await t.rejects(services.activate('prometheus.service', verb), { code: 'offline' })
  await t.rejects(services.resetFailed('prometheus.service'), { code: 'offline' })
})

await t.test('the administrator comes before the local vendor before the vendor', async t => {
  const text = (name: string) => `[Service]\nExecStart=/bin/${name}\n`
  const services = servicesOf(t, {
    '/lib': '-> usr/lib',
    [`${ETC}/a.service`]: text('etc'),
    '/usr/local/lib/systemd/system/a.service': text('local'),
    '/usr/local/lib/systemd/system/b.service': text('local'),
    [`${LIB}/a.service`]: text('lib'),
    [`${LIB}/b.service`]: text('lib'),
    [`${LIB}/c.service`]: text('lib'),
    '/run/systemd/system/c.service': text('run'),
  })

  t.match(await services.show('a.service'), { execStart: ['/bin/etc'] })
  t.match(await services.show('b.service'), { execStart: ['/bin/local'] })
  t.match(await services.show('c.service'), { execStart: ['/bin/lib'] })
})

await t.test('a masked unit is none, however it is masked', async t => {
  const services = servicesOf(t, {
    [`${ETC}/a.service`]: '-> /dev/null',
    [`${ETC}/b.service`]: '-> ../../../dev/null',
    [`${ETC}/c.service`]: '',
    '/dev/null': '',
    [`${LIB}/a.service`]: PROMETHEUS,
    [`${LIB}/b.service`]: PROMETHEUS,
    [`${LIB}/c.service`]: PROMETHEUS,
  })

  for (const name of ['a', 'b', 'c']) t.equal(await services.show(`${name}.service`), undefined)
})

await t.test('symlinks are followed below the root; another name is an alias', async t => {
  const services = servicesOf(t, {
    '/lib': '-> usr/lib',
    [`${LIB}/influxdb.service`]: INFLUXDB,
    [`${ETC}/influxd.service`]: '-> /lib/systemd/system/influxdb.service',
    [`${ETC}/influxd.service.d/local.conf`]: '[Service]\nEnvironment=A=1\n',
    [`${ETC}/linked.service`]: '-> /opt/units/some.service',
    [`${ETC}/dangling.service`]: '-> /opt/units/none.service',
    [`${ETC}/ring.service`]: '-> gnir.service',
    [`${ETC}/gnir.service`]: '-> ring.service',
    '/opt/units/some.service': '[Service]\nExecStart=/opt/some\n',
  })

  const state = { unit: 'influxdb.service', environment: { A: '1' } }
  t.match(await services.show('influxd.service'), state)
  t.match(await services.show('influxdb.service'), state)
  t.match(await services.show('linked.service'), {
    unit: 'linked.service',
    execStart: ['/opt/some'],
  })
  t.equal(await services.show('dangling.service'), undefined)
  t.equal(await services.show('ring.service'), undefined)
})

await t.test('drop-ins count by name, wherever they lie', async t => {
  const user = (name: string) => `[Service]\nUser=${name}\n`
  const services = servicesOf(t, {
    [`${LIB}/a-b.service`]: '[Service]\nExecStart=/bin/a\nEnvironment=A=unit B=unit\n',
    [`${LIB}/a-b.service.d/20-x.conf`]: user('vendor'),
    [`${LIB}/a-b.service.d/50-x.conf`]: '[Service]\nEnvironment=A=fifty\n',
    [`${ETC}/a-b.service.d/10-x.conf`]: user('first'),
    [`${ETC}/a-b.service.d/50-x.conf`]: '-> /dev/null',
    [`${ETC}/a-b.service.d/README`]: user('readme'),
    [`${ETC}/a-.service.d/60-x.conf`]: '[Service]\nEnvironment=B=prefix\n',
    [`${ETC}/service.d/10-x.conf`]: user('any'),
    [`${ETC}/service.d/70-x.conf`]: '[Service]\nExecStart=\nExecStart=/bin/all\n',
  })

  t.match(await services.show('a-b.service'), {
    user: 'vendor',
    environment: { A: 'unit', B: 'prefix' },
    execStart: ['/bin/all'],
    dropInPaths: [
      `${ETC}/a-b.service.d/10-x.conf`,
      `${LIB}/a-b.service.d/20-x.conf`,
      `${ETC}/a-b.service.d/50-x.conf`,
      `${ETC}/a-.service.d/60-x.conf`,
      `${ETC}/service.d/70-x.conf`,
    ],
  })
})

await t.test('lines are continued, commented and reset as systemd does', async t => {
  const state = await stateOf(
    t,
    `\uFEFF; comment
[Unit]
ExecStart=/bin/wrong-section
[Service]
 User = one
User=
Type=notify
ExecStart=/bin/forgotten
ExecStart=
ExecStart=/bin/x first \\
# left out
    ; left out too
  second \\

ExecStart=/bin/second-command
EnvironmentFile=/etc/forgotten
EnvironmentFile=
EnvironmentFile=-/etc/default/%p
EnvironmentFile=relative
EnvironmentFile=/etc/default/two words
Environment=A=forgotten
Environment=
Environment=A=1 "B=two words" 'C=it''s' D="x\\ty" E=\\x41%% F=50%%
Environment="unclosed
Environment=no-value 1X=2
Group=#not-a-comment
ExecReload=/bin/kill \\`,
  )

  t.match(state, {
    user: 'root',
    group: '#not-a-comment',
    type: 'notify',
    canReload: true,
    execStart: ['/bin/x', 'first', 'second'],
    environment: { A: '1', B: 'two words', C: 'its', D: 'x\ty', E: 'A%', F: '50%' },
    environmentFiles: [
      { path: '/etc/default/x', optional: true },
      { path: '/etc/default/two words', optional: false },
    ],
  })
})

await t.test(
  'a command is the first of its line, without what systemd takes for itself',
  async t => {
    const commands: readonly (readonly [string, readonly string[]])[] = [
      ['-/bin/x a', ['/bin/x', 'a']],
      ['@/bin/x called-so a', ['/bin/x', 'a']],
      ['!!/bin/x', ['/bin/x']],
      ['/bin/x a ; /bin/y b', ['/bin/x', 'a']],
      ['/bin/x a \\; b ";"', ['/bin/x', 'a', ';', 'b', ';']],
      [`/bin/x --a="two words" 'a "b"' c\\x20d`, ['/bin/x', '--a=two words', 'a "b"', 'c d']],
      ['/bin/x "$A" ${B} $$C 100%%', ['/bin/x', '$A', '${B}', '$$C', '100%']],
      ['/bin/x %n %N %t/%p %S %E', ['/bin/x', 'x.service', 'x', '/run/x', '/var/lib', '/etc']],
      ['/bin/x "unclosed', []],
      ['/bin/x \\d', ['/bin/x', '\\d']],
      ['-', []],
    ]
    for (const [line, argv] of commands)
      t.same((await stateOf(t, `[Service]\nExecStart=${line}\n`))?.execStart, argv, line)
  },
)

await t.test('what is known only where the unit runs is not guessed', async t => {
  await t.rejects(stateOf(t, '[Service]\nExecStart=/bin/x --url=http://%H:9090\n'), {
    code: 'unit-unclear',
    message: 'could not read x.service: %H in "--url=http://%H:9090" is known only where it runs',
  })
  await t.rejects(stateOf(t, '[Service]\nExecStart=/bin/x\nEnvironmentFile=/etc/%m\n'), {
    code: 'unit-unclear',
  })
})
