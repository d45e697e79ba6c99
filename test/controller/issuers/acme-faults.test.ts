// Directories that refuse, lie or are away. See test/simulators/acme for the one that does.

import { generateKeyPairSync } from 'node:crypto'
import t, { type Test } from 'tap'
import { systemClock } from '../../../shared/clock.ts'
import { buildCsr } from '../../../shared/pki/csr.ts'
import { createCa } from '../../simulators/certificates.ts'
import {
  acmeProblem,
  type Endpoint,
  type FakeDirectory,
  type Fault,
  signCsr,
  startFakeDirectory,
} from '../../simulators/acme/directory.ts'
import { type AcmeScene, acmeDirectory, acmeScene } from '../../support/acme-scene.ts'

interface World extends AcmeScene {
  readonly fake: FakeDirectory
}

async function world(t: Test): Promise<World> {
  const scene = await acmeScene(t)
  const fake = await startFakeDirectory(scene.directory)
  t.teardown(() => fake.close())
  return Object.assign(scene, { fake })
}

function configured({ fake }: World, options: Partial<Parameters<typeof acmeDirectory>[0]> = {}) {
  return acmeDirectory({ url: fake.url, caFile: fake.caFile, ...options })
}

await t.test('a rate limit is waited out for as long as the directory says', async t => {
  const scene = await world(t)
  const { fake } = scene
  let aheadMs = 0
  const clock = { ...systemClock, now: () => Date.now() + aheadMs }
  const issuer = scene.issuer({ directories: [configured(scene)], clock })
  const limited = acmeProblem('rateLimited', 'too many certificates for this name', 429)
  fake.fail('newOrder', { ...limited, headers: { ...limited.headers, 'retry-after': '3600' } })
  const id = await scene.request(['a.example.test'], { trust: [fake.root] })

  const beforeMs = clock.now()
  const waiting = await issuer.waits(id, 'acme-rate-limited')

  t.match(waiting.reason?.message, 'rateLimited: too many certificates for this name')
  const order = await scene.order(id)
  t.ok((order?.nextAttemptAtMs ?? 0) >= beforeMs + 3_600_000)
  // It is that request's limit: another one is not held up.
  const other = await scene.request(['b.example.test'], { trust: [fake.root] })
  t.equal((await issuer.settle(other)).state, 'signed')
  t.equal(fake.count('newOrder'), 2, 'nobody has asked again')

  aheadMs = 3_700_000
  t.equal((await issuer.settle(id)).state, 'signed')
})

await t.test(
  'a directory that is down is asked once, and everybody who waits for it is told',
  async t => {
    const scene = await world(t)
    const { fake } = scene
    const issuer = scene.issuer({ directories: [configured(scene, { retryMs: 600_000 })] })
    fake.fail('directory', { status: 503, headers: { 'retry-after': '900' } }, Infinity)
    const ids = [
      await scene.request(['a.example.test'], { trust: [fake.root] }),
      await scene.request(['b.example.test'], { trust: [fake.root] }),
    ]

    for (const id of ids) {
      const waiting = await issuer.waits(id, 'acme-unavailable')
      t.match(waiting.reason?.message, /could not read the directory .*HTTP status 503/)
    }
    t.equal(fake.count('directory'), 1)
    const late = await scene.request(['c.example.test'], { trust: [fake.root] })
    await issuer.waits(late, 'acme-unavailable')
    t.equal(fake.count('directory'), 1)
  },
)

await t.test('nobody answers, or somebody whom the CA file does not vouch for', async t => {
  const scene = await world(t)
  const { fake } = scene
  const stranger = createCa(scene.directory, 'stranger')
  const id = await scene.request(['a.example.test'], { trust: [fake.root] })
  const cases = [
    { caFile: stranger.certFile, code: 'acme-unreachable' },
    { caFile: undefined, code: 'acme-unreachable' },
    { caFile: '/nonexistent/root.pem', code: 'acme-ca-unreadable' },
  ]
  for (const { caFile, code } of cases) {
    const issuer = scene.issuer({ directories: [configured(scene, { caFile })] })
    const { reason } = await issuer.waits(id, code)
    t.match(reason?.message, /could not (reach|read)/, String(caFile))
    await issuer.stop()
    await scene.store.transaction(tx =>
      tx.requests.note(id, { code: 'looked-at', message: 'by the test' }),
    )
  }
  t.equal(fake.count('newOrder'), 0)
  t.equal((await scene.issuer({ directories: [configured(scene)] }).settle(id)).state, 'signed')
})

