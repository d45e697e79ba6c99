// Faults on real nodes: a node that is cut off during a rollout, an agent that is killed in the middle
// of a change, a disk that is full under the agent's own state.

import t from 'tap'
import { createLabFleet, labSpec, PORTS, STATE_DIRECTORY } from '../support/lab-fleet.ts'
import { installHold } from './held-start.ts'
import { type Lab, until } from './lab.ts'
import { startsOf, unitTold } from './rollout-scene.ts'
import { withLab } from './with-lab.ts'

const UNITS = ['prometheus', 'influxdb']
const JOURNAL = `${STATE_DIRECTORY}/journal.json`

await withLab(t, { nodes: 2 }, async lab => {
  const fleet = await createLabFleet(lab, { offlineAfter: '45s' })
  t.teardown(() => fleet.end())
  const influxdb = await installHold(lab, 'n1', 'influxdb')
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
      const restarts = await startsOf(lab, 'n1', 'influxdb')
      await influxdb.hold()
      const rollout = fleet.apply(labSpec('', '  key: rsa-2048\n'))
      await until(async () => (await lab.exec('n1', ['test', '-e', JOURNAL])).code === 0, {
        what: 'n1 is in the middle of it',
        everyMs: 20,
      })

      await lab.output('n1', ['systemctl', 'kill', '-s', 'KILL', 'tlsfleet-agent'])
      await influxdb.letGo()

      const { code, stdout, stderr } = await rollout
      t.equal(code, 0, stdout + stderr)
      t.not(await fleet.handshake('n1', PORTS.influxdb), before)
      for (const node of lab.nodes) await fleet.untilState(node, 'converged')
      t.ok((await startsOf(lab, 'n1', 'influxdb')) - restarts <= 2, 'influxdb')
      t.equal((await lab.exec('n1', ['test', '-e', JOURNAL])).code, 1, 'nothing is left to finish')
    },
  )

  // With a little room a change could be begun, and a service that starts then does not come up.
  for (const [what, leftKib] of [
    ['a full disk', 0],
    ['a disk that is nearly full', 200],
  ] as const)
    await t.test(`${what} is reported, and over when there is room again`, async t => {
      t.teardown(async () => {
        if (!t.passing()) t.comment(await unitTold(lab, 'n1', 'prometheus'))
      })
      const agent = await fleet.invocation('n1', 'tlsfleet-agent')
      const served = await fleet.handshake('n1', PORTS.prometheus)
      const running = await Promise.all(UNITS.map(unit => fleet.invocation('n1', unit)))
      await fillBut(lab, 'n1', leftKib)

      const spec = fleet.specFile(labSpec('    clientAuth: required\n'))
      const started = await fleet.cli(['apply', '-f', spec, '--yes', '--quiet', '--detach'])
      t.equal(started.code, 0, started.stderr)
      const isReported = async () =>
        (await fleet.nodes()).some(node => node.name === 'n1' && node.reason.code === 'disk-full')
      await until(isReported, { what: 'n1 says that its disk is full' })
      t.equal(await fleet.handshake('n1', PORTS.prometheus), served, 'its services go on')
      t.strictSame(await Promise.all(UNITS.map(unit => fleet.invocation('n1', unit))), running)

      await lab.drain('n1')
      await until(async () => (await webConfig(lab, 'n1')).includes('RequireAndVerifyClientCert'), {
        what: 'n1 has accepted it after all',
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
        timeoutMs: 180_000,
      })
      t.equal(await fleet.handshake('n2', PORTS.prometheus), served, 'it went on meanwhile')
      const rest = await fleet.apply(spec)
      t.equal(rest.code, 0, rest.stdout + rest.stderr)
      await fleet.untilState('n2', 'converged')
      t.ok((await webConfig(lab, 'n2')).includes('client_auth_type'))
    },
  )
})

/** Leaves so much of its disk. */
async function fillBut(lab: Lab, node: string, leftKib: number): Promise<void> {
  const ballast = '/var/ballast'
  if (leftKib > 0)
    await lab.output(node, ['sh', '-c', `head -c ${leftKib * 1024} /dev/zero >${ballast}`])
  await lab.fill(node)
  if (leftKib > 0) await lab.output(node, ['rm', ballast])
}

function webConfig(lab: Lab, node: string): Promise<string> {
  return lab.readFile(node, '/etc/prometheus/web-config.yml')
}
