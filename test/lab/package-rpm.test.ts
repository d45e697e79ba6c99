// The .rpm packages with their scripts, run by rpm itself: installation, upgrade and downgrade of
// programs that run and of ones that are stopped, removal, and an installation over kept state. Their
// dependencies are not looked at: those are names of packages that a Debian has not.

import t from 'tap'
import { buildPackages } from '../../systemd/package.ts'
import { bringRpm, RPM_BIND, RPM_UNAVAILABLE } from '../support/rpm.ts'
import { type Lab, until } from './lab.ts'
import { withLab } from './with-lab.ts'

const PACKAGES = '/packages'
const STATE = '/var/lib/tlsfleet'
const AGENT = 'tlsfleet-agent'
const CONTROLLER = 'tlsfleet-controller'

const out = t.testdir({})
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const build = (version: string, architectures: readonly ('amd64' | 'arm64')[]) =>
  buildPackages({
    out,
    version,
    epoch: 1_700_000_000,
    compression: 'fast',
    architectures,
    formats: ['rpm'],
    print: () => {},
  })
const files = (version: string, ...names: readonly string[]) =>
  names.map(name => `${PACKAGES}/${name}-${version}-1.noarch.rpm`)
const runtime = `${PACKAGES}/tlsfleet-runtime-*-1.*.rpm`

if (RPM_UNAVAILABLE === false)
  await withLab(t, { nodes: 1, binds: [`${out}:${PACKAGES}`, RPM_BIND] }, story)
else t.plan(0, RPM_UNAVAILABLE)

