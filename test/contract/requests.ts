// What every store must do with certificate requests: found by key and by the beginning of their id,
// settled once, counted, forgotten.

import { sha256 } from '../../shared/digest.ts'
import type { NewCertificateRequest } from '../../controller/store/requests-store.ts'
import type { Check } from './store.ts'
import { sampleNode, T0 } from './samples.ts'

export function sampleRequest(
  id: string,
  change: Partial<NewCertificateRequest> = {},
): NewCertificateRequest {
  return {
    id,
    node: 'a',
    service: 'prometheus',
    issuer: 'csr',
    directory: undefined,
    publicKeyDigest: sha256(id),
    keyType: 'ec-p256',
    csr: 'request',
    names: { dns: ['a.test'], ip: [] },
    clientUse: false,
    lifetimeMs: 86_400_000,
    generation: 1,
    createdAtMs: T0,
    reason: undefined,
    ...change,
  }
}

const REFUSED = { code: 'no', message: 'not this one' }

export function checkRequests(check: Check): void {
  check('a certificate request is found again as it was, by id and by key', async (t, store) => {
    await store.transaction(async tx => {
      for (const name of ['a', 'b']) await tx.nodes.insert(sampleNode(name))
      const acme = { issuer: 'acme', directory: 'corp', clientUse: true } as const
      await tx.requests.insert(sampleRequest('11aa', { publicKeyDigest: sha256('key') }))
      await tx.requests.insert(
        sampleRequest('11bb', { ...acme, publicKeyDigest: sha256('key'), generation: 2 }),
      )
      await t.rejects(tx.requests.insert(sampleRequest('11aa')), { code: 'already-exists' })

      t.match(await tx.requests.get('11aa'), {
        ...sampleRequest('11aa', { publicKeyDigest: sha256('key') }),
        state: 'pending',
        certificateChain: undefined,
        settledAtMs: undefined,
      })
      t.match(await tx.requests.get('11bb'), { ...acme, generation: 2 })
      t.equal(await tx.requests.get('11'), undefined)
      const ids = async (prefix: string) => (await tx.requests.findById(prefix)).map(({ id }) => id)
      t.strictSame(await ids('11'), ['11aa', '11bb'])
      t.strictSame(await ids('11b'), ['11bb'])
      t.strictSame(await ids('11aa'), ['11aa'])
      t.strictSame(await ids('2'), [])
      t.equal((await tx.requests.findByKey('a', 'prometheus', sha256('key')))?.id, '11bb')
      t.equal(await tx.requests.findByKey('a', 'influxdb', sha256('key')), undefined)
      t.equal((await tx.requests.findByAnyKey(sha256('key')))?.id, '11bb')
      const used = (node: string, service: 'prometheus' | 'influxdb') =>
        tx.requests.keyUsedByOther(node, service, sha256('key'))
      t.strictSame(
        [await used('a', 'prometheus'), await used('a', 'influxdb'), await used('b', 'prometheus')],
        [false, true, true],
      )
    })
  })

  check('a certificate request is settled once, and noted upon only before', async (t, store) => {
    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('a'))
      for (const id of ['1', '2', '3']) await tx.requests.insert(sampleRequest(id))
      await tx.requests.note('1', REFUSED)
      t.match(await tx.requests.get('1'), { state: 'pending', reason: REFUSED })

      const signed = { state: 'signed', certificateChain: 'chain' } as const
      t.equal(await tx.requests.settle('1', signed, T0 + 1), true)
      t.equal(await tx.requests.settle('1', { state: 'refused', reason: REFUSED }, T0 + 2), false)
      await tx.requests.note('1', REFUSED)
      await tx.requests.settle('2', { state: 'withdrawn', reason: REFUSED }, T0 + 3)

      t.match(await tx.requests.get('1'), { ...signed, reason: undefined, settledAtMs: T0 + 1 })
      t.match(await tx.requests.get('2'), { state: 'withdrawn', reason: REFUSED })
      t.equal(await tx.requests.countPending('a'), 1)
      t.equal(await tx.requests.countSince('a', T0), 3)
      t.equal(await tx.requests.countSince('a', T0 + 1), 0)
    })
  })

  check('certificate requests are listed in order, in pages, and filtered', async (t, store) => {
    await store.transaction(async tx => {
      for (const name of ['a', 'b']) await tx.nodes.insert(sampleNode(name))
      await tx.requests.insert(sampleRequest('1'))
      await tx.requests.insert(sampleRequest('2', { node: 'b' }))
      await tx.requests.insert(sampleRequest('3', { issuer: 'acme' }))
      await tx.requests.insert(sampleRequest('4', { service: 'influxdb' }))
      await tx.requests.settle('1', { state: 'refused', reason: REFUSED }, T0)
      const ids = async (filter: object) =>
        (await tx.requests.list({ limit: 10, ...filter })).map(({ id }) => id)

      t.strictSame(await ids({}), ['1', '2', '3', '4'])
      const [, second] = await tx.requests.list({ limit: 2 })
      t.strictSame(await ids({ after: second?.sequence }), ['3', '4'])
      t.strictSame(await ids({ state: 'pending', issuer: 'csr' }), ['2', '4'])
      t.strictSame(await ids({ node: 'b' }), ['2'])
      t.strictSame(await ids({ service: 'influxdb' }), ['4'])
    })
  })

  check('what is settled is forgotten in time; requests go with their node', async (t, store) => {
    await store.transaction(async tx => {
      for (const name of ['a', 'b']) await tx.nodes.insert(sampleNode(name))
      for (const id of ['1', '2', '3']) await tx.requests.insert(sampleRequest(id))
      await tx.requests.insert(sampleRequest('4', { node: 'b' }))
      await tx.requests.settle('1', { state: 'refused', reason: REFUSED }, T0)
      await tx.requests.settle('2', { state: 'refused', reason: REFUSED }, T0 + 5)

      t.equal(await tx.requests.prune(T0 + 5), 1)
      t.strictSame(
        (await tx.requests.list({ limit: 9 })).map(({ id }) => id),
        ['2', '3', '4'],
      )
      await tx.nodes.remove('a', T0)
      t.strictSame(
        (await tx.requests.list({ limit: 9 })).map(({ id }) => id),
        ['4'],
      )
    })
  })
}
