import { randomBytes } from 'node:crypto'
import t from 'tap'
import { openAuthorities, makeAuthority } from '../../../controller/authorities.ts'
import { createIdentityNews } from '../../../controller/api/agent/identity-news.ts'
import { createSealing } from '../../../controller/ca/sealed-key.ts'
import { openSqliteStore } from '../../../controller/store/sqlite.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { bundleFingerprints } from '../../../shared/pki/trust.ts'
import { Secret } from '../../../shared/secret.ts'
import { sampleNode, sampleReport, T0 } from '../../contract/samples.ts'

const store = await openSqliteStore({ path: ':memory:', busyTimeoutMs: 0 })
t.teardown(() => store.close())
const sealing = createSealing(new Secret('correct horse battery staple'))
const issuing = { nowMs: Date.now(), random: randomBytes, fleet: 'demo' }
const make = (kind: 'identity' | 'service', id: string) =>
  makeAuthority({ kind, id, ...issuing }, sealing)
const [old, next, service] = [
  await make('identity', 'identity-1'),
  await make('identity', 'identity-2'),
  await make('service', 'service-1'),
]
const fingerprint = (pem: string) => certificateFacts(pem).fingerprint

await t.test(
  'an agent is told what it does not know, early once, and never what it knows',
  async t => {
    await store.transaction(async tx => {
      for (const record of [old, service])
        await tx.authorities.insert({ ...record, state: 'active' })
      await tx.nodes.insert(sampleNode('a'))
      let authorities = await openAuthorities(tx, 'demo', sealing)
      const desk = createIdentityNews({ current: () => authorities })
      let sequence = 0
      const says = (issuer: string, roots: readonly string[]) =>
        tx.reports.put({
          node: 'a',
          report: {
            ...sampleReport({ sequence: ++sequence }),
            identity: {
              fingerprint: 'f'.repeat(64),
              issuer: fingerprint(issuer),
              trust: [...bundleFingerprints(roots)],
            },
          },
          receivedAtMs: T0,
        })

      const silent = await desk.newsFor(tx, 'a')
      t.match(silent, { isCertain: false, news: { identityTrust: [old.rootCertificate] } })
      t.equal(silent && desk.isFirst('a', silent), false, 'one that says nothing is not called')
      await says(old.intermediateCertificate, [old.rootCertificate])
      t.equal(await desk.newsFor(tx, 'a'), undefined)

      await tx.authorities.insert({ ...next, state: 'trusted' })
      authorities = await openAuthorities(tx, 'demo', sealing)
      const both = [old.rootCertificate, next.rootCertificate]
      const told = await desk.newsFor(tx, 'a')
      t.same(told?.news, { identityTrust: both }, 'its issuer is right')
      t.same(told && [desk.isFirst('a', told), desk.isFirst('a', told)], [true, false])
      t.same((await desk.newsFor(tx, 'a'))?.news, told?.news, 'until it says that it knows')
      await says(old.intermediateCertificate, both.toReversed())
      t.equal(await desk.newsFor(tx, 'a'), undefined, 'in any order')

      await tx.authorities.setState('identity-1', 'outgoing', T0)
      await tx.authorities.setState('identity-2', 'active', T0)
      authorities = await openAuthorities(tx, 'demo', sealing)
      const moved = await desk.newsFor(tx, 'a')
      t.same(moved?.news, { identityIssuer: fingerprint(next.intermediateCertificate) })
      t.equal(moved && desk.isFirst('a', moved), true, 'other news are worth a call')
      await says(next.intermediateCertificate, both)
      t.equal(await desk.newsFor(tx, 'a'), undefined)
    })
  },
)
