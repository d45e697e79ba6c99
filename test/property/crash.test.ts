// The agent dies after any one of its changes, or the whole node does; the next pass ends in the
// wanted state, the restart included, and at no moment is anything but the old or the new served.

import t from 'tap'
import type { ServiceTls } from '../../shared/contract/service.ts'
import {
  activeFingerprint,
  type MemoryNode,
  newNode,
  outcomes,
  passOnce,
  untilCut,
  wish,
} from '../support/memory-fleet.ts'

interface Scenario {
  readonly name: string
  /** Brings the node to where the change under test starts; gives the wish of that change. */
  readonly prepare: (node: MemoryNode) => Promise<readonly ServiceTls[]>
}

t.setTimeout(900_000)

const DAY_MS = 86_400_000

const SCENARIOS: readonly Scenario[] = [
  { name: 'plaintext to TLS', prepare: async () => wish() },
  {
    name: 'a renewal',
    prepare: async node => {
      await passOnce(node, await wish())
      node.advance(80 * DAY_MS)
      return wish()
    },
  },
  {
    name: 'other names',
    prepare: async node => {
      await passOnce(node, await wish())
      return wish({ dns: ['other', 'localhost'] })
    },
  },
]

for (const { name, prepare } of SCENARIOS) {
  for (const end of ['the agent', 'the node'] as const) {
    await t.test(`${end} may end after any change of ${name}`, { timeout: 120_000 }, async t => {
      const total = await countChanges(prepare)
      t.ok(total > 20, `${total} changes are tried`)
      // The agent alone is ended after every change; the whole node, which differs only in that its
      // services start anew, after every third.
      for (let cut = 0; cut < total; cut += end === 'the agent' ? 1 : 3) {
        const node = newNode()
        const services = await prepare(node)
        const before = { influxdb: node.served('influxdb'), prometheus: node.served('prometheus') }
        node.cutAfter(cut)
        const wasCut = await untilCut(() => passOnce(node, services))
        node.cutAfter(undefined)
        if (!wasCut) t.fail(`change ${cut} of ${total} was not reached`)
        if (node.served('prometheus') === 'dead' || node.served('influxdb') === 'dead')
          t.fail(`dead after change ${cut}`)
        if (end === 'the node') node.reboot()

        const reports = await passOnce(node, services)
        const again = await passOnce(node, services)

        const served = { influxdb: node.served('influxdb'), prometheus: node.served('prometheus') }
        const isNew = served.influxdb !== before.influxdb && served.prometheus !== before.prometheus
        const isProven =
          served.influxdb === activeFingerprint(again, 'influxdb') &&
          served.prometheus === activeFingerprint(again, 'prometheus')
        const isQuiet = again.every(report => report.outcome === 'in-sync')
        if (!isNew || !isProven || !isQuiet) {
          t.same(
            { cut, outcomes: outcomes(reports), again: outcomes(again), served, before },
            'converged',
            `cut after change ${cut}`,
          )
        }
        const restarts = node.activations.filter(one => one === 'restart influxdb.service').length
        if (restarts > 5) t.fail(`influxdb was restarted ${restarts} times after a cut at ${cut}`)
      }
    })
  }
}

async function countChanges(prepare: Scenario['prepare']): Promise<number> {
  const node = newNode()
  const services = await prepare(node)
  const before = node.changes()
  const reports = await passOnce(node, services)
  if (reports.some(report => report.outcome !== 'changed')) throw new Error(JSON.stringify(reports))
  return node.changes() - before
}

await t.test(
  'a converged node is not touched: no change, no restart, however often it is looked at',
  async t => {
    const node = newNode()
    const services = await wish()
    await passOnce(node, services)
    await passOnce(node, services)
    const changes = node.changes()
    const activations = node.activations.length

    for (let pass = 0; pass < 5; pass++) {
      node.advance(3_600_000)
      const reports = await passOnce(node, services)
      t.strictSame(outcomes(reports), { prometheus: 'in-sync', influxdb: 'in-sync' })
    }

    t.equal(node.changes(), changes, 'nothing was written')
    t.equal(node.activations.length, activations, 'nothing was restarted')
  },
)
