// Faults on real nodes: a node that is cut off during a rollout, an agent that is killed in the middle
// of a change, a disk that is full under the agent's own state.

import t from 'tap'
import { createLabFleet, labSpec, PORTS, STATE_DIRECTORY } from '../support/lab-fleet.ts'
import { type Lab, until } from './lab.ts'
import { withLab } from './with-lab.ts'

const JOURNAL = `${STATE_DIRECTORY}/journal.json`

await withLab(t, { nodes: 2 }, async lab => {
  const fleet = await createLabFleet(lab)
  t.teardown(() => fleet.end())
  await t.test('two nodes come to TLS', async t => {
    for (const node of lab.nodes) {
      const enrolled = await fleet.enroll(node, await fleet.addNode(node))
      t.equal(enrolled.code, 0, enrolled.stderr)
    }
    await Promise.all(lab.nodes.map(node => fleet.startAgent(node)))
    for (const node of lab.nodes) await fleet.untilState(node, 'idle')

    const applied = await fleet.apply(labSpec())

    t.equal(applied.code, 0, applied.stdout + applied.stderr)
  })

  await t.test(
    'an agent that is killed in the middle of a change goes on where it was, with two restarts at most',
    async t => {
      const before = await fleet.handshake('n1', PORTS.influxdb)
      const restarts = await startsOf(lab, 'n1')
      const rollout = fleet.apply(labSpec('', '  key: rsa-2048\n'))
      await until(async () => (await lab.exec('n1', ['test', '-e', JOURNAL])).code === 0, {
        what: 'n1 is in the middle of it',
        everyMs: 20,
      })

      await lab.output('n1', ['systemctl', 'kill', '-s', 'KILL', 'tlsfleet-agent'])

      const { code, stdout, stderr } = await rollout
      t.equal(code, 0, stdout + stderr)
      t.not(await fleet.handshake('n1', PORTS.influxdb), before)
      for (const node of lab.nodes) await fleet.untilState(node, 'converged')
      t.ok((await startsOf(lab, 'n1')) - restarts <= 2, 'influxdb')
      t.equal((await lab.exec('n1', ['test', '-e', JOURNAL])).code, 1, 'nothing is left to finish')
    },
  )

  await t.test('a full disk is reported, and over when there is room again', async t => {
    const agent = await fleet.invocation('n1', 'tlsfleet-agent')
    const served = await fleet.handshake('n1', PORTS.prometheus)
    await lab.fill('n1')

    const spec = fleet.specFile(labSpec('    clientAuth: required\n'))
    const started = await fleet.cli(['apply', '-f', spec, '--yes', '--quiet', '--detach'])
    t.equal(started.code, 0, started.stderr)
    const isReported = async () =>
      (await fleet.nodes()).some(node => node.name === 'n1' && node.reason.code === 'disk-full')
    await until(isReported, { what: 'n1 says that its disk is full', timeoutMs: 60_000 })
    t.equal(await fleet.handshake('n1', PORTS.prometheus), served, 'its services go on')

    await lab.drain('n1')
    await until(async () => (await webConfig(lab, 'n1')).includes('RequireAndVerifyClientCert'), {
      what: 'n1 has accepted it after all',
      timeoutMs: 60_000,
    })
    t.equal(await fleet.invocation('n1', 'tlsfleet-agent'), agent, 'the same agent')
    for (const node of lab.nodes) await fleet.untilState(node, 'converged')
    let again = await fleet.apply(labSpec())
    // The rollout that waited for the room ends a moment after its last node.
    await until(
      async () => {
        if (again.stderr.includes('overlapping-rollout')) again = await fleet.apply(labSpec())
        return !again.stderr.includes('overlapping-rollout')
      },
      { what: 'the rollout has ended', everyMs: 500 },
    )
    t.equal(again.code, 0, again.stdout + again.stderr)
    for (const node of lab.nodes) await fleet.untilState(node, 'converged')
  })

  await t.test(
    'a node that is cut off is left out of a rollout, and brought along later',
    async t => {
      const spec = labSpec('    clientAuth: optional\n')
      const served = await fleet.handshake('n2', PORTS.prometheus)
      await lab.cut('n2')
      // A controller that has just started waits for nobody's old connection.
      await fleet.killController()
      await fleet.startController()

      const partial = await fleet.apply(spec)

      t.equal(partial.code, 3, partial.stdout + partial.stderr)
      t.match(partial.stdout, /n2 +deferred: the agent is not connected/)
      t.match(partial.stdout, /reached 1 of 2 nodes/)
      t.match(partial.stdout, /n2.*deferred|deferred.*n2/s)
      await fleet.untilState('n1', 'converged')
      await fleet.untilState('n2', 'offline')
      t.ok((await webConfig(lab, 'n1')).includes('client_auth_type'))
      t.notOk((await webConfig(lab, 'n2')).includes('client_auth_type'))

      await lab.heal()
      await until(async () => (await fleet.nodes()).every(node => node.online), {
        what: 'n2 is back',
        everyMs: 500,
        timeoutMs: 100_000,
      })
      t.equal(await fleet.handshake('n2', PORTS.prometheus), served, 'it went on meanwhile')
      const rest = await fleet.apply(spec)
      t.equal(rest.code, 0, rest.stdout + rest.stderr)
      await fleet.untilState('n2', 'converged')
      t.ok((await webConfig(lab, 'n2')).includes('client_auth_type'))
    },
  )
})

function webConfig(lab: Lab, node: string): Promise<string> {
  return lab.readFile(node, '/etc/prometheus/web-config.yml')
}

/** How often influxd was started since the node booted. */
async function startsOf(lab: Lab, node: string): Promise<number> {
  const log = ['journalctl', '-u', 'influxdb', '-b', '--no-pager', '-o', 'cat']
  return (await lab.output(node, log)).split('\n').filter(line => line.startsWith('Started '))
    .length
}
