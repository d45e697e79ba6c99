// A change is begun only where there is room for all of it, and for the service to start again.

import t from 'tap'
import { whyNoRoom } from '../../agent/room.ts'
import { inputFor, newAgent, newNode, outcomes, STATE, wish } from '../support/memory-fleet.ts'

const KIB = 1024

/** A node of which each file system has so much left, by the beginning of its paths. */
function nodeWith(roomOf: (path: string) => number | undefined) {
  const node = newNode()
  const files = { ...node.host.files, freeBytes: async (path: string) => roomOf(path) }
  return { node, host: { ...node.host, files } }
}

await t.test('nothing is begun, and nothing is claimed, until there is room', async t => {
  let freeBytes: number | undefined = 100 * KIB
  const { node, host } = nodeWith(() => freeBytes)
  const agent = await newAgent(node, { host })
  let claims = 0
  const services = await wish()
  const pass = (mode: 'stage' | 'enforce') =>
    agent.pass(
      inputFor(services, {
        mode,
        claim: async () => {
          claims++
          return undefined
        },
      }),
    )
  const before = node.changes()

  for (const mode of ['stage', 'enforce', 'enforce'] as const) {
    const reports = await pass(mode)
    t.strictSame(outcomes(reports), { prometheus: 'waiting', influxdb: 'waiting' })
    for (const { reason } of reports) t.match(reason, { code: 'disk-full', message: /KiB/ })
  }
  t.equal(node.changes(), before)
  t.equal(claims, 0)
  t.strictSame(node.activations, [])

  freeBytes = undefined
  t.strictSame(outcomes(await pass('enforce')), { prometheus: 'changed', influxdb: 'changed' })
})

await t.test('a converged service is none of its business', async t => {
  let freeBytes = 1024 ** 3
  const { node, host } = nodeWith(() => freeBytes)
  const agent = await newAgent(node, { host })
  const services = await wish()
  await agent.pass(inputFor(services))

  freeBytes = 0

  const reports = await agent.pass(inputFor(services))
  t.strictSame(outcomes(reports), { prometheus: 'in-sync', influxdb: 'in-sync' })
})

await t.test('what restarts needs more room than what does not', async t => {
  const freeBytes = 1024 * KIB
  const { node, host } = nodeWith(() => freeBytes)
  const roomy = await newAgent(node)
  const services = await wish()
  await roomy.pass(inputFor(services))
  const agent = await newAgent(node, { host })

  // A new certificate is a restart for influxdb and nothing but files for prometheus.
  const reports = await agent.pass(inputFor(services, { renew: ['prometheus', 'influxdb'] }))

  t.strictSame(outcomes(reports), { prometheus: 'changed', influxdb: 'waiting' })
})

await t.test('every file system that is written to is asked', async t => {
  const plan = {
    files: [{ realPath: '/srv/influxdb.conf' }],
    owed: { verb: 'restart' },
    compiled: { material: { directory: '/etc/influxdb/tls' } },
  } as const
  const asked = (full: string) =>
    whyNoRoom({ freeBytes: async path => (path.startsWith(full) ? 0 : 1024 ** 3) }, plan, STATE)

  for (const full of ['/srv', '/etc/influxdb/tls', STATE])
    t.match(await asked(full), { code: 'disk-full', message: `file system of ${full}` })
  t.equal(await asked('/elsewhere'), undefined)
  t.equal(
    await whyNoRoom({ freeBytes: async () => undefined }, plan, STATE),
    undefined,
    'where it is not said, nobody is kept from anything',
  )
})
