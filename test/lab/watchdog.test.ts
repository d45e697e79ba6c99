// The watchdog of the agent's unit on real systemd: an agent that hangs is ended and started again,
// and goes on where it was; the services it looks after notice nothing.

import t from 'tap'
import { CONF, createLabFleet, labSpec } from '../support/lab-fleet.ts'
import { until } from './lab.ts'
import { withLab } from './with-lab.ts'

// The unit's own minute is longer than a test should take. A healthy agent pings every half of it; on a
// machine with all cores busy elsewhere it may be late by several seconds.
const WATCHDOG_S = 20
const DROP_IN = `[Service]
WatchdogSec=${WATCHDOG_S}s
RestartSec=100ms
`

await withLab(t, { nodes: 1 }, async lab => {
  const fleet = await createLabFleet(lab)
  t.teardown(() => fleet.end())
  const unit = async (property: string) =>
    lab.output('n1', ['systemctl', 'show', 'tlsfleet-agent', `--property=${property}`, '--value'])
  const journal = () =>
    lab.output('n1', ['journalctl', '-u', 'tlsfleet-agent', '-o', 'cat', '--no-pager'])
  const isActive = async () => (await unit('ActiveState')) === 'active'

  await t.test('the agent is ready and its node converged', async t => {
    await lab.writeFile('n1', '/etc/systemd/system/tlsfleet-agent.service.d/test.conf', DROP_IN)
    await lab.output('n1', ['systemctl', 'daemon-reload'])
    const enrolled = await fleet.enroll('n1', await fleet.addNode('n1'))
    t.equal(enrolled.code, 0, enrolled.stderr)
    await fleet.startAgent('n1')
    await fleet.untilState('n1', 'idle')
    const applied = await fleet.apply(labSpec())
    t.equal(applied.code, 0, applied.stdout + applied.stderr)
    await fleet.untilState('n1', 'converged')

    t.equal(await unit('WatchdogUSec'), `${WATCHDOG_S}s`)
    t.equal(await unit('NRestarts'), '0', 'nobody has ended it so far')
    t.notMatch(await journal(), /"level":"(warn|error)"/, 'its sandbox is in nothing its way')
  })

  await t.test('an agent that is frozen is ended by the watchdog and started again', async t => {
    const before = { invocation: await unit('InvocationID'), pid: await unit('MainPID') }
    const services = await fleet.state('n1')

    await lab.output('n1', ['kill', '-STOP', before.pid])

    await until(async () => (await unit('InvocationID')) !== before.invocation, {
      what: 'systemd has started the agent again',
      everyMs: 200,
    })
    await until(isActive, { what: 'the new agent is ready' })
    const said = await journal()
    t.match(said, /Watchdog timeout/)
    t.match(said, /Failed with result 'watchdog'/)
    t.equal(await unit('NRestarts'), '1')
    t.not(await unit('MainPID'), before.pid)
    t.equal((await lab.exec('n1', ['test', '-e', `/proc/${before.pid}`])).code, 1, 'it is gone')
    t.equal(await fleet.state('n1'), services, 'no file and no service is another one')
  })

  await t.test(
    'the new agent goes on: it heals an edit, and the watchdog lets it live',
    async t => {
      const good = await lab.readFile('n1', CONF)
      const invocation = await unit('InvocationID')

      await lab.writeFile('n1', CONF, good.replace('https-enabled = true', 'https-enabled = false'))

      await until(async () => (await lab.readFile('n1', CONF)) === good, {
        what: 'the edit is healed',
      })
      await fleet.untilState('n1', 'converged')
      // Two times what the watchdog waits, seen from the last ping of before.
      const first = await unit('WatchdogTimestampMonotonic')
      await until(
        async () =>
          Number(await unit('WatchdogTimestampMonotonic')) - Number(first) > 2e6 * WATCHDOG_S,
        { what: 'it has pinged for long enough', everyMs: 500 },
      )
      t.equal(await unit('InvocationID'), invocation)
      t.equal(await unit('NRestarts'), '1')
      const status = await lab.output('n1', ['tlsfleet-agent', 'status', '--json'])
      t.match(JSON.parse(status), { mode: 'enforce' })
    },
  )
})
