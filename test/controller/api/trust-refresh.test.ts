// Self-signed servers and clients that verify them, from plaintext through renewals: real agents on nodes
// in memory, real controller parts, virtual time.

import t, { type Test } from 'tap'
import { OperationalError } from '../../../shared/errors.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import { createWorld, type World, type WorldNode } from '../../support/trust-world.ts'

// Nodes in memory take their time on a busy machine.
t.setTimeout(900_000)

const HOUR_MS = 3_600_000

const SPEC = `
version: 1
fleet: demo
defaults: { verify: { stableFor: 300ms, deadline: 30s } }
services:
  - { service: influxdb, nodes: { labels: { role: db } }, issuer: self-signed, lifetime: 4d }
  - { service: telegraf, nodes: { labels: { role: app } } }
`

async function world(t: Test): Promise<World> {
  const made = await createWorld({
    spec: SPEC,
    servers: ['db1', 'db2'],
    clients: ['app1', 'app2'],
  })
  t.teardown(() => made.store.close())
  await made.apply()
  await made.step(0)
  return made
}

function served({ nodes }: World): readonly string[] {
  return nodes.filter(one => one.name.startsWith('db')).map(one => one.memory.served('influxdb'))
}

function trusted({ client }: WorldNode): number {
  return splitPemCertificates(client.trust).length
}

await t.test('clients are given certificates when they are known, and verify', async t => {
  const made = await world(t)

  const rollouts = await made.rollouts()
  t.match(
    rollouts.map(({ plan, status, reason }) => [plan.author, status, reason?.message]),
    [
      [
        'system',
        'succeeded',
        'clients are given the certificates of influxdb on db1, influxdb on db2',
      ],
      ['ada', 'succeeded'],
    ],
    'one rollout after that of the operator',
  )
  t.ok(made.failures.length > 0, 'in between is the window that a plan announces')
  const before = made.failures.length
  t.strictSame(made.nodes.slice(2).map(trusted), [2, 2])

  await made.step(HOUR_MS)
  await made.apply()
  await made.step(HOUR_MS)
  t.equal((await made.rollouts()).length, 2, 'applying the spec again finds nothing to do')
  made.restartRefresh()
  await made.step(HOUR_MS)
  t.equal((await made.rollouts()).length, 2, 'nor does a controller that was restarted')
  t.equal(made.failures.length, before)
})

await t.test('through renewals nobody fails to verify', async t => {
  const made = await world(t)
  made.failures.length = 0
  const first = served(made)
  const restarts = made.node('app1').memory.activations.length

  const seen = new Set(first)
  for (let hour = 0; hour < 10 * 24; hour += 4) {
    await made.step(4 * HOUR_MS)
    for (const one of served(made)) seen.add(one)
  }

  t.strictSame(made.failures, [], `${made.connections()} connections`)
  t.ok(made.connections() > 1_000, `${made.connections()} connections`)
  t.ok(seen.size >= 8, `${seen.size} certificates were served`)
  const rollouts = await made.rollouts()
  t.ok(rollouts.every(({ status }) => status === 'succeeded'))
  const renewals = seen.size - 2
  t.ok(rollouts.length <= 2 + 3 * renewals + 3, `${rollouts.length} rollouts, ${renewals} renewals`)
  for (const app of made.nodes.slice(2))
    t.ok(trusted(app) <= 4, 'what is served no more is trusted no more')
  const activations = made.node('app1').memory.activations.length - restarts
  t.ok(activations <= 2 * renewals + 2, `${activations} restarts of a client`)
})

await t.test('a client that is away holds up the switch until shortly before the end', async t => {
  const made = await world(t)
  const [first] = served(made)
  made.node('app2').isOnline = false
  made.failures.length = 0

  // Due after two thirds of four days, at the end no later than after nine tenths.
  for (let hour = 0; hour < 84; hour += 4) await made.step(4 * HOUR_MS)
  t.equal(served(made)[0], first, 'it waits')
  t.equal(trusted(made.node('app1')), 4, 'who is there was given the next ones')
  const open = await made.store.transaction(tx => tx.selfSigned.list())
  t.ok(open.every(({ next, isNextGiven }) => next !== undefined && !isNextGiven))
  t.strictSame(made.failures, [])

  for (let hour = 0; hour < 6; hour += 2) await made.step(2 * HOUR_MS)
  t.not(served(made)[0], first, 'and not for ever')
  t.ok(
    made.failures.every(one => one.startsWith('app2')),
    'only who was away cannot verify it',
  )

  made.node('app2').isOnline = true
  await made.step(HOUR_MS)
  made.failures.length = 0
  await made.step(HOUR_MS)
  t.strictSame(made.failures, [])
})

await t.test('a client that fails is left out and does not make rollouts without end', async t => {
  const made = await world(t)
  const count = (await made.rollouts()).length
  // From here on its configuration cannot be edited, so it takes nothing new.
  made.node('app2').memory.fault = (operation, path) => {
    if (operation !== 'read' && path.includes('telegraf'))
      throw new OperationalError('write-failed', `could not write ${path}`)
  }

  made.failures.length = 0
  for (let hour = 0; hour < 80; hour += 4) await made.step(4 * HOUR_MS)

  const rollouts = (await made.rollouts()).slice(0, -count)
  const failed = rollouts.filter(({ status }) => status === 'failed').length
  t.ok(failed > 0 && failed <= 20, `${failed} of ${rollouts.length} rollouts failed`)
  t.equal(trusted(made.node('app1')), 4, 'the other one has what it needs')
  t.strictSame(made.failures, [], 'and nothing is switched that somebody cannot verify')
})