const HTML = { headers: { 'content-type': 'text/html' }, body: '<html>log in</html>' }
const LIES: readonly (readonly [string, Endpoint, Fault, string])[] = [
  ['a login page as directory', 'directory', HTML, 'acme-answer-malformed'],
  [
    'endpoints without TLS',
    'directory',
    { body: { newNonce: 'http://a/', newAccount: 'http://a/', newOrder: 'http://a/' } },
    'acme-answer-malformed',
  ],
  ['an account without a place', 'newAccount', { status: 201 }, 'acme-answer-malformed'],
  ['an order without a place', 'newOrder', { status: 201, body: {} }, 'acme-answer-malformed'],
  [
    'an order at a place without TLS',
    'newOrder',
    { status: 201, headers: { location: 'http://127.0.0.1/order/1' } },
    'acme-answer-malformed',
  ],
  ['an order that is none', 'order', { body: { status: 'shipped' } }, 'acme-answer-malformed'],
  [
    'an order for other names',
    'order',
    {
      body: {
        status: 'ready',
        identifiers: [{ type: 'dns', value: 'evil.example.test' }],
        authorizations: [],
        finalize: 'https://127.0.0.1/finalize/1',
      },
    },
    'acme-answer-malformed',
  ],
  [
    'an order that it has forgotten',
    'order',
    acmeProblem('malformed', 'no such', 404),
    'acme-problem',
  ],
  ['megabytes', 'order', { body: ' '.repeat(300_000) }, 'acme-answer-malformed'],
  ['a login page as certificate', 'certificate', HTML, 'acme-answer-malformed'],
  [
    'no certificate at all',
    'certificate',
    { body: '-----BEGIN CERTIFICATE-----' },
    'acme-chain-unfit',
  ],
  [
    'a redirect',
    'finalize',
    { status: 302, headers: { location: 'https://a/' } },
    'acme-answer-malformed',
  ],
  ['an overloaded signer', 'finalize', { status: 500 }, 'acme-unavailable'],
]

await t.test('what makes no sense is said, believed by nobody, and tried again', async t => {
  const scene = await world(t)
  const { fake } = scene
  const issuer = scene.issuer({ directories: [configured(scene, { retryMs: 20 })] })
  for (const [index, [what, endpoint, fault, code]] of LIES.entries()) {
    // The account is there after the first one, and so is the directory.
    const isFirstContact = endpoint === 'directory' || endpoint === 'newAccount'
    const directory = isFirstContact ? `d${index}` : 'corp'
    const asked = isFirstContact
      ? scene.issuer({ directories: [configured(scene, { name: directory, retryMs: 20 })] })
      : issuer
    const names = [`n${index}.example.test`]
    const id = await scene.request(names, { trust: [fake.root], directory })
    fake.fail(endpoint, fault, Infinity)
    t.ok((await asked.waits(id, code)).reason, what)
    fake.heal(endpoint)
    t.equal((await asked.settle(id)).state, 'signed', what)
    if (asked !== issuer) await asked.stop()
  }
})

await t.test('nonces that are never right end after a number of them', async t => {
  const scene = await world(t)
  const { fake } = scene
  const issuer = scene.issuer({ directories: [configured(scene, { retryMs: 600_000 })] })
  fake.fail('newAccount', acmeProblem('badNonce', 'again'), Infinity)
  const id = await scene.request(['a.example.test'])

  const { reason } = await issuer.waits(id, 'acme-account-refused')

  t.match(reason?.message, 'badNonce: again')
  t.equal(fake.count('newAccount'), 16)
})

await t.test('a certificate for another key is not taken, and no other one is ordered', async t => {
  const scene = await world(t)
  const { fake } = scene
  const issuer = scene.issuer({ directories: [configured(scene, { retryMs: 20 })] })
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const csr = buildCsr({ key: privateKey, names: { dns: ['a.example.test'], ip: [] } })
  const der = Buffer.from(csr.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  const ca = createCa(scene.directory, 'other')
  fake.fail('certificate', { body: signCsr(scene.directory, ca, der) }, Infinity)
  const id = await scene.request(['a.example.test'], { trust: [fake.root] })

  const { reason } = await issuer.waits(id, 'acme-chain-unfit')
  t.match(reason?.message, 'no certificate is for the key of the request')
  t.match(await scene.order(id), { state: 'finalizing' })

  fake.heal('certificate')
  t.equal((await issuer.settle(id)).state, 'signed')
  t.equal(fake.count('newOrder'), 1)
  t.equal(fake.count('finalize'), 1)
})

await t.test(
  'an account that the directory has lost is registered again with the same key',
  async t => {
    const scene = await world(t)
    const { fake } = scene
    const issuer = scene.issuer({ directories: [configured(scene)] })
    const trust = [fake.root]
    await issuer.settle(await scene.request(['a.example.test'], { trust }))
    const [before] = await scene.store.transaction(tx => tx.acme.accounts())
    fake.fail('newOrder', acmeProblem('accountDoesNotExist', 'who are you'))

    const id = await scene.request(['b.example.test'], { trust })
    await issuer.waits(id, 'acme-account-refused')
    t.equal((await issuer.settle(id)).state, 'signed')

    const accounts = await scene.store.transaction(tx => tx.acme.accounts())
    t.strictSame(accounts, [before])
    t.equal(fake.count('newAccount'), 2)
  },
)

await t.test(
  'a directory that is no longer configured, and a request that nobody wants any more',
  async t => {
    const scene = await world(t)
    const { fake } = scene
    const trust = [fake.root]
    const lost = await scene.request(['a.example.test'], { trust, directory: 'gone' })
    const id = await scene.request(['b.example.test'], { trust })
    fake.fail('finalize', { status: 503 }, Infinity)
    const issuer = scene.issuer({ directories: [configured(scene)] })

    const { reason } = await issuer.waits(lost, 'acme-directory-unknown')
    t.match(reason?.message, 'no ACME directory gone')
    const { node } = await issuer.waits(id, 'acme-unavailable')

    await scene.store.transaction(tx => tx.nodes.remove(node, Date.now()))
    await issuer.idle()
    await issuer.tick()
    t.match(await scene.order(id), { state: 'ended', dnsRecords: [] })
  },
)
