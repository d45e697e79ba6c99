// What every implementation of the Store interface must do. Each passes this suite.

import type { Test } from 'tap'
import { sealDesiredState } from '../../shared/contract/desired-state.ts'
import { sha256 } from '../../shared/digest.ts'
import { verifyAudit } from '../../controller/store/audit-chain.ts'
import { evolveAll, startRollout } from '../../controller/rollout/evolve.ts'
import type { RolloutEvent } from '../../controller/rollout/rollout.ts'
import type {
  EnrollmentTokenRecord,
  IdentityRecord,
  LeafRecord,
  Store,
  Transaction,
} from '../../controller/store/store.ts'
import {
  sampleContent,
  sampleNode,
  samplePlan,
  samplePlannedNode,
  sampleReport,
  T0,
} from './samples.ts'

/** `open` gives a new, empty store each time; the suite closes it. */
export async function storeConformance(t: Test, open: () => Promise<Store>): Promise<void> {
  const checks: [string, Body][] = []
  const check: Check = (name, body) => checks.push([name, body])
  checkTransactions(check)
  checkSmallTables(check)
  checkNodes(check)
  checkEnrolment(check)
  checkRevisions(check)
  checkDesired(check)
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
type Check = (name: string, body: Body) => void

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
  check('settings, authorities and credentials come back as they went in', async (t, store) => {
    const authority = {
      kind: 'identity',
      rootCertificate: 'root',
      intermediateCertificate: 'intermediate',
      rootKeySealed: 'sealed 1',
      intermediateKeySealed: 'sealed 2',
      createdAtMs: T0,
    } as const
    const credential = (id: string, expiresAtMs: number | undefined) =>
      ({
        id,
        name: 'ada',
        role: 'admin',
        secretHash: sha256(id),
        createdAtMs: T0,
        expiresAtMs,
      }) as const

    await store.transaction(async tx => {
      t.equal(await tx.settings.get('fleet'), undefined)
      await tx.settings.set('fleet', 'one')
      await tx.settings.set('fleet', 'two')
      t.equal(await tx.authorities.get('identity'), undefined)
      await tx.authorities.insert(authority)
      await t.rejects(tx.authorities.insert(authority), { code: 'already-exists' })
      await tx.credentials.insert(credential('b', undefined))
      await tx.credentials.insert(credential('a', T0 + 1))
    })

    await store.transaction(async tx => {
      t.equal(await tx.settings.get('fleet'), 'two')
      t.same(await tx.authorities.get('identity'), authority)
      t.equal(await tx.authorities.get('service'), undefined)
      t.same(await tx.credentials.get('a'), credential('a', T0 + 1))
      t.same(await tx.credentials.list(), [credential('b', undefined), credential('a', T0 + 1)])
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
        t.same(await tx.identities.denied(T0), [sha256('1')])
        t.equal((await tx.identities.get(sha256('1')))?.deniedAtMs, T0 + 5)
        t.equal(await tx.desired.highestGeneration('a'), 7)

        await tx.nodes.insert(sampleNode('a'))
        await t.rejects(tx.desired.put({ state, revision: 1 }), { code: 'generation-conflict' })
      })
    },
  )
}

