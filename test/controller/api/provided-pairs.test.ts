// Which versions of uploaded pairs are kept, and for how long.

import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createPublishedUses, forgetOldPairs } from '../../../controller/api/provided-pairs.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import type { ProvidedRecord, Store } from '../../../controller/store/store.ts'
import {
  contentDigestOf,
  type DesiredContent,
  sealDesiredState,
} from '../../../shared/contract/desired-state.ts'
import { isServer } from '../../../shared/contract/service.ts'
import { sha256 } from '../../../shared/digest.ts'
import { sampleContent, sampleNode, T0, nowAt, planOf } from '../../contract/samples.ts'

const HOUR_MS = 3_600_000

function version(leaf: string, uploadedAtMs: number, name = 'wildcard'): ProvidedRecord {
  const fingerprint = sha256(leaf)
  const sealed = { certificateChain: leaf, trust: '', keySealed: '{}' }
  return { name, fingerprint, ...sealed, uploadedAtMs, uploadedBy: 'ada' }
}

function content(leaf: string): DesiredContent {
  const provided = { name: 'wildcard', fingerprint: sha256(leaf) }
  return {
    services: sampleContent('n1').services.map(tls =>
      isServer(tls)
        ? { ...tls, certificate: { ...tls.certificate, issuer: 'provided', provided } }
        : tls,
    ),
  }
}

async function storeOf(test: Test): Promise<Store> {
  const path = join(test.testdir({}), 'controller.db')
  const store = await openSqliteStore({ path, busyTimeoutMs: 1_000 })
  test.teardown(() => store.close())
  return store
}

await t.test(
  'a previous version goes when no node has it and its successor has settled',
  async t => {
    const store = await storeOf(t)
    const published = createPublishedUses()
    let generation = 0
    const publish = (leaf: string) =>
      store.transaction(async tx => {
        generation++
        const state = { node: 'n1', generation, mode: 'enforce', permit: false } as const
        const revision = undefined
        await tx.desired.put({
          state: sealDesiredState({ ...state, content: content(leaf) }),
          revision,
        })
      })
    const forget = (atMs: number) => store.transaction(tx => forgetOldPairs(tx, published, atMs))
    const left = async () =>
      (await store.transaction(tx => tx.provided.list())).map(one => one.certificateChain)

    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('n1'))
      await tx.provided.put(version('other', T0, 'other'))
      for (const [index, leaf] of ['1', '2', '3'].entries())
        await tx.provided.put(version(leaf, T0 + index))
    })
    await publish('1')

    t.equal(await forget(T0 + HOUR_MS), 0, 'who compiled a moment ago may still need them')
    t.equal(await forget(T0 + HOUR_MS + 2), 1)
    t.strictSame(await left(), ['other', '3', '1'], 'the one in use and the current ones')
    t.equal(await forget(T0 + 9 * HOUR_MS), 0)
    await publish('3')

    await store.transaction(tx =>
      tx.rollouts.insert({
        id: 'r1',
        plan: planOf({
          revision: 1,
          author: 'ada',
          nodes: [
            {
              node: 'n1',
              from: contentDigestOf(content('1')),
              to: contentDigestOf(content('3')),
              content: content('3'),
            },
          ],
        }),
        events: [{ kind: 'planned', ...nowAt() }],
        atMs: T0,
      }),
    )
    t.equal(await forget(T0 + 9 * HOUR_MS), 0, 'a rollout may bring it back')
    t.strictSame(await left(), ['other', '3', '1'])
  },
)

await t.test('without a rollout it goes as soon as the last node has another one', async t => {
  const store = await storeOf(t)
  await store.transaction(async tx => {
    for (const leaf of ['1', '2']) await tx.provided.put(version(leaf, T0))
  })
  const published = createPublishedUses()
  t.equal(await store.transaction(tx => forgetOldPairs(tx, published, T0 + HOUR_MS)), 1)
})