async function story(lab: Lab): Promise<void> {
  await build('0.0.1', [architecture])
  await build('0.0.2', [])
  await bringRpm(lab, 'n1')
  const sh = (script: string) => lab.output('n1', ['sh', '-euc', script], { timeoutMs: 600_000 })
  /** What rpm and the scripts have said; a script that fails is a warning and no error of rpm. */
  const rpm = (action: string, ...names: readonly string[]) =>
    sh(`rpm ${action} --nodeps ${names.join(' ')} 2>&1`)
  const isActive = async (unit: string) =>
    (await lab.exec('n1', ['systemctl', 'is-active', '-q', unit])).code === 0
  const isEnabled = async (unit: string) =>
    (await lab.exec('n1', ['systemctl', 'is-enabled', '-q', unit])).code === 0
  const invocation = (unit: string) => sh(`systemctl show ${unit} --property=InvocationID --value`)
  const answers = () =>
    until(async () => (await lab.exec('n1', ['tlsfleet', 'status'])).code === 0, {
      what: 'the controller answers',
    })

  await t.test('first installation: users, directories, units; nothing to run yet', async t => {
    const names = [AGENT, 'tlsfleet', CONTROLLER]
    const said = await rpm('-i', runtime, ...files('0.0.1', ...names))
    const strange = said
      .split('\n')
      .filter(line => !/^Creating (group|user) 'tlsfleet' /.test(line))
    t.same(strange, [], 'no script complains')

    for (const name of names) t.match(await sh(`${name} --version`), /0\.0\.1$/)
    t.equal(
      await sh(
        `stat -c %a:%U /var/cache/tlsfleet ${STATE} /etc/tlsfleet /var/lib/tlsfleet-metrics`,
      ),
      '700:root\n755:root\n755:root\n755:root',
    )
    t.match(await sh('getent passwd tlsfleet'), `:${STATE}/controller:`)
    for (const unit of [`${AGENT}.service`, `${AGENT}.path`, `${CONTROLLER}.service`])
      t.ok(await isEnabled(unit), unit)
    t.ok(await isActive(`${AGENT}.path`), 'it waits for the identity')
    t.notOk(await isActive(`${AGENT}.service`))
    t.notOk(await isActive(`${CONTROLLER}.service`))
    t.equal(await sh('systemctl list-units --failed --quiet "tlsfleet*"'), '')
    t.equal(await sh(`rpm -V --nodeps tlsfleet-runtime ${names.join(' ')}`), '')
  })

  await t.test('who disabled what waits finds it so after an upgrade', async t => {
    await sh(`systemctl disable --now --quiet ${AGENT}.path`)

    t.equal(await rpm('-U', ...files('0.0.2', AGENT)), '')

    t.match(await sh(`${AGENT} --version`), /0\.0\.2$/)
    t.notOk(await isActive(`${AGENT}.path`))
    t.notOk(await isEnabled(`${AGENT}.path`))
    await sh(`systemctl enable --now --quiet ${AGENT}.path`)
  })

  await t.test('a fleet begins: the agent starts when its node is enrolled', async t => {
    await sh(
      `tlsfleet init --fleet lab --host n1 ${lab.address('n1')}
      install -d -m 700 /etc/credstore.encrypted
      systemd-creds encrypt --name=ca-passphrase ${STATE}/ca-passphrase \\
        /etc/credstore.encrypted/ca-passphrase
      rm ${STATE}/ca-passphrase
      systemctl start ${CONTROLLER}`,
    )
    await answers()
    await sh(await sh('tlsfleet node add n1 --dns n1'))

    await until(() => isActive(AGENT), { what: 'the agent runs' })
    t.equal(await sh(`systemctl show ${CONTROLLER} --property=User --value`), 'tlsfleet')
  })

  await t.test('an upgrade and a downgrade start what was running, and keep state', async t => {
    const identity = await lab.readFile('n1', `${STATE}/agent/identity.json`)
    for (const [action, version] of [
      ['-U', '0.0.2'],
      ['-U --oldpackage', '0.0.1'],
    ] as const) {
      const before = await Promise.all([AGENT, CONTROLLER].map(invocation))
      // The agent is at 0.0.2 already.
      const names = files(version, AGENT, 'tlsfleet', CONTROLLER)
      t.equal(await rpm(`${action} --replacepkgs`, ...names), '')

      t.ok(await isActive(AGENT), `the agent runs with ${version}`)
      t.ok(await isActive(CONTROLLER), `the controller runs with ${version}`)
      for (const [index, unit] of [AGENT, CONTROLLER].entries()) {
        t.not(await invocation(unit), before[index], 'started anew')
        t.match(await sh(`${unit} --version`), version)
      }
      await answers()
    }
    t.equal(await lab.readFile('n1', `${STATE}/agent/identity.json`), identity)
    t.match(JSON.parse(await sh('tlsfleet --json status')), { nodes: [{ name: 'n1' }] })
    t.equal(await sh('ls /run | grep tlsfleet- || :'), '', 'no mark of a script is left')
  })

  await t.test('who stopped the agent finds it so after an upgrade', async t => {
    await sh(`systemctl disable --now --quiet ${AGENT}.service ${AGENT}.path`)

    t.equal(await rpm('-U', ...files('0.0.2', AGENT)), '')

    t.notOk(await isActive(AGENT))
    t.notOk(await isEnabled(`${AGENT}.service`))
    await sh(`systemctl enable --now --quiet ${AGENT}.service ${AGENT}.path`)
  })

  await t.test('a removal stops and disables, keeps state and says so', async t => {
    const said = await rpm('-e', AGENT, CONTROLLER, 'tlsfleet', 'tlsfleet-runtime')

    t.match(said, `${AGENT}: kept ${STATE}/agent (the identity of this node`)
    t.match(said, `${CONTROLLER}: kept ${STATE}/controller (the database of the fleet`)
    t.equal(said.split('\n').length, 2, said)
    for (const unit of [AGENT, `${AGENT}.path`, CONTROLLER]) t.notOk(await isActive(unit), unit)
    t.equal(await sh('ls /etc/systemd/system/multi-user.target.wants | grep tlsfleet || :'), '')
    await sh(`test -e ${STATE}/agent/identity.json && test -e ${STATE}/controller/controller.db`)
    await sh('! test -e /usr/lib/tlsfleet; ! test -e /var/cache/tlsfleet; getent passwd tlsfleet')
  })

  await t.test('installed again, it goes on with the state that was kept', async t => {
    t.equal(await rpm('-i', runtime, ...files('0.0.2', AGENT, 'tlsfleet', CONTROLLER)), '')

    t.ok(await isActive(AGENT))
    t.ok(await isActive(CONTROLLER))
    await answers()
    t.match(JSON.parse(await sh('tlsfleet --json status')), { nodes: [{ name: 'n1' }] })
  })
}