function checkEnrolment(check: Check): void {
  check(
    'of a thousand keys that redeem a token at once, exactly one wins, and may come again',
    async (t, store) => {
      await store.transaction(async tx => {
        await tx.nodes.insert(sampleNode('a'))
        await tx.tokens.insert(sampleToken('t1', 'a'))
        await t.rejects(tx.tokens.insert(sampleToken('t1', 'a')), { code: 'already-exists' })
        await t.rejects(tx.tokens.insert(sampleToken('t2', 'nobody')), { code: 'not-found' })
      })
      const keys = Array.from({ length: 1_000 }, (_, index) => sha256(`key ${index}`))

      const won = await Promise.all(
        keys.map(key => store.transaction(tx => tx.tokens.redeem('t1', key))),
      )

      t.equal(won.filter(Boolean).length, 1)
      const winner = keys[won.indexOf(true)] ?? ''
      await store.transaction(async tx => {
        t.equal((await tx.tokens.get('t1'))?.redeemedBy, winner)
        t.equal(await tx.tokens.redeem('t1', winner), true)
        t.equal(await tx.tokens.redeem('t1', sha256('late')), false)
        t.equal(await tx.tokens.redeem('none', winner), false)
      })
    },
  )

  check(
    'identities are found by key, the newest first, and denied until they end',
    async (t, store) => {
      await store.transaction(async tx => {
        await tx.identities.insert(
          sampleIdentity('1', 'a', 'k', { issuedAtMs: T0, notAfterMs: T0 + 10 }),
        )
        await tx.identities.insert(
          sampleIdentity('2', 'a', 'k', { issuedAtMs: T0 + 1, notAfterMs: T0 + 20 }),
        )
        await tx.identities.insert(sampleIdentity('3', 'b', 'other'))
        await t.rejects(tx.identities.insert(sampleIdentity('3', 'b', 'x')), {
          code: 'already-exists',
        })

        t.equal((await tx.identities.findByKey('a', sha256('k')))?.fingerprint, sha256('2'))
        t.equal(await tx.identities.findByKey('b', sha256('k')), undefined)
        t.equal(await tx.identities.keyUsedByOther('a', sha256('k')), false)
        t.equal(await tx.identities.keyUsedByOther('b', sha256('k')), true)

        t.same(await tx.identities.denied(T0), [])
        await tx.identities.deny('a', T0 + 3)
        await tx.identities.deny('a', T0 + 4)
        t.same(await tx.identities.denied(T0 + 5), [sha256('1'), sha256('2')])
        t.same(await tx.identities.denied(T0 + 20), [sha256('2')])
        t.same(await tx.identities.denied(T0 + 21), [])
        t.equal((await tx.identities.get(sha256('1')))?.deniedAtMs, T0 + 3)
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

function checkDesired(check: Check): void {
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
        const old = await tx.desired.published('a', sealed(2, 1).contentDigest)
        t.same(old, { content: sampleContent('a', 1), revision: undefined })
        t.equal(await tx.desired.published('b', sealed(2, 1).contentDigest), undefined)
        const stranger = sealDesiredState({ ...sealed(1, 1), node: 'nobody' })
        await t.rejects(tx.desired.put({ state: stranger, revision: 1 }), { code: 'not-found' })
      })
    },
  )
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

function checkRollouts(check: Check): void {
  const planned: RolloutEvent = { kind: 'planned', atMs: T0 }
  const started: RolloutEvent = { kind: 'started', atMs: T0 + 1 }
  const assigned = (node: string): RolloutEvent => ({
    kind: 'node-assigned',
    node,
    generation: 1,
    atMs: T0 + 2,
  })
  const refused: RolloutEvent = {
    kind: 'node-refused',
    node: 'a',
    reason: { code: 'file-missing', message: 'there is no file' },
    atMs: T0 + 3,
  }
  const addNodes = (store: Store) =>
    store.transaction(async tx => {
      for (const name of ['a', 'b', 'c']) await tx.nodes.insert(sampleNode(name))
    })

  check('a rollout is the fold of its events, whichever way it is read', async (t, store) => {
    await addNodes(store)
    const plan = {
      revision: 3,
      author: 'ada',
      nodes: [samplePlannedNode('b'), samplePlannedNode('a', 2, sha256('old'))],
    }
    const inserted = await store.transaction(tx =>
      tx.rollouts.insert({ id: 'r1', plan, events: [planned, started], atMs: T0 }),
    )
    t.equal(inserted.version, 2)

    const later = [assigned('b'), assigned('a'), refused]
    const appended = await store.transaction(tx => tx.rollouts.append('r1', 2, later, T0 + 9))

    const folded = evolveAll(startRollout('r1', plan, planned), [started, ...later])
    await store.transaction(async tx => {
      t.strictSame(appended, folded)
      t.strictSame(await tx.rollouts.get('r1'), folded)
      t.strictSame(await tx.rollouts.list({ limit: 5 }), [folded])
      const events = await tx.rollouts.events('r1', { after: 1, limit: 2 })
      t.same(events, [
        { version: 2, atMs: T0, event: started },
        { version: 3, atMs: T0 + 9, event: assigned('b') },
      ])
      t.equal(await tx.rollouts.get('none'), undefined)
    })
  })

  check(
    'of two that append to the same version one wins, and the other learns that it may try again',
    async (t, store) => {
      await addNodes(store)
      await store.transaction(tx =>
        tx.rollouts.insert({ id: 'r1', plan: samplePlan(['a']), events: [planned], atMs: T0 }),
      )
      const append = () => store.transaction(tx => tx.rollouts.append('r1', 1, [started], T0))

      const results = await Promise.allSettled([append(), append(), append()])

      t.same(
        results.map(result => result.status),
        ['fulfilled', 'rejected', 'rejected'],
      )
      await t.rejects(append(), { code: 'version-conflict', retryable: true })
      const unknown = store.transaction(tx => tx.rollouts.append('none', 0, [started], T0))
      await t.rejects(unknown, { code: 'not-found' })
      const illegal = store.transaction(tx => tx.rollouts.append('r1', 2, [started], T0))
      await t.rejects(illegal, { name: 'IllegalTransition' })
      await store.transaction(async tx => {
        t.equal((await tx.rollouts.get('r1'))?.version, 2)
        t.equal((await tx.rollouts.events('r1', { after: 0, limit: 9 })).length, 2)
      })
    },
  )

  check(
    'a node is in one active rollout at a time; ended ones free their nodes',
    async (t, store) => {
      await addNodes(store)
      const insert = (id: string, names: readonly string[]) =>
        store.transaction(tx =>
          tx.rollouts.insert({ id, plan: samplePlan(names), events: [planned], atMs: T0 }),
        )
      await insert('r1', ['a', 'b'])
      await t.rejects(insert('r2', ['c', 'b']), { code: 'overlapping-rollout' })
      await insert('r3', ['c'])
      const reason = { code: 'operator', message: 'not today' }

      await store.transaction(tx =>
        tx.rollouts.append(
          'r1',
          1,
          [
            { kind: 'draining', toward: 'aborted', reason, atMs: T0 },
            { kind: 'ended', status: 'aborted', atMs: T0 },
          ],
          T0,
        ),
      )
      await insert('r4', ['b', 'a'])

      await store.transaction(async tx => {
        const ids = async (list: Promise<readonly { readonly id: string }[]>) =>
          (await list).map(rollout => rollout.id)
        t.same(await ids(tx.rollouts.active()), ['r3', 'r4'])
        t.same(await ids(tx.rollouts.list({ limit: 9 })), ['r4', 'r3', 'r1'])
        t.same(await ids(tx.rollouts.list({ limit: 1 })), ['r4'])
        t.same((await tx.rollouts.get('r1'))?.reason, reason)
      })
    },
  )

  check(
    'the members of a rollout are its nodes that are in the fleet, with what is known of them',
    async (t, store) => {
      await addNodes(store)
      const state = sealDesiredState({
        node: 'b',
        generation: 4,
        mode: 'enforce',
        permit: true,
        content: sampleContent('b'),
      })
      const report = sampleReport({
        generation: 4,
        digest: state.digest,
        outcome: 'changed',
        activations: 1,
      })
      await store.transaction(async tx => {
        await tx.desired.put({ state, revision: 1 })
        await tx.reports.put({ node: 'b', report, receivedAtMs: T0 + 3 })
        await tx.nodes.setEnrolled('b', T0 + 1)
        await tx.nodes.setSeen(['b'], T0 + 2)
        await tx.rollouts.insert({
          id: 'r1',
          plan: samplePlan(['c', 'b', 'a']),
          events: [planned],
          atMs: T0,
        })
        await tx.nodes.remove('a', T0)

        t.same(await tx.rollouts.members('r1'), [
          {
            node: 'c',
            enrolledAtMs: undefined,
            seenAtMs: undefined,
            desired: undefined,
            highestGeneration: 0,
            report: undefined,
          },
          {
            node: 'b',
            enrolledAtMs: T0 + 1,
            seenAtMs: T0 + 2,
            desired: { generation: 4, digest: state.digest, contentDigest: state.contentDigest },
            highestGeneration: 4,
            report: {
              receivedAtMs: T0 + 3,
              observedGeneration: 4,
              observedDigest: state.digest,
              services: [
                {
                  service: 'prometheus',
                  outcome: 'changed',
                  reason: { code: 'changed', message: 'the service is changed' },
                  activations: 1,
                },
              ],
            },
          },
        ])
      })
    },
  )
}

function checkAudit(check: Check): void {
  check('audit entries make a chain, each event of a rollout is one of them', async (t, store) => {
    const reason = { code: 'operator', message: 'because' }
    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('a'))
      await tx.audit.append({ atMs: T0, actor: 'ada', action: 'node-add', subject: 'a', reason })
      const events = [
        { kind: 'planned', atMs: T0 } as const,
        { kind: 'started', atMs: T0 } as const,
      ]
      await tx.rollouts.insert({ id: 'r1', plan: samplePlan(['a']), events, atMs: T0 + 1 })
      const assigned = { kind: 'node-assigned', node: 'a', generation: 1, atMs: T0 } as const
      await tx.rollouts.append('r1', 2, [assigned], T0 + 2)
    })

    const records = await store.transaction(tx => tx.audit.list({ after: 0, limit: 10 }))

    t.same(
      records.map(({ hash: _hash, ...rest }) => rest),
      [
        { sequence: 1, atMs: T0, actor: 'ada', action: 'node-add', subject: 'a', reason },
        {
          sequence: 2,
          atMs: T0 + 1,
          actor: 'ada',
          action: 'rollout-planned',
          subject: 'r1',
          reason: undefined,
        },
        {
          sequence: 3,
          atMs: T0 + 1,
          actor: 'controller',
          action: 'rollout-started',
          subject: 'r1',
          reason: undefined,
        },
        {
          sequence: 4,
          atMs: T0 + 2,
          actor: 'controller',
          action: 'rollout-node-assigned',
          subject: 'r1/a',
          reason: undefined,
        },
      ],
    )
    t.same(verifyAudit(records), { kind: 'intact' })
    const tail = await store.transaction(tx => tx.audit.list({ after: 2, limit: 10 }))
    t.same(verifyAudit(tail, records[1]), { kind: 'intact' })
    for (const [index, record] of records.entries()) {
      const forged = records.with(index, { ...record, subject: 'b' })
      t.same(verifyAudit(forged), { kind: 'broken', sequence: index + 1 })
      const removed = records.toSpliced(index, 1)
      const first = index === records.length - 1 ? 'intact' : 'broken'
      t.equal(verifyAudit(removed).kind, first)
    }
  })
}

function sampleToken(id: string, node: string): EnrollmentTokenRecord {
  return {
    id,
    node,
    secretHash: sha256(id),
    expiresAtMs: T0 + 3_600_000,
    redeemedBy: undefined,
    createdAtMs: T0,
  }
}

function sampleIdentity(
  fingerprint: string,
  node: string,
  key: string,
  times: Partial<IdentityRecord> = {},
): IdentityRecord {
  return {
    fingerprint: sha256(fingerprint),
    node,
    publicKeyDigest: sha256(key),
    certificateChain: 'chain',
    notAfterMs: T0 + 100,
    issuedAtMs: T0,
    deniedAtMs: undefined,
    ...times,
  }
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
