// What every implementation of the Store interface must do. Each passes this suite.

import type { Test } from 'tap'
import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { sha256 } from '../../shared/digest.ts'
import type { LeafRecord, Store, Transaction } from '../../controller/store/store.ts'
import { checkAcme } from './acme.ts'
import { checkAudit } from './audit.ts'
import { checkAuthorities } from './authorities.ts'
import { checkDebts } from './debts.ts'
import { checkDesired, checkEpoch } from './desired.ts'
import { checkEnrolment } from './enrolment.ts'
import { checkSuccession } from './identities.ts'
import { checkNodeHistory } from './node-history.ts'
import { checkNotifications } from './notifications.ts'
import { checkOperators } from './operators.ts'
import { checkPreviews } from './previews.ts'
import { checkProvided } from './provided.ts'
import { checkRequests } from './requests.ts'
import { checkRollouts } from './rollouts.ts'
import { checkRotations } from './rotations.ts'
import { checkSealed } from './sealed.ts'
import { checkSections } from './sections.ts'
import { checkSelfSigned } from './self-signed.ts'
import {
  sampleContent,
  sampleIdentity,
  sampleNode,
  sampleReport,
  sampleToken,
  T0,
} from './samples.ts'

/** `open` gives a new, empty store each time; the suite closes it. */
export async function storeConformance(t: Test, open: () => Promise<Store>): Promise<void> {
  const checks: [string, Body][] = []
  const check: Check = (name, body) => checks.push([name, body])
  checkTransactions(check)
  checkSmallTables(check)
  checkAuthorities(check)
  checkNodes(check)
  checkEnrolment(check)
  checkSuccession(check)
  checkProvided(check)
  checkPreviews(check)
  checkSections(check)
  checkDebts(check)
  checkSelfSigned(check)
  checkRequests(check)
  checkNodeHistory(check)
  checkRotations(check)
  checkAcme(check)
  checkSealed(check)
  checkNotifications(check)
  checkOperators(check)
  checkRevisions(check)
  checkDesired(check)
  checkEpoch(check)
  checkReportsAndLeaves(check)
  checkRollouts(check)
  checkAudit(check)
  for (const [name, body] of checks) {
    await t.test(name, async t => {
      const store = await open()
      t.teardown(() => store.close())
      await body(t, store)
    })
  }
}

type Body = (t: Test, store: Store) => Promise<void>
export type Check = (name: string, body: Body) => void

function checkTransactions(check: Check): void {
  check('a transaction that fails leaves nothing behind and keeps its error', async (t, store) => {
    const mistake = new Error('mistake')

    const failed = store.transaction(async tx => {
      await tx.settings.set('fleet', 'lost')
      await tx.nodes.insert(sampleNode('lost'))
      await tx.audit.append({ atMs: T0, actor: 'ada', action: 'node-add', subject: 'lost' })
      throw mistake
    })

    t.equal(await failed.catch(error => error), mistake)
    await store.transaction(async tx => {
      t.equal(await tx.settings.get('fleet'), undefined)
      t.equal(await tx.nodes.get('lost'), undefined)
      t.same(await tx.audit.list({ after: 0, limit: 10 }), [])
    })
  })

  check('transactions run one after the other, also when started at once', async (t, store) => {
    const increment = async (tx: Transaction) => {
      const value = Number((await tx.settings.get('counter')) ?? '0')
      await Promise.resolve()
      await tx.settings.set('counter', `${value + 1}`)
    }

    await Promise.all(Array.from({ length: 200 }, () => store.transaction(increment)))

    t.equal(await store.transaction(tx => tx.settings.get('counter')), '200')
  })

  check('a store that is closed refuses, and lets what was under way finish', async (t, store) => {
    const last = store.transaction(tx => tx.settings.set('fleet', 'one'))

    await store.close()
    await store.close()

    await last
    await t.rejects(
      store.transaction(tx => tx.settings.get('fleet')),
      { code: 'store-closed' },
    )
  })
}

