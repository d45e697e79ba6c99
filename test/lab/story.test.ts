// The whole story on real nodes: a controller, agents as services, an operator, and the days on
// which something goes wrong.

import t from 'tap'
import { CONF, createLabFleet, labSpec, PORTS, STATE_DIRECTORY } from '../support/lab-fleet.ts'
import { installHold } from './held-start.ts'
import { until } from './lab.ts'
import { withLab } from './with-lab.ts'

await withLab(t, { nodes: 3 }, async lab => {
  const fleet = await createLabFleet(lab)
  t.teardown(() => fleet.end())
  const influxdb = await installHold(lab, 'n1', 'influxdb')
  const listeners = lab.nodes.flatMap(node => Object.values(PORTS).map(port => ({ node, port })))
  const handshakes = () => Promise.all(listeners.map(one => fleet.handshake(one.node, one.port)))
  const healed = (node: string, text: string) =>
    until(async () => (await lab.readFile(node, CONF)) === text, {
      what: `${CONF} of ${node} is as it was`,
      everyMs: 50,
    })
  /** As an operator with an editor. */
  const spoil = async (node: string): Promise<string> => {
    const good = await lab.readFile(node, CONF)
    await lab.writeFile(node, CONF, good.replace('https-enabled = true', 'https-enabled = false'))
    return good
  }

  await t.test('nodes are enrolled; a token works once, and for its node only', async t => {
    const tokens = new Map<string, string>()
    for (const node of lab.nodes) tokens.set(node, await fleet.addNode(node))
    for (const [node, token] of tokens) {
      const enrolled = await fleet.enroll(node, token)
      t.equal(enrolled.code, 0, enrolled.stderr)
      t.match(enrolled.stdout, new RegExp(`enrolled as ${node} in fleet lab`))
    }
    const identity = await lab.readFile('n1', `${STATE_DIRECTORY}/identity.json`)

    for (const token of tokens.values()) {
      const again = await fleet.enroll('n1', token)
      t.equal(again.code, 1)
      t.match(again.stderr, /^tlsfleet-agent: .*token/)
    }

    t.equal(await lab.readFile('n1', `${STATE_DIRECTORY}/identity.json`), identity)
    await Promise.all(lab.nodes.map(node => fleet.startAgent(node)))
    for (const node of lab.nodes) await fleet.untilState(node, 'idle')
    t.match(await lab.http('n1', 'http://127.0.0.1:8086/ping'), { status: 204 }, 'untouched')
  })

  await t.test('plan, apply, proof, and a second apply that changes nothing', async t => {
    const plan = await fleet.cli(['plan', '-f', fleet.specFile(labSpec()), '--no-color'])
    t.equal(plan.code, 2, plan.stderr)
    for (const node of lab.nodes) t.match(plan.stdout, new RegExp(`\\b${node}\\b`))

    const applied = await fleet.apply(labSpec())

    t.equal(applied.code, 0, applied.stdout + applied.stderr)
    t.equal(new Set(await handshakes()).size, listeners.length, 'each listener has its own')
    for (const node of lab.nodes) await fleet.untilState(node, 'converged')
    const before = await Promise.all(lab.nodes.map(node => fleet.state(node)))
    t.equal((await fleet.apply(labSpec())).code, 0)
    t.strictSame(await Promise.all(lab.nodes.map(node => fleet.state(node))), before)
    t.equal((await fleet.cli(['plan', '-f', fleet.specFile(labSpec())])).code, 0)
  })

  await t.test('a hand edit is healed, without a restart', async t => {
    const invocation = await fleet.invocation('n2', 'influxdb')

    await healed('n2', await spoil('n2'))

    t.equal(await fleet.invocation('n2', 'influxdb'), invocation)
  })

  await t.test('without its controller the fleet goes on, and comes back to it', async t => {
    const agents = await Promise.all(
      lab.nodes.map(node => fleet.invocation(node, 'tlsfleet-agent')),
    )
    const served = await handshakes()

    await fleet.killController()
    await healed('n1', await spoil('n1'))

    t.strictSame(await handshakes(), served)
    await fleet.startController()
    for (const node of lab.nodes) await fleet.untilState(node, 'converged')
    const status = await fleet.nodes()
    t.ok(
      status.every(node => node.online),
      JSON.stringify(status),
    )
    const after = await Promise.all(lab.nodes.map(node => fleet.invocation(node, 'tlsfleet-agent')))
    t.strictSame(after, agents, 'no agent was started anew')
    await healed('n3', await spoil('n3'))
  })

  await t.test('an agent that is restarted in the middle of a change finishes it', async t => {
    const agent = await fleet.invocation('n1', 'tlsfleet-agent')
    const before = await fleet.handshake('n1', PORTS.influxdb)
    // influxdb has to be restarted for another key.
    await influxdb.hold()
    const rollout = fleet.apply(labSpec('', '  key: rsa-2048\n'))
    const journal = `${STATE_DIRECTORY}/journal.json`
    await until(async () => (await lab.exec('n1', ['test', '-e', journal])).code === 0, {
      what: 'n1 is in the middle of it',
      everyMs: 20,
    })

    const restarted = lab.output('n1', ['systemctl', 'restart', 'tlsfleet-agent'])
    const isActive = ['systemctl', 'is-active', '-q', 'tlsfleet-agent']
    const isStopping = async () =>
      (await lab.exec('n1', isActive)).code !== 0 ||
      (await fleet.invocation('n1', 'tlsfleet-agent')) !== agent
    await until(isStopping, { what: 'the agent is being stopped' })
    await influxdb.letGo()
    await restarted

    const { code, stdout, stderr } = await rollout
    t.equal(code, 0, stdout + stderr)
    t.not(await fleet.invocation('n1', 'tlsfleet-agent'), agent)
    t.not(await fleet.handshake('n1', PORTS.influxdb), before)
    for (const node of lab.nodes) await fleet.untilState(node, 'converged')
    const died = 'journalctl -u tlsfleet-agent -b --no-pager -o cat'
    t.notMatch(await lab.output('n1', ['sh', '-c', died]), /this is a bug|timed out|Killing/)
  })

  await t.test('a node that was rebooted is as it was', async () => {
    const served = await handshakes()

    await lab.stop('n2')
    await lab.start('n2')

    await until(async () => (await handshakes()).join() === served.join(), {
      what: 'n2 serves what it served',
    })
    await fleet.untilState('n2', 'converged')
    await healed('n2', await spoil('n2'))
  })

  await t.test('a node that was removed cannot talk any more; its services go on', async t => {
    const served = await handshakes()

    t.equal((await fleet.cli(['node', 'rm', 'n3', '--yes'])).code, 0)

    const log = ['journalctl', '-u', 'tlsfleet-agent', '-b', '--no-pager', '-o', 'cat']
    await until(async () => /identity-(refused|denied)/.test(await lab.output('n3', log)), {
      what: 'n3 is refused',
    })
    t.strictSame(
      (await fleet.nodes()).map(node => node.name),
      ['n1', 'n2'],
    )
    await healed('n3', await spoil('n3'))
    t.strictSame(await handshakes(), served)
    t.equal((await lab.exec('n3', ['systemctl', 'is-active', 'tlsfleet-agent'])).code, 0)
  })
})
