// What every store must do with documents and their generations, and with the epoch that a restore begins.

import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import type { Transaction } from '../../controller/store/store.ts'
import { sampleContent, sampleNode, sampleReport, sampleToken, T0 } from './samples.ts'
import type { Check } from './store.ts'

export function checkEpoch(check: Check): void {
  check(
    'a new epoch is above the one before, and all that comes in it is above all before it',
    async (t, store) => {
      const sealed = (node: string, generation: number, epoch?: number) =>
        sealDesiredState({
          node,
          ...(epoch === undefined ? {} : { epoch }),
          generation,
          mode: 'enforce',
          permit: false,
          content: sampleContent(node),
        })
      const put = (tx: Transaction, ...parts: Parameters<typeof sealed>) =>
        tx.desired.put({ state: sealed(...parts), revision: 1 })
      await store.transaction(async tx => {
        for (const node of ['a', 'b', 'c']) await tx.nodes.insert(sampleNode(node))
        t.equal(await tx.desired.epoch(), 0)
        await t.rejects(put(tx, 'a', 1, 1), { code: 'epoch-outdated' }, 'it has not begun')
        await put(tx, 'a', 7)
        await put(tx, 'b', 900)

        await tx.desired.beginEpoch(100)

        t.equal(await tx.desired.epoch(), 100)
        t.equal(await tx.desired.highestGeneration('a'), 100)
        t.equal(await tx.desired.highestGeneration('b'), 901)
        t.equal(await tx.desired.highestGeneration('c'), 100, 'a node that had none')
        await t.rejects(put(tx, 'a', 200), { code: 'epoch-outdated' }, 'of a process before it')
        await t.rejects(put(tx, 'a', 200, 99), { code: 'epoch-outdated' })
        await t.rejects(put(tx, 'a', 99, 100), { code: 'generation-conflict' })
        await put(tx, 'a', 101, 100)
        t.same((await tx.desired.get('a'))?.state, sealed('a', 101, 100))
        t.same((await tx.desired.get('b'))?.state, sealed('b', 900), 'until it is given anew')
        await t.rejects(tx.desired.beginEpoch(100))
      })
    },
  )

  check('after a restore no token is good, and every next report counts', async (t, store) => {
    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('a'))
      await tx.tokens.insert({ ...sampleToken('t1', 'a'), expiresAtMs: T0 + 50 })
      await tx.tokens.insert({ ...sampleToken('t2', 'a'), expiresAtMs: T0 + 5 })
      const report = (sequence: number) => ({
        node: 'a',
        report: sampleReport({ sequence }),
        receivedAtMs: T0,
      })
      await tx.reports.put(report(9))

      await tx.tokens.expireAll(T0 + 10)
      await tx.reports.restartAll()

      t.equal((await tx.tokens.get('t1'))?.expiresAtMs, T0 + 10)
      t.equal((await tx.tokens.get('t2'))?.expiresAtMs, T0 + 5)
      t.equal(await tx.reports.put(report(2)), true)
      t.equal(await tx.reports.put(report(2)), false)
    })
  })
}

export function checkDesired(check: Check): void {
  check(
    'a desired state needs a generation above every one before, and comes back sealed',
    async (t, store) => {
      const sealed = (generation: number, variant: number) =>
        sealDesiredState({
          node: 'a',
          generation,
          mode: 'stage',
          permit: true,
          content: sampleContent('a', variant),
        })
      await store.transaction(tx => tx.nodes.insert(sampleNode('a')))

      await store.transaction(async tx => {
        t.equal(await tx.desired.highestGeneration('a'), 0)
        t.equal(await tx.desired.get('a'), undefined)
        await tx.desired.put({ state: sealed(2, 1), revision: undefined })
        for (const generation of [1, 2]) {
          const put = tx.desired.put({ state: sealed(generation, 2), revision: 2 })
          await t.rejects(put, { code: 'generation-conflict' })
        }
        t.same(await tx.desired.get('a'), { state: sealed(2, 1), revision: undefined })
        await tx.desired.put({ state: sealed(5, 2), revision: 2 })
      })

      await store.transaction(async tx => {
        t.same(await tx.desired.get('a'), { state: sealed(5, 2), revision: 2 })
        t.equal(await tx.desired.highestGeneration('a'), 5)
        const { contentDigest } = sealed(5, 2)
        const head = { node: 'a', mode: 'stage', contentDigest }
        t.same(await tx.desired.heads({ limit: 9 }), [head])
        t.same(await tx.desired.heads({ after: 'a', limit: 9 }), [])
        const old = await tx.desired.published('a', sealed(2, 1).contentDigest)
        t.same(old, { content: sampleContent('a', 1), revision: undefined })
        t.equal(await tx.desired.published('b', sealed(2, 1).contentDigest), undefined)
        const stranger = sealDesiredState({ ...sealed(1, 1), node: 'nobody' })
        await t.rejects(tx.desired.put({ state: stranger, revision: 1 }), { code: 'not-found' })
      })
    },
  )
}