function checkSmallTables(check: Check): void {
  check('settings and credentials come back as they went in', async (t, store) => {
    const credential = (id: string, expiresAtMs: number | undefined) =>
      ({
        id,
        name: 'ada',
        role: 'admin',
        secretHash: sha256(id),
        createdAtMs: T0,
        createdBy: 'bob',
        expiresAtMs,
        lastUsedAtMs: undefined,
      }) as const

    await store.transaction(async tx => {
      t.equal(await tx.settings.get('fleet'), undefined)
      await tx.settings.set('fleet', 'one')
      await tx.settings.set('fleet', 'two')
      await tx.credentials.insert(credential('b', undefined))
      await tx.credentials.insert(credential('a', T0 + 1))
    })

    await store.transaction(async tx => {
      t.equal(await tx.settings.get('fleet'), 'two')
      t.same(await tx.credentials.get('a'), credential('a', T0 + 1))
      t.same(await tx.credentials.list(), [credential('b', undefined), credential('a', T0 + 1)])
      await tx.credentials.touch('a', T0 + 5)
      t.match(await tx.credentials.get('a'), { lastUsedAtMs: T0 + 5 })
      t.equal(await tx.credentials.remove('a'), true)
      t.equal(await tx.credentials.remove('a'), false)
      t.equal(await tx.credentials.get('a'), undefined)
    })
  })

  check(
    'a lease is one per group and node, and changes with the generation only',
    async (t, store) => {
      const lease = {
        group: 'raft',
        node: 'a',
        purpose: 'rollout',
        generation: 3,
        takenAtMs: T0,
        takenTimeMs: 0,
        takenSequence: 0,
      } as const

      await store.transaction(async tx => {
        await tx.leases.take(lease)
        await tx.leases.take({ ...lease, takenAtMs: T0 + 5 })
        await tx.leases.take({ ...lease, node: 'b' })
        await tx.leases.take({ ...lease, group: 'other' })
        t.same(await tx.leases.list('raft'), [lease, { ...lease, node: 'b' }])
        await tx.leases.take({ ...lease, generation: 4, takenAtMs: T0 + 9 })
        await tx.leases.release('raft', 'b')
        await tx.leases.release('raft', 'b')
        t.same(await tx.leases.list('raft'), [{ ...lease, generation: 4, takenAtMs: T0 + 9 }])
        t.same(await tx.leases.list('none'), [])
      })
    },
  )
}

function checkNodes(check: Check): void {
  check('nodes are kept, paged by name, and updated', async (t, store) => {
    await store.transaction(async tx => {
      for (const name of ['c', 'a', 'b', 'd']) await tx.nodes.insert(sampleNode(name))
      await t.rejects(tx.nodes.insert(sampleNode('a')), { code: 'already-exists' })
      await tx.nodes.setEnrolled('a', T0 + 1)
      await tx.nodes.setSeen(['a', 'b', 'nobody'], T0 + 2)
      await t.rejects(tx.nodes.setEnrolled('nobody', T0), { code: 'not-found' })
    })

    await store.transaction(async tx => {
      t.same(await tx.nodes.get('a'), {
        ...sampleNode('a'),
        enrolledAtMs: T0 + 1,
        seenAtMs: T0 + 2,
      })
      t.same(await tx.nodes.get('c'), sampleNode('c'))
      const first = await tx.nodes.list({ limit: 2 })
      t.same(
        first.map(node => node.name),
        ['a', 'b'],
      )
      const second = await tx.nodes.list({ after: 'b', limit: 5 })
      t.same(
        second.map(node => node.name),
        ['c', 'd'],
      )
    })
  })

  check(
    'removing a node takes all that is its own, denies its identities, keeps its generation',
    async (t, store) => {
      const state = sealDesiredState({
        node: 'a',
        generation: 7,
        mode: 'enforce',
        permit: false,
        content: sampleContent('a'),
      })
      await store.transaction(async tx => {
        await tx.nodes.insert(sampleNode('a'))
        await tx.tokens.insert(sampleToken('t1', 'a'))
        await tx.identities.insert(sampleIdentity('1', 'a', 'key'))
        await tx.desired.put({ state, revision: 1 })
        await tx.reports.put({ node: 'a', report: sampleReport(), receivedAtMs: T0 })
        await tx.leaves.insert(sampleLeaf('1', 'a', 'leaf-key'))
      })

      await store.transaction(async tx => {
        t.equal(await tx.nodes.remove('a', T0 + 5), true)
        t.equal(await tx.nodes.remove('a', T0 + 6), false)
      })

      await store.transaction(async tx => {
        t.equal(await tx.nodes.get('a'), undefined)
        t.equal(await tx.tokens.get('t1'), undefined)
        t.equal(await tx.desired.get('a'), undefined)
        t.equal(await tx.desired.published('a', state.contentDigest), undefined)
        t.equal(await tx.reports.get('a'), undefined)
        t.same(await tx.leaves.listByNode('a'), [])
        t.same(await tx.identities.denied(T0), [{ fingerprint: sha256('1'), cause: 'removed' }])
        t.match(await tx.identities.get(sha256('1')), { deniedAtMs: T0 + 5, deniedFor: 'removed' })
        t.equal(await tx.desired.highestGeneration('a'), 7)

        await tx.nodes.insert(sampleNode('a'))
        await t.rejects(tx.desired.put({ state, revision: 1 }), { code: 'generation-conflict' })
      })
    },
  )
}

