// What a release holds beside key and chain, and what makes it unfit.

import t from 'tap'
import {
  bundleOf,
  bundleProblem,
  carriedEntry,
  chainWithRoot,
  makeStore,
  observeStorePassword,
  randomPassword,
  storeProblem,
} from '../../../agent/resources/store.ts'
import { generateKey } from '../../../shared/pki/keys.ts'
import { readPkcs12 } from '../../../shared/pki/pkcs12-reader.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import { Secret } from '../../../shared/secret.ts'
import { createMemoryCa, DAY_MS } from '../../support/fake-controller.ts'
import { newNode } from '../../support/memory-fleet.ts'

const NOW_MS = Date.UTC(2026, 10, 22, 12)
const ca = createMemoryCa(NOW_MS)
const other = createMemoryCa(NOW_MS)
const keys = await generateKey('ec-p256')
const issued = ca.issue(keys.publicKeyPem, NOW_MS, DAY_MS)
const leaf = splitPemCertificates(issued)[0] ?? ''
const key = Buffer.from(keys.privateKeyPem.reveal())
const password = new Secret('correct horse')
const random = (bytes: number) => newNode().host.random(bytes)

const storeWith = (chainPem: string, trust: readonly string[]) =>
  makeStore({ keyPem: keys.privateKeyPem, chainPem, password, trust, random })
const problemOf = async (
  store: Uint8Array | undefined,
  change: Partial<Parameters<typeof storeProblem>[0]> = {},
) =>
  (
    await storeProblem({
      store,
      key,
      chain: Buffer.from(leaf),
      password,
      trust: [other.certificatePem, ca.certificatePem],
      carried: undefined,
      ...change,
    })
  )?.code

await t.test('the root that issued the chain is added, and no other', async t => {
  t.strictSame(
    splitPemCertificates(chainWithRoot(leaf, [other.certificatePem, ca.certificatePem])),
    [leaf, ca.certificatePem],
  )
  t.equal(chainWithRoot(leaf, [other.certificatePem]), leaf)
  t.equal(chainWithRoot(ca.certificatePem, [ca.certificatePem]), ca.certificatePem, 'its own root')
  const opened = readPkcs12(await storeWith(leaf, [ca.certificatePem]), password)
  t.equal(
    opened.kind === 'opened' && splitPemCertificates(opened.keys[0]?.chainPem ?? '').length,
    2,
  )
})

await t.test('a store is right for one key, one chain and one password', async t => {
  const store = await storeWith(leaf, [ca.certificatePem])
  const foreign = await generateKey('ec-p256')

  t.equal(await problemOf(store), undefined)
  t.equal(await problemOf(await storeWith(leaf, [ca.certificatePem])), undefined, 'other bytes')
  t.equal(await problemOf(undefined), 'store-missing')
  for (const [what, change] of Object.entries({
    'another password': { password: new Secret('other') },
    'no password': { password: undefined },
    'another key': { key: Buffer.from(foreign.privateKeyPem.reveal()) },
    'another chain': { chain: Buffer.from(ca.issue(keys.publicKeyPem, NOW_MS, 2 * DAY_MS)) },
    'something else': { store: Buffer.from('garbage') },
  }))
    t.equal(await problemOf(store, change), 'store-stale', what)
  t.equal(await problemOf(await storeWith(leaf, [])), 'store-stale', 'without its root')
  t.equal(await problemOf(store, { trust: [] }), undefined, 'a root that has left the bundle stays')
})

await t.test('an entry of the store before is taken along, and its lack is no flaw', async t => {
  const { files } = newNode()
  const carried = {
    alias: 'http_ca',
    keyPem: new Secret(other.keyPem),
    chainPem: other.certificatePem,
  }
  const first = await makeStore({
    keyPem: keys.privateKeyPem,
    chainPem: leaf,
    password,
    trust: [ca.certificatePem],
    carried,
    random,
  })
  files.put('/old.p12', first)
  files.put('/broken.p12', 'garbage')
  const find = (secret: Secret) =>
    carriedEntry(files, ['/none.p12', '/broken.p12', '/old.p12'], 'HTTP_CA', secret)

  t.equal((await find(password))?.chainPem, other.certificatePem)
  t.equal(await find(new Secret('other')), undefined, 'one that does not open is none')
  t.equal(await problemOf(first, { carried: 'http_ca' }), undefined)
  t.equal(await problemOf(first), 'store-stale', 'nobody asked for it')
  t.equal(
    await problemOf(await storeWith(leaf, [ca.certificatePem]), { carried: 'http_ca' }),
    undefined,
  )
  const twice = { ...carried, keyPem: keys.privateKeyPem, chainPem: leaf }
  const { keyPem } = twice
  t.ok(await makeStore({ keyPem, chainPem: leaf, password, trust: [], carried: twice, random }))
})

await t.test('a bundle is key and chain, as they are', async t => {
  const chain = Buffer.from(leaf)
  const bundle = Buffer.from(bundleOf(keys.privateKeyPem, leaf).reveal())

  t.equal(bundleProblem(bundle, key, chain), undefined)
  t.equal(bundleProblem(undefined, key, chain)?.code, 'bundle-missing')
  t.equal(bundleProblem(bundle.subarray(1), key, chain)?.code, 'bundle-stale')
  t.equal(
    bundleOf(new Secret(keys.privateKeyPem.reveal().trimEnd()), leaf).reveal(),
    bundle.toString(),
    'a key without a line end is no trap',
  )
})

await t.test('the password is the one that is kept, then the one that the product has', async t => {
  const store = { mode: 0o640, adopt: { keystore: '/k', entry: 'p' } }
  const files = () => newNode().files
  const keystore = (value: string) =>
    ({
      seen: { kind: 'opened', entries: new Map([['p', new Secret(value)]]) },
      sha256: '',
      stat: undefined,
      isProtected: false,
    }) as const
  const found = async (kept: string | undefined, value: string) => {
    const memory = files()
    if (kept !== undefined) memory.put('/d/store-password', kept)
    const seen = await observeStorePassword(memory, '/d', store, keystore(value))
    return [seen?.password.reveal(), seen?.stat !== undefined]
  }

  t.strictSame(await found('kept\n', 'theirs'), ['kept', true])
  t.strictSame(await found(undefined, 'theirs'), ['theirs', false])
  t.strictSame(await found('', 'theirs'), ['theirs', false], 'a torn file is none')
  for (const unusable of ['', 'two\nlines', 'schlüssel'])
    t.strictSame(await found(undefined, unusable), [undefined, false])
  t.match(randomPassword(random).reveal(), /^[\w-]{43}$/)
})
