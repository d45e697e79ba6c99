// What no handshake shows (here a flag of prometheus) has to be loaded too: the restart that it owes
// survives the end of the agent after any of its changes, and is owed to the process, not to the pass
// that wrote the file.

import t from 'tap'
import { newNode, outcomes, passOnce, untilCut, wish } from '../support/memory-fleet.ts'
import type { MemoryNode } from '../support/memory-node.ts'

const FLAG = '--web.external-url=https://n1:9090/'

async function prepared(): Promise<MemoryNode> {
  const node = newNode()
  const before = await wish({ services: ['prometheus'], externalUrl: 'leave' })
  await passOnce(node, before)
  await passOnce(node, before)
  return node
}

await t.test(
  'the agent may end after any change: the running process has loaded the flag',
  { timeout: 120_000 },
  async t => {
    const services = await wish({ services: ['prometheus'] })
    const whole = await prepared()
    const start = whole.changes()
    await passOnce(whole, services)
    const total = whole.changes() - start
    t.ok(total > 5, `${total} changes are tried`)
    t.match(whole.loaded('prometheus'), FLAG)
    for (let cut = 0; cut < total; cut++) {
      const node = await prepared()
      node.cutAfter(cut)
      if (!(await untilCut(() => passOnce(node, services)))) t.fail(`change ${cut} was not reached`)
      node.cutAfter(undefined)

      await passOnce(node, services)

      if (!node.loaded('prometheus').includes(FLAG))
        t.fail(`not loaded after a cut at change ${cut}`)
      t.strictSame(outcomes(await passOnce(node, services)), { prometheus: 'in-sync' })
    }
  },
)

await t.test('a file that somebody else put right is a restart owed all the same', async t => {
  const node = await prepared()
  const services = await wish({ services: ['prometheus'] })
  node.advance(1000)
  const path = '/etc/default/prometheus'
  const wanted = newNode()
  await passOnce(wanted, services)
  node.files.put(path, wanted.files.text(path) ?? '')
  t.notMatch(node.loaded('prometheus'), FLAG)

  const reports = await passOnce(node, services)

  t.equal(reports[0]?.activation, 'restart')
  t.match(node.loaded('prometheus'), FLAG)
})

await t.test('a process that was started after the file was written owes nothing', async t => {
  const node = await prepared()
  const services = await wish({ services: ['prometheus'] })
  const wanted = newNode()
  await passOnce(wanted, services)
  node.advance(1000)
  node.files.put('/etc/default/prometheus', wanted.files.text('/etc/default/prometheus') ?? '')
  node.advance(1000)
  node.start('prometheus')
  const activations = node.activations.length

  t.strictSame(outcomes(await passOnce(node, services)), { prometheus: 'in-sync' })

  t.equal(node.activations.length, activations)
})