function checkRevisions(check: Check): void {
  check('revisions are numbered without gaps, a failed one included', async (t, store) => {
    const insert = (text: string) =>
      store.transaction(tx =>
        tx.revisions.insert({ digest: sha256(text), text, author: 'ada', createdAtMs: T0 }),
      )

    t.equal(await store.transaction(tx => tx.revisions.latest()), undefined)
    t.equal((await insert('one')).number, 1)
    const failed = store.transaction(async tx => {
      await tx.revisions.insert({ digest: sha256('x'), text: 'x', author: 'ada', createdAtMs: T0 })
      throw new Error('undone')
    })
    await t.rejects(failed, { message: 'undone' })
    await Promise.all([insert('two'), insert('three'), insert('four')])

    await store.transaction(async tx => {
      t.equal((await tx.revisions.latest())?.number, 4)
      t.equal((await tx.revisions.get(1))?.text, 'one')
      t.equal(await tx.revisions.get(9), undefined)
      const newest = await tx.revisions.list({ limit: 2 })
      t.same(
        newest.map(revision => revision.number),
        [4, 3],
      )
      const older = await tx.revisions.list({ before: 3, limit: 9 })
      t.same(
        older.map(revision => revision.number),
        [2, 1],
      )
    })
  })
}

function checkReportsAndLeaves(check: Check): void {
  check('a report counts only with a sequence above the last', async (t, store) => {
    const record = (node: string, sequence: number) => ({
      node,
      report: sampleReport({ sequence }),
      receivedAtMs: T0 + sequence,
    })

    await store.transaction(async tx => {
      for (const name of ['a', 'b', 'c']) await tx.nodes.insert(sampleNode(name))
      t.equal(await tx.reports.put(record('a', 5)), true)
      t.equal(await tx.reports.put(record('a', 5)), false)
      t.equal(await tx.reports.put(record('a', 4)), false)
      t.same(await tx.reports.get('a'), record('a', 5))
      t.equal(await tx.reports.put(record('a', 6)), true)
      t.equal(await tx.reports.put(record('c', 1)), true)
      t.same(await tx.reports.list({ limit: 9 }), [record('a', 6), record('c', 1)])
      t.same(await tx.reports.list({ after: 'a', limit: 9 }), [record('c', 1)])
      t.equal(await tx.reports.get('b'), undefined)
      await t.rejects(tx.reports.put(record('nobody', 1)), { code: 'not-found' })
    })
  })

  check('leaves are found by node, service and key', async (t, store) => {
    const old = sampleLeaf('1', 'a', 'k')
    const recent = { ...sampleLeaf('2', 'a', 'k'), issuedAtMs: T0 + 1 }

    await store.transaction(async tx => {
      for (const name of ['a', 'b']) await tx.nodes.insert(sampleNode(name))
      await tx.leaves.insert(recent)
      await tx.leaves.insert(old)
      await t.rejects(tx.leaves.insert(old), { code: 'already-exists' })

      t.same(await tx.leaves.findByKey('a', 'influxdb', sha256('k')), recent)
      t.equal(await tx.leaves.findByKey('a', 'prometheus', sha256('k')), undefined)
      t.equal(await tx.leaves.keyUsedByOther('a', 'influxdb', sha256('k')), false)
      t.equal(await tx.leaves.keyUsedByOther('a', 'prometheus', sha256('k')), true)
      t.equal(await tx.leaves.keyUsedByOther('b', 'influxdb', sha256('k')), true)
      t.same(await tx.leaves.listByNode('a'), [old, recent])
    })
  })
}

function sampleLeaf(serial: string, node: string, key: string): LeafRecord {
  return {
    fingerprint: sha256(serial),
    serial,
    node,
    service: 'influxdb',
    publicKeyDigest: sha256(key),
    certificateChain: 'chain',
    notBeforeMs: T0,
    notAfterMs: T0 + 100,
    issuedAtMs: T0,
  }
}
