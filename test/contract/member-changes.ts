// What a store tells of changes of members: never too few, also of what was taken back.

import type { Test } from 'tap'
import type { Store, Transaction } from '../../controller/store/store.ts'
import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { sampleContent, sampleNode, sampleReport, T0 } from './samples.ts'

export async function memberChangesContract(t: Test, open: () => Promise<Store>): Promise<void> {
  const store = await open()
  t.teardown(() => store.close())
  let cursor: number | undefined
  const told = () =>
    store.transaction(async tx => {
      const changes = await tx.rollouts.changedSince(cursor)
      cursor = changes.cursor
      return changes.nodes
    })
  const after = async (work: (tx: Transaction) => Promise<unknown>) => {
    await store.transaction(work)
    return told()
  }
  const document = (node: string, generation: number) => {
    const content = sampleContent(node)
    return sealDesiredState({ node, generation, mode: 'stage', permit: false, content })
  }

  t.equal(await told(), undefined, 'who has not looked yet looks at all')
  t.strictSame(await after(tx => tx.nodes.insert(sampleNode('a'))), ['a'])
  t.strictSame(await after(tx => tx.nodes.insert(sampleNode('b'))), ['b'])
  t.strictSame(await after(tx => tx.nodes.setEnrolled('a', T0)), ['a'])
  t.strictSame(await after(tx => tx.nodes.setSeen(['a', 'b'], T0)), [], 'nobody decides by it')
  t.strictSame(await after(tx => tx.desired.put({ state: document('a', 1), revision: 1 })), ['a'])
  const report = (sequence: number) => {
    return { node: 'b', receivedAtMs: T0, report: sampleReport({ sequence }) }
  }
  t.strictSame(await after(tx => tx.reports.put(report(2))), ['b'])
  t.strictSame(await after(tx => tx.reports.put(report(1))), [], 'an older one is not kept')
  t.strictSame(await after(tx => tx.nodes.remove('b', T0)), ['b'])
  t.equal(await after(tx => tx.desired.beginEpoch(5)), undefined, 'generations of all')

  const failed = store.transaction(async tx => {
    await tx.desired.put({ state: { ...document('a', 9), epoch: 5 }, revision: 1 })
    const changes = await tx.rollouts.changedSince(cursor)
    cursor = changes.cursor
    t.strictSame(changes.nodes, ['a'], 'within the transaction')
    throw new Error('it comes to nothing')
  })
  await t.rejects(failed)
  t.strictSame(await told(), ['a'], 'told again, as it is not so')
}

/** What a store tells of nodes that groups are made from. */
export async function nodeChangesContract(t: Test, open: () => Promise<Store>): Promise<void> {
  const store = await open()
  t.teardown(() => store.close())
  let cursor: number | undefined
  const look = async (tx: Transaction) => {
    const changes = await tx.nodes.changedSince(cursor)
    cursor = changes.cursor
    return changes.nodes
  }
  const after = async (work: (tx: Transaction) => Promise<unknown>) => {
    await store.transaction(work)
    return store.transaction(look)
  }
  const give = (generation: number, revision: number | undefined) => (tx: Transaction) => {
    const content = sampleContent('a')
    const document = { node: 'a', generation, mode: 'stage', permit: false, content } as const
    return tx.desired.put({ state: sealDesiredState(document), revision })
  }

  t.equal(await store.transaction(look), undefined, 'who has not looked yet looks at all')
  t.strictSame(await after(tx => tx.nodes.insert(sampleNode('a'))), ['a'])
  t.strictSame(await after(tx => tx.nodes.setEnrolled('a', T0)), [], 'its groups are the same')
  t.strictSame(await after(give(1, 1)), ['a'])
  t.strictSame(await after(give(2, 1)), [], 'of the same revision')
  t.strictSame(await after(give(3, 2)), ['a'])
  t.strictSame(await after(give(4, undefined)), ['a'])
  const report = { node: 'a', receivedAtMs: T0, report: sampleReport() }
  t.strictSame(await after(tx => tx.reports.put(report)), [])
  const recorded = { labels: { role: 'web' }, names: { dns: ['a'], ip: [] } }
  t.strictSame(await after(tx => tx.nodes.change('a', recorded)), ['a'])
  t.match(await store.transaction(tx => tx.nodes.get('a')), recorded)
  const stranger = store.transaction(tx => tx.nodes.change('nobody', recorded))
  await t.rejects(stranger, { code: 'not-found' })

  const failed = store.transaction(async tx => {
    await tx.nodes.remove('a', T0)
    t.strictSame(await look(tx), ['a'], 'within the transaction')
    throw new Error('it comes to nothing')
  })
  await t.rejects(failed)
  t.strictSame(await store.transaction(look), ['a'], 'told again, as it is not so')
  t.strictSame(await after(tx => tx.nodes.remove('a', T0)), ['a'])
}
