// The packages on hosts of a bare Debian: from dpkg to a proven HTTPS, through an upgrade in the middle
// of a rollout, to their removal, which no client of the services notices.

import t, { type Test } from 'tap'
import { buildPackages } from '../../systemd/package.ts'
import { labSpec } from '../support/lab-fleet.ts'
import { installHold } from './held-start.ts'
import { until } from './lab.ts'
import { withLab } from './with-lab.ts'

const PACKAGES = '/packages'
const STATE = '/var/lib/tlsfleet/agent'
const LISTENERS = ['9090/-/ready', '8086/ping'] as const

const out = t.testdir({})
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64'
const build = (version: string, architectures: readonly ('amd64' | 'arm64')[]) =>
  buildPackages({
    out,
    version,
    epoch: 1_700_000_000,
    compression: 'fast',
    architectures,
    formats: ['deb'],
    print: () => {},
  })

// n1 is a node, n2 has the controller and its operator.
await withLab(t, { nodes: 2, binds: [`${out}:${PACKAGES}`] }, async lab => {
  await build('0.0.1', [architecture])
  await build('0.0.2', [])
  const sh = (node: string, script: string) =>
    lab.output(node, ['sh', '-euc', script], { timeoutMs: 600_000 })
  const install = (node: string, ...names: readonly string[]) =>
    sh(node, `dpkg -i ${names.map(name => `${PACKAGES}/${name}`).join(' ')} 2>&1`)
  const runtime = `tlsfleet-runtime_*_${architecture}.deb`
  const invocation = (unit: string) =>
    sh('n1', `systemctl show ${unit} --property=InvocationID --value`)
  const isActive = async (node: string, unit: string) =>
    (await lab.exec(node, ['systemctl', 'is-active', '-q', unit])).code === 0
  const apply = async (defaults = '') => {
    await lab.writeFile('n2', '/root/fleet.yaml', labSpec('', defaults))
    return sh('n2', 'tlsfleet apply -f /root/fleet.yaml --yes --quiet --no-color')
  }
  const influxdb = await installHold(lab, 'n1', 'influxdb')
  /** As a client of the services, which trusts the CA of the fleet. */
  const assertHttps = async (t: Test) => {
    for (const listener of LISTENERS) {
      const answer = await lab.http('n2', `https://n1:${listener}`, { caFile: '/root/trust.pem' })
      t.match(answer, { status: /^20[04]$/ }, `${listener} ${answer.error}`)
    }
  }

  await t.test('dpkg installs the agent: it waits for its identity', async t => {
    await install('n1', runtime, 'tlsfleet-agent_0.0.1_all.deb')

    t.equal(await sh('n1', 'tlsfleet-agent --version'), 'tlsfleet-agent 0.0.1')
    t.equal(await sh('n1', 'systemctl is-enabled tlsfleet-agent'), 'enabled')
    t.notOk(await isActive('n1', 'tlsfleet-agent'))
    t.equal(await sh('n1', 'systemctl list-units --failed --quiet "tlsfleet*"'), '')
    t.equal(
      await sh('n1', 'stat -c %a:%U /var/cache/tlsfleet /var/lib/tlsfleet'),
      '700:root\n755:root',
    )
  })

  await t.test('dpkg installs the controller: three commands later it serves', async t => {
    await install('n2', runtime, 'tlsfleet_0.0.1_all.deb', 'tlsfleet-controller_0.0.1_all.deb')
    t.notOk(await isActive('n2', 'tlsfleet-controller'), 'there is nothing to serve yet')

    await sh(
      'n2',
      `tlsfleet init --fleet lab --host n2 ${lab.address('n2')}
      install -d -m 700 /etc/credstore.encrypted
      systemd-creds encrypt --name=ca-passphrase /var/lib/tlsfleet/ca-passphrase \\
        /etc/credstore.encrypted/ca-passphrase
      rm /var/lib/tlsfleet/ca-passphrase
      systemctl start tlsfleet-controller`,
    )

    await until(async () => (await lab.exec('n2', ['tlsfleet', 'status'])).code === 0, {
      what: 'the controller answers',
    })
    const properties = '--property=Type,User,WatchdogUSec'
    t.same(
      (await sh('n2', `systemctl show tlsfleet-controller ${properties}`)).split('\n').toSorted(),
      ['Type=notify', 'User=tlsfleet', 'WatchdogUSec=1min'],
    )
    await sh('n2', 'tlsfleet trust >/root/trust.pem')
  })

  await t.test('the installed controller has the dashboard in it', async t => {
    const get = (path: string) => lab.http('n1', `https://n2:8443${path}`, { insecure: true })
    const page = await get('/')
    t.equal(page.status, 200, page.error)
    const [, script = '/'] = /<script [^>]*src="([^"]+)"/.exec(page.body) ?? []
    const { status, body } = await get(new URL(script, 'https://n2/').pathname)
    t.equal(status, 200, script)
    t.ok(body.length > 10_000, `${body.length} characters of script`)
  })

  await t.test('one pasted line later, an apply brings HTTPS', async t => {
    const names = `--dns n1 --dns localhost --ip ${lab.address('n1')} --ip 127.0.0.1`
    const line = await sh('n2', `tlsfleet node add n1 ${names}`)
    t.equal(line.split('\n').length, 1)

    await sh('n1', line)

    await until(() => isActive('n1', 'tlsfleet-agent'), { what: 'the agent runs' })
    await apply()
    await assertHttps(t)
  })

  await t.test('an upgrade in the middle of a rollout: it ends well, all is kept', async t => {
    const identity = await lab.readFile('n1', `${STATE}/identity.json`)
    const before = await invocation('tlsfleet-agent')
    // influxdb has to be restarted for another key.
    await influxdb.hold()
    const rollout = apply('  key: rsa-2048\n')
    const journal = async () => (await lab.exec('n1', ['test', '-e', `${STATE}/journal.json`])).code
    await until(async () => (await journal()) === 0, { what: 'n1 is in it', everyMs: 20 })

    const installed = install('n1', 'tlsfleet-agent_0.0.2_all.deb')
    const isStopping = async () =>
      !(await isActive('n1', 'tlsfleet-agent')) || (await invocation('tlsfleet-agent')) !== before
    await until(isStopping, { what: 'the agent is being stopped' })
    await influxdb.letGo()
    await installed

    // Without it the rollout would wait for ever.
    await until(() => isActive('n1', 'tlsfleet-agent'), { what: 'the agent runs again' })
    await rollout
    t.equal(await sh('n1', 'tlsfleet-agent --version'), 'tlsfleet-agent 0.0.2')
    t.not(await invocation('tlsfleet-agent'), before, 'the new one runs')
    t.equal(await lab.readFile('n1', `${STATE}/identity.json`), identity)
    await assertHttps(t)
  })

  await t.test('an upgrade of the controller and a downgrade of the agent keep state', async t => {
    const identity = await lab.readFile('n1', `${STATE}/identity.json`)
    const products = await Promise.all(['prometheus', 'influxdb'].map(invocation))

    await install('n2', 'tlsfleet_0.0.2_all.deb', 'tlsfleet-controller_0.0.2_all.deb')
    await install('n1', 'tlsfleet-agent_0.0.1_all.deb')

    const state = async () => {
      const status: { nodes: { state: string; online: boolean }[] } = JSON.parse(
        await sh('n2', 'tlsfleet --json status'),
      )
      return status.nodes.every(node => node.online && node.state === 'converged')
    }
    await until(state, { what: 'n1 is converged', everyMs: 300 })
    t.equal(await sh('n1', 'tlsfleet-agent --version'), 'tlsfleet-agent 0.0.1')
    t.equal(await lab.readFile('n1', `${STATE}/identity.json`), identity)
    t.same(await Promise.all(['prometheus', 'influxdb'].map(invocation)), products)
  })

  await t.test('who stopped or disabled the agent finds it so after an upgrade', async t => {
    await sh('n1', 'systemctl disable --now --quiet tlsfleet-agent')

    await install('n1', 'tlsfleet-agent_0.0.2_all.deb')

    t.notOk(await isActive('n1', 'tlsfleet-agent'))
    t.equal((await lab.exec('n1', ['systemctl', 'is-enabled', '-q', 'tlsfleet-agent'])).code, 1)
    await sh('n1', 'systemctl enable --now --quiet tlsfleet-agent')
  })

  await t.test(
    'a removal leaves services and state; a purge asks before it takes state',
    async t => {
      const products = await Promise.all(['prometheus', 'influxdb'].map(invocation))

      await sh('n1', 'dpkg --remove tlsfleet-agent')

      t.notOk(await isActive('n1', 'tlsfleet-agent'))
      t.same(await Promise.all(['prometheus', 'influxdb'].map(invocation)), products)
      await assertHttps(t)
      await sh('n1', `test -e ${STATE}/identity.json; ! test -e /usr/bin/tlsfleet-agent`)

      await sh('n1', 'TLSFLEET_PURGE=state dpkg --purge tlsfleet-agent tlsfleet-runtime')
      await sh('n1', '! test -e /var/lib/tlsfleet; ! test -e /usr/lib/tlsfleet')
      await assertHttps(t)

      const said = await sh('n2', 'dpkg --purge tlsfleet-controller </dev/null')
      t.match(said, /kept \/var\/lib\/tlsfleet\/controller .*keys of its CAs/)
      await sh('n2', 'test -e /var/lib/tlsfleet/controller/controller.db')
    },
  )

  await t.test('on a terminal a purge asks, and takes nothing but yes for an answer', async t => {
    const database = '/var/lib/tlsfleet/controller/controller.db'
    const kept = async () => (await lab.exec('n2', ['test', '-e', database])).code === 0
    /** As typed by who sits there; `script` makes the terminal. */
    const purge = async (typed: string, environment = '') => {
      await install('n2', 'tlsfleet-controller_0.0.2_all.deb')
      const command = `env ${environment} dpkg --purge tlsfleet-controller`
      const input = { input: `${typed}\n`, timeoutMs: 600_000 }
      return lab.output('n2', ['script', '-qec', command, '/dev/null'], input)
    }
    const question =
      /remove \/var\/lib\/tlsfleet\/controller .*keys of its CAs\) for good\? Type yes:/

    const noninteractive = await purge('yes', 'DEBIAN_FRONTEND=noninteractive')
    t.notMatch(noninteractive, question)
    t.match(noninteractive, 'kept /var/lib/tlsfleet/controller')
    t.ok(await kept(), 'who is not to be asked has not said yes')
    for (const answer of ['no', 'y', '']) {
      const said = await purge(answer)
      t.match(said, question)
      t.match(said, 'kept /var/lib/tlsfleet/controller')
      t.ok(await kept(), `kept after ${JSON.stringify(answer)}`)
    }

    t.match(await purge('yes'), question)

    t.notOk(await kept())
    await sh('n2', '! test -e /var/lib/tlsfleet/controller')
  })
})
