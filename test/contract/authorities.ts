// What every store must do with CAs that follow one another, and with what hangs on them: tokens that
// name a root, and what agents say of theirs.

import { sha256 } from '../../shared/digest.ts'
import type { AuthorityRecord } from '../../controller/store/store.ts'
import type { Check } from './store.ts'
import { sampleNode, sampleReport, sampleToken, T0 } from './samples.ts'

const pem = (body: string) => `-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`

function sampleAuthority(id: string, state: AuthorityRecord['state'] = 'prepared') {
  return {
    id,
    kind: id.startsWith('identity') ? 'identity' : 'service',
    state,
    rootCertificate: pem('cm9v'),
    intermediateCertificate: pem('aW50'),
    formerIntermediates: [],
    rootKeySealed: `${id} root`,
    intermediateKeySealed: `${id} intermediate`,
    formerKeySealed: undefined,
    taintedAtMs: undefined,
    createdAtMs: T0,
    changedAtMs: T0,
  } as const satisfies AuthorityRecord
}

export function checkAuthorities(check: Check): void {
  check('CAs come back as they went in, in the order of their numbers', async (t, store) => {
    const first = sampleAuthority('service-1', 'active')
    const second = { ...sampleAuthority('service-2'), rootKeySealed: undefined }
    await store.transaction(async tx => {
      t.same(await tx.authorities.list('service'), [])
      t.equal(await tx.authorities.active('service'), undefined)
      await tx.authorities.insert(sampleAuthority('service-10'))
      await tx.authorities.insert(second)
      await tx.authorities.insert(first)
      await t.rejects(tx.authorities.insert(first), { code: 'already-exists' })
      await tx.authorities.insert(sampleAuthority('identity-1', 'active'))
    })
    await store.transaction(async tx => {
      const services = await tx.authorities.list('service')
      t.same(
        services.map(({ id }) => id),
        ['service-1', 'service-2', 'service-10'],
      )
      t.same(await tx.authorities.get('service-2'), second)
      t.equal(await tx.authorities.get('service-3'), undefined)
      t.same(await tx.authorities.active('service'), first)
      t.equal((await tx.authorities.active('identity'))?.id, 'identity-1')
    })
  })

  check('of each kind one signs at most', async (t, store) => {
    await store.transaction(async tx => {
      await tx.authorities.insert(sampleAuthority('service-1', 'active'))
      await tx.authorities.insert(sampleAuthority('service-2', 'trusted'))
      await t.rejects(tx.authorities.insert(sampleAuthority('service-3', 'active')), {
        code: 'already-exists',
      })
      await t.rejects(tx.authorities.setState('service-2', 'active', T0 + 1), {
        code: 'authority-conflict',
      })
      await tx.authorities.setState('service-1', 'outgoing', T0 + 2)
      await tx.authorities.setState('service-2', 'active', T0 + 2)
      t.match(await tx.authorities.active('service'), { id: 'service-2', changedAtMs: T0 + 2 })
      await t.rejects(tx.authorities.setState('service-9', 'retired', T0), { code: 'not-found' })
    })
  })

  check(
    'another intermediate takes the place of the one before, which is kept',
    async (t, store) => {
      await store.transaction(async tx => {
        await tx.authorities.insert(sampleAuthority('service-1', 'active'))
        const next = (certificate: string) =>
          tx.authorities.replaceIntermediate('service-1', {
            certificate,
            keySealed: `key of ${certificate.length}`,
          })
        await next(pem('c2Vjb25k'))
        await next(pem('dGhpcmQtb25l'))
        t.match(await tx.authorities.get('service-1'), {
          state: 'active',
          intermediateCertificate: pem('dGhpcmQtb25l'),
          formerIntermediates: [pem('aW50'), pem('c2Vjb25k')],
          intermediateKeySealed: `key of ${pem('dGhpcmQtb25l').length}`,
          formerKeySealed: `key of ${pem('c2Vjb25k').length}`,
        })
      })
    },
  )

  check(
    'what is denied has no keys any more; a taint stays as it was first seen',
    async (t, store) => {
      const noKeys = {
        rootKeySealed: undefined,
        intermediateKeySealed: undefined,
        formerKeySealed: undefined,
      }
      await store.transaction(async tx => {
        await tx.authorities.insert(sampleAuthority('identity-1', 'outgoing'))
        await tx.authorities.taint('identity-1', T0 + 1)
        await tx.authorities.taint('identity-1', T0 + 2)
        await tx.authorities.setState('identity-1', 'denied', T0 + 3)
        t.match(await tx.authorities.get('identity-1'), {
          state: 'denied',
          taintedAtMs: T0 + 1,
          rootCertificate: pem('cm9v'),
          ...noKeys,
        })
        await tx.authorities.insert(sampleAuthority('identity-2'))
        await tx.authorities.destroyKeys('identity-2')
        t.match(await tx.authorities.get('identity-2'), { state: 'prepared', ...noKeys })
        await t.rejects(tx.authorities.taint('identity-3', T0), { code: 'not-found' })
        await t.rejects(tx.authorities.destroyKeys('identity-3'), { code: 'not-found' })
      })
    },
  )

  check('tokens that somebody may still come with are listed, with their pin', async (t, store) => {
    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('a'))
      const insert = (id: string, expiresAtMs: number, pin?: string) =>
        tx.tokens.insert({
          ...sampleToken(id, 'a'),
          expiresAtMs,
          ...(pin === undefined ? {} : { pin }),
        })
      await insert('used', T0 + 10, 'sha256:old')
      await insert('over', T0 + 1, 'sha256:old')
      await insert('open', T0 + 10, 'sha256:old')
      await insert('unnamed', T0 + 10)
      await tx.tokens.redeem('used', sha256('key'))
      const outstanding = await tx.tokens.outstanding(T0 + 1)
      const pins = Object.fromEntries(outstanding.map(({ id, pin }) => [id, pin]))
      t.strictSame(pins, { open: 'sha256:old', unnamed: undefined })
      t.equal((await tx.tokens.get('open'))?.pin, 'sha256:old')
    })
  })

  check('what an agent says of its identity is asked for alone', async (t, store) => {
    const identity = { fingerprint: sha256('leaf'), issuer: sha256('ca'), trust: [sha256('root')] }
    await store.transaction(async tx => {
      await tx.nodes.insert(sampleNode('a'))
      await tx.nodes.insert(sampleNode('b'))
      await tx.reports.put({ node: 'a', report: { ...sampleReport(), identity }, receivedAtMs: T0 })
      await tx.reports.put({ node: 'b', report: sampleReport(), receivedAtMs: T0 })
      t.same(await tx.reports.identity('a'), identity)
      t.equal(await tx.reports.identity('b'), undefined)
      t.equal(await tx.reports.identity('c'), undefined)
    })
  })
}
