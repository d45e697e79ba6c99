// What every store must do when a node enrols: one key redeems a token, and the identities that it gets
// are found by their key and denied until they end.

import { sha256 } from '../../shared/digest.ts'
import { sampleIdentity, sampleNode, sampleToken, T0 } from './samples.ts'
import type { Check } from './store.ts'

export function checkEnrolment(check: Check): void {
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

        t.equal((await tx.identities.latest('a'))?.fingerprint, sha256('2'))
        t.equal(await tx.identities.latest('c'), undefined)

        t.same(await tx.identities.denied(T0), [])
        await tx.identities.deny('a', { cause: 'revoked', atMs: T0 + 3 })
        await tx.identities.deny('a', { cause: 'removed', atMs: T0 + 4 })
        const denied = async (nowMs: number) =>
          (await tx.identities.denied(nowMs)).map(({ fingerprint, cause }) => {
            t.equal(cause, 'revoked', 'the first cause stays')
            return fingerprint
          })
        t.same(await denied(T0 + 5), [sha256('1'), sha256('2')])
        t.same(await denied(T0 + 20), [sha256('2')])
        t.same(await denied(T0 + 21), [])
        t.equal((await tx.identities.get(sha256('1')))?.deniedAtMs, T0 + 3)
        t.equal(await tx.identities.latest('a'), undefined)
        t.equal((await tx.identities.latest('b'))?.fingerprint, sha256('3'))
      })
    },
  )
}
