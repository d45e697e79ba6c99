// The CA of a whole estate is replaced while everybody verifies everybody: three guides at once, every
// product on hosts of its own with real systemd, and clients that write, read and shake hands all the
// while. Nobody ever meets a certificate that it does not trust. A node that is away holds the old CA
// back, by name, and the rotation ends when it is there again.

import t from 'tap'
import { createLabFleet } from '../../support/lab-fleet.ts'
import type { Lab } from '../lab.ts'
import { createRotationScene } from '../rotation-scene.ts'
import { distrustIn, startVerifyingClient } from '../verifying-client.ts'
import { withLab } from '../with-lab.ts'
import { startClients } from './clients.ts'
import { buildEstate, enrollAll, PORTS } from './estate.ts'
import { noEventIsLost, nothingIsLost } from './losses.ts'
import { MEMBERS, membersOf } from './members.ts'
import { estateSpec } from './spec.ts'
import { applySpec, TOGETHER } from './switching.ts'

// What products of Go, Java and Node, and their simulators, say of a certificate they do not trust.
const DISTRUST =
  /x509|unable to (?:verify|get)[^"]*certificate|certificate (?:verify failed|has expired|unknown|signed by)|bad certificate|self.signed certificate|PKIX|CertPathValidator/i

await withLab(t, { nodes: MEMBERS.length }, async lab => {
  const [fleet] = await Promise.all([
    createLabFleet(lab, { ready: async () => {}, offlineAfter: '45s' }),
    buildEstate(lab, t.testdir({})),
  ])
  t.teardown(() => fleet.end())
  await enrollAll(lab, fleet)
  const { trustFile } = fleet
  const https = { scheme: 'https', trustFile } as const
  const clients = await startClients(lab, trustFile)
  t.teardown(() => clients.end())
  const listeners = MEMBERS.flatMap(({ host, role }) => PORTS[role].map(port => `${host}:${port}`))

  const { untilStatus, untilComplete, rotate, advance, finish, learnTrust } =
    createRotationScene(fleet)

  let startedAtMs = 0
  await t.test('the estate speaks TLS', async t => {
    const switching = await applySpec(fleet, estateSpec('on'), ...TOGETHER)
    if (switching.code !== 0) t.bailout(switching.text)
    await fleet.untilAll('converged')
    startedAtMs = Date.now()
    t.equal(await learnTrust(), 1)
  })

  await t.test('every phase of a rotation, and everybody verifies all the while', async t => {
    const handshakes = await startVerifyingClient(lab, trustFile, listeners)
    t.teardown(() => handshakes.end())
    const before = await handshakes.seen()
    const begun = await rotate()

    await untilComplete('prepare')
    await advance(begun)
    await untilComplete('distribute')
    t.equal(await learnTrust(), 2, 'everybody trusts both')
    t.comment(`distributed after ${Date.now() - startedAtMs} ms`)

    await advance(begun)
    await untilComplete('activate')
    t.comment(`activated after ${Date.now() - startedAtMs} ms`)
    const after = await handshakes.seen()
    for (const [address, { fingerprints }] of Object.entries(after.listeners))
      t.equal(
        fingerprints.length,
        (before.listeners[address]?.fingerprints.length ?? 0) + 1,
        `${address} has a certificate of the new CA`,
      )

    const [away] = membersOf('metricbeat')
    if (away === undefined) throw new Error('there is no metricbeat')
    await lab.output(away.host, ['systemctl', 'stop', 'tlsfleet-agent'])
    await fleet.untilState(away.name, 'offline')
    await advance(begun).catch((error: unknown) => t.comment(String(error)))
    const held = await untilStatus('the absent node is named', view =>
      view.barrier.blockers.some(({ node }) => node === away.name),
    )
    t.equal(held.status, 'running')
    t.strictSame([...new Set(held.barrier.blockers.map(({ node }) => node))], [away.name])
    t.equal(await learnTrust(), 2, 'and the old CA is trusted for as long')

    await lab.output(away.host, ['systemctl', 'start', 'tlsfleet-agent'])
    await untilStatus('the rotation goes on', view => {
      if (view.waitsFor === 'advance' && view.barrier.verdict === 'holds') return true
      return view.phase === 'deny' || view.status !== 'running'
    })
    await finish(begun)
    t.equal(await learnTrust(), 1, 'nobody trusts the old one')
    t.comment(`completed after ${Date.now() - startedAtMs} ms`)

    t.strictSame(distrustIn(await handshakes.seen()), [], 'no client met one that it did not trust')
    t.strictSame(
      await distrustOfProducts(lab, startedAtMs),
      [],
      'no product met one that it did not trust',
    )
    await nothingIsLost(t, lab, clients, https)
    await noEventIsLost(t, lab, https)
  })
})

/** Lines of the journals of all products in which one says that it does not trust another. */
async function distrustOfProducts(lab: Lab, sinceMs: number): Promise<readonly string[]> {
  const found = await Promise.all(
    MEMBERS.map(async ({ host, name, units }) => {
      const argv = units.flatMap(unit => ['-u', unit])
      const since = `--since=@${(sinceMs / 1000).toFixed(3)}`
      const text = await lab.output(host, ['journalctl', '-o', 'cat', '--no-pager', since, ...argv])
      return text
        .split('\n')
        .filter(line => DISTRUST.test(line))
        .map(line => `${name}: ${line}`)
    }),
  )
  return found.flat()
}
