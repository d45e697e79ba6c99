// What every store must do with all that is sealed, at once.

import { sha256 } from '../../shared/digest.ts'
import { T0 } from './samples.ts'
import type { Check } from './store.ts'

const envelope = (body: string) => JSON.stringify({ sealed: body })

export function checkSealed(check: Check): void {
  check('every sealed key is changed, or none', async (t, store) => {
    const authority = {
      id: 'service-1',
      kind: 'service',
      state: 'active',
      rootCertificate: 'root',
      intermediateCertificate: 'intermediate',
      formerIntermediates: [],
      rootKeySealed: undefined,
      intermediateKeySealed: envelope('b'),
      formerKeySealed: envelope('c'),
      taintedAtMs: undefined,
      createdAtMs: T0,
      changedAtMs: T0,
    } as const
    const whole = { ...authority, id: 'service-2', state: 'prepared' } as const
    const pair = {
      name: 'wildcard',
      fingerprint: sha256('leaf'),
      certificateChain: 'chain',
      trust: '',
      keySealed: envelope('d'),
      uploadedAtMs: T0,
      uploadedBy: 'ada',
    }
    const account = {
      directory: 'corp',
      directoryUrl: 'https://ca.test/dir',
      accountUrl: undefined,
      keySealed: envelope('e'),
      createdAtMs: T0,
    }
    await store.transaction(async tx => {
      await tx.authorities.insert(authority)
      await tx.authorities.insert({ ...whole, rootKeySealed: envelope('a') })
      await tx.provided.put(pair)
      await tx.acme.insertAccount(account)
    })
    const all = () =>
      store.transaction(async tx => {
        const authorities = await tx.authorities.list('service')
        const others = [...(await tx.provided.list()), ...(await tx.acme.accounts())]
        return [
          ...authorities.flatMap(one => [
            one.rootKeySealed,
            one.intermediateKeySealed,
            one.formerKeySealed,
          ]),
          ...others.map(({ keySealed }) => keySealed),
        ]
      })
    const before = await all()
    const mistake = new Error('mistake')
    let left = 3

    const failed = store.transaction(tx =>
      tx.sealed.replaceAll(text => {
        if (left-- === 0) throw mistake
        return envelope(text)
      }),
    )
    t.equal(await failed.catch((error: unknown) => error), mistake)
    t.strictSame(await all(), before)

    t.equal(await store.transaction(tx => tx.sealed.replaceAll(text => envelope(text))), 7)
    const changed = before.map(text => (text === undefined ? undefined : envelope(text)))
    t.strictSame(await all(), changed)
  })
}
