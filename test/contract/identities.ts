// What every store must do with identities of agents, beside the denylist in enrolment.ts: they are counted,
// their first use is written down, they are superseded and forgotten; nodes are locked.

import { sha256 } from '../../shared/digest.ts'
import type { Check } from './store.ts'
import { sampleIdentity, sampleNode, sampleToken, T0 } from './samples.ts'

export function checkSuccession(check: Check): void {
  check(
    'identities of a node are counted, also where the node goes and comes back',
    async (t, store) => {
      await store.transaction(async tx => {
        await tx.nodes.insert(sampleNode('a'))
        const insert = async (name: string, node: string) =>
          (await tx.identities.insert(sampleIdentity(name, node, name))).generation
        t.equal(await insert('1', 'a'), 1)
        t.equal(await insert('2', 'a'), 2)
        t.equal(await insert('3', 'b'), 1)
        await tx.nodes.remove('a', T0 + 1)
        await tx.nodes.insert(sampleNode('a'))
        t.equal(await insert('4', 'a'), 3)
        t.equal((await tx.identities.get(sha256('4')))?.generation, 3)
      })
    },
  )

  check(
    'the first use of an identity counts; what was never used is superseded',
    async (t, store) => {
      await store.transaction(async tx => {
        for (const name of ['1', '2', '3', '4'])
          await tx.identities.insert(sampleIdentity(name, 'a', name))
        t.equal(await tx.identities.newestConfirmed('a'), undefined)
        await tx.identities.confirm(sha256('1'), T0 + 1)
        await tx.identities.confirm(sha256('3'), T0 + 2)
        await tx.identities.confirm(sha256('3'), T0 + 9)
        t.match(await tx.identities.newestConfirmed('a'), { generation: 3, confirmedAtMs: T0 + 2 })
        t.equal(await tx.identities.newestConfirmed('b'), undefined)

        t.equal(await tx.identities.supersede('a', 1, T0 + 3), true)
        t.equal(await tx.identities.supersede('a', 1, T0 + 4), false)
        const causes = async () =>
          Promise.all(
            ['1', '2', '3', '4'].map(
              async name => (await tx.identities.get(sha256(name)))?.deniedFor ?? 'good',
            ),
          )
        t.same(await causes(), ['good', 'superseded', 'good', 'superseded'])
        await tx.identities.deny('a', { cause: 'cloned', atMs: T0 + 5 })
        t.same(await causes(), ['cloned', 'cloned', 'cloned', 'cloned'])
        t.equal((await tx.identities.get(sha256('2')))?.deniedAtMs, T0 + 3, 'denied since then')
      })
    },
  )

  check('a lock shows its newest reason until the node is enrolled, or goes', async (t, store) => {
    const reason = { code: 'identity-revoked', message: 'ada has revoked it' }
    await store.transaction(async tx => {
      await t.rejects(tx.nodes.lock('a', { reason, atMs: T0 }), { code: 'not-found' })
      await tx.nodes.insert(sampleNode('a'))
      await tx.tokens.insert(sampleToken('t1', 'a'))
      t.equal(await tx.nodes.lockOf('a'), undefined)
      await tx.nodes.lock('a', { reason: { ...reason, message: 'earlier' }, atMs: T0 })
      await tx.nodes.lock('a', { reason, atMs: T0 + 1 })
      t.same(await tx.nodes.lockOf('a'), { reason, atMs: T0 + 1 })
      await tx.tokens.removeOf('a')
      t.equal(await tx.tokens.get('t1'), undefined)
      await tx.nodes.setEnrolled('a', T0 + 2)
      t.equal(await tx.nodes.lockOf('a'), undefined)
      await tx.nodes.lock('a', { reason, atMs: T0 + 3 })
      t.equal(await tx.nodes.remove('a', T0 + 4), true)
      t.equal(await tx.nodes.lockOf('a'), undefined)
    })
  })

  check(
    'identities are forgotten by their end alone, and the newest of a node never',
    async (t, store) => {
      await store.transaction(async tx => {
        const ends = { '1': 10, '2': 20, '3': 20, '4': 5 }
        for (const [name, end] of Object.entries(ends))
          await tx.identities.insert(sampleIdentity(name, 'a', name, { notAfterMs: T0 + end }))
        await tx.identities.insert(sampleIdentity('5', 'b', '5', { notAfterMs: T0 }))
        await tx.identities.deny('a', { cause: 'revoked', atMs: T0 })
        const left = async () => {
          const found = await Promise.all(
            ['1', '2', '3', '4', '5'].map(name => tx.identities.get(sha256(name))),
          )
          return found.map(one => one?.generation)
        }
        t.equal(await tx.identities.prune(T0 + 10), 0)
        t.same(await left(), [1, 2, 3, 4, 1])
        t.equal(await tx.identities.prune(T0 + 11), 1)
        t.same(await left(), [undefined, 2, 3, 4, 1])
        t.equal(await tx.identities.prune(T0 + 21), 2)
        t.same(await left(), [undefined, undefined, undefined, 4, 1])
      })
    },
  )
}
