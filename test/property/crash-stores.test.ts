// The agent dies after any one of its changes, or the whole node does, while a product with a store
// of secrets, a drop-in and a PKCS#12 file comes to TLS or back, or a client is pointed at TLS. The
// next pass ends in the wanted state, and no secret is left about or was said.

import t from 'tap'
import type { ServiceTls } from '../../shared/contract/service.ts'
import { guestPass, guestWish, leftovers, newGuestNode } from '../support/guest-fleet.ts'
import { type MemoryNode, outcomes, untilCut } from '../support/memory-fleet.ts'
import { KEYSTORE, MATERIAL, secretsIn } from '../support/store-product.ts'

t.setTimeout(900_000)

interface Scenario {
  readonly name: string
  readonly prepare: (node: MemoryNode) => Promise<readonly ServiceTls[]>
  /** What is wrong at the end; undefined: nothing. */
  readonly problem: (node: MemoryNode) => string | undefined
}

const PASSWORD_ENTRY = 'xpack.security.http.ssl.keystore.secure_password'

function storeProblem(node: MemoryNode): string | undefined {
  const entry = secretsIn(node.files).get(PASSWORD_ENTRY)?.toString()
  if (entry !== node.files.text(`${MATERIAL}/store-password`)?.trim()) return 'another password'
  if (node.tree.get(KEYSTORE)?.owner.gid !== 103) return 'the store has lost its group'
  return /^[0-9a-f]{64}$/.test(node.served('elasticsearch')) ? undefined : 'no TLS'
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'a store product to TLS',
    prepare: () => guestWish({ store: 'on' }),
    problem: storeProblem,
  },
  {
    name: 'a store product to other names',
    async prepare(node) {
      await guestPass(node, await guestWish({ store: 'on' }))
      return guestWish({ store: 'on', names: ['other', 'localhost'] })
    },
    problem: storeProblem,
  },
  {
    name: 'a store product back to plaintext',
    async prepare(node) {
      await guestPass(node, await guestWish({ store: 'on' }))
      return guestWish({ store: 'off' })
    },
    problem: node =>
      secretsIn(node.files).has(PASSWORD_ENTRY) || node.served('elasticsearch') !== 'plaintext'
        ? 'something of TLS is left'
        : undefined,
  },
  {
    name: 'a client to TLS',
    prepare: () => guestWish({ client: 'on' }),
    problem: node =>
      node.loaded('telegraf').includes('https://db:8086') ? undefined : 'not loaded',
  },
]

for (const { name, prepare, problem } of SCENARIOS) {
  for (const end of ['the agent', 'the node'] as const) {
    await t.test(`${end} may end after any change of ${name}`, async t => {
      const total = await countChanges(prepare)
      t.ok(total > 10, `${total} changes are tried`)
      for (let cut = 0; cut < total; cut += end === 'the agent' ? 1 : 3) {
        const node = newGuestNode()
        const services = await prepare(node)
        node.cutAfter(cut)
        const wasCut = await untilCut(() => guestPass(node, services))
        node.cutAfter(undefined)
        if (!wasCut) t.fail(`change ${cut} of ${total} was not reached`)
        if (end === 'the node') node.reboot()

        const reports = await guestPass(node, services)
        const again = await guestPass(node, services)

        const wrong = problem(node)
        const left = leftovers(node)
        const isQuiet = again.every(report => report.outcome === 'in-sync')
        if (wrong !== undefined || left.length > 0 || !isQuiet) {
          const seen = { cut, wrong, left, reports: outcomes(reports), again: outcomes(again) }
          t.same(seen, 'converged', `cut after change ${cut}: ${JSON.stringify(reports)}`)
        }
        const restarts = node.activations.filter(one => one.startsWith('restart ')).length
        if (restarts > 6) t.fail(`${restarts} restarts after a cut at ${cut}`)
      }
    })
  }
}

async function countChanges(prepare: Scenario['prepare']): Promise<number> {
  const node = newGuestNode()
  const services = await prepare(node)
  const before = node.changes()
  const reports = await guestPass(node, services)
  if (reports.some(report => report.outcome !== 'changed')) throw new Error(JSON.stringify(reports))
  return node.changes() - before
}
