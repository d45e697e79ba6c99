import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { Secret } from '../../../shared/secret.ts'
import {
  isPublic,
  judgeUpload,
  publicRootsOf,
  standingOf,
  type Upload,
} from '../../../controller/certificates/provided-pair.ts'
import { createTestCa, DAY_MS, ecKey, keyPemOf, NOW_MS } from '../../shared/pki/support.ts'

const publicCa = createTestCa('public')
const privateCa = createTestCa('private')
const ROOTS = publicRootsOf(() => [publicCa.root.pem])

const wildcard = publicCa.server(['*.example.org', 'example.org'])
const inside = privateCa.server(['*.intern.example.org'], [], { lifetimeMs: 900 * DAY_MS })

function upload(change: Partial<Upload> = {}): Upload {
  return {
    chainPem: `${wildcard.pem}${publicCa.intermediate.pem}`,
    keyPem: new Secret(wildcard.keyPem),
    trust: [],
    ...change,
  }
}

function codes(change: Partial<Upload>, nowMs = NOW_MS): readonly string[] {
  const judged = judgeUpload(upload(change), ROOTS, nowMs)
  return judged.kind === 'good' ? [] : judged.reasons.map(({ code }) => code)
}

const privatePair = {
  chainPem: `${inside.pem}${privateCa.intermediate.pem}`,
  keyPem: new Secret(inside.keyPem),
  trust: [privateCa.root.pem],
}

await t.test('a good pair comes out in one spelling, its key as PKCS#8', async t => {
  const sec1 = wildcard.key.export({ type: 'sec1', format: 'pem' }).toString()
  const chainPem = `Bag Attributes\r\n${wildcard.pem.replaceAll('\n', '\r\n')}${sec1}# next\n${publicCa.intermediate.pem}`

  const judged = judgeUpload(upload({ chainPem, keyPem: new Secret(`\n${sec1}`) }), ROOTS, NOW_MS)

  t.equal(judged.kind, 'good')
  if (judged.kind !== 'good') return
  t.equal(judged.pair.chainPem, `${wildcard.pem}${publicCa.intermediate.pem}`, 'no key in it')
  t.equal(judged.pair.keyPem.reveal(), keyPemOf(wildcard.key))
  t.strictSame(judged.pair.facts.dnsNames, ['*.example.org', 'example.org'])
})

await t.test('what no server could serve is refused with the reason', async t => {
  const other = publicCa.server(['other.example.org'])
  const nameless = publicCa.make({
    profile: { kind: 'client', uris: ['urn:x'] },
    issuer: publicCa.intermediate,
  })
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  const small = publicCa.server(['a.example.org'], [], { key: weak })
  const alone = wildcard.pem
  const { intermediate, root } = publicCa
  const table: readonly (readonly [string, Partial<Upload>, readonly string[]])[] = [
    ['another key', { keyPem: new Secret(other.keyPem) }, ['key-mismatch']],
    ['no key', { keyPem: new Secret('-----BEGIN PRIVATE KEY-----\nxxxx') }, ['key-unparsable']],
    ['no certificate', { chainPem: '-----BEGIN nothing' }, ['certificate-unparsable']],
    ['a chain without intermediate', { chainPem: alone }, ['chain-incomplete']],
    [
      'an intermediate that only the controller was given',
      {
        chainPem: inside.pem,
        keyPem: privatePair.keyPem,
        trust: [privateCa.intermediate.pem, privateCa.root.pem],
      },
      ['chain-incomplete'],
    ],
    [
      'the wrong order',
      { chainPem: `${intermediate.pem}${wildcard.pem}` },
      ['chain-order', 'ca-as-leaf', 'san-missing'],
    ],
    ['a private CA that nobody has named', { ...privatePair, trust: [] }, ['chain-incomplete']],
    [
      'CA certificates that are none',
      { trust: ['-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----'] },
      ['certificate-unparsable'],
    ],
    [
      'a weak key',
      { chainPem: `${small.pem}${intermediate.pem}`, keyPem: new Secret(small.keyPem) },
      ['weak-key'],
    ],
    [
      'the key of a CA',
      {
        chainPem: `${intermediate.pem}${root.pem}`,
        keyPem: new Secret(intermediate.keyPem),
      },
      ['ca-as-leaf', 'san-missing'],
    ],
    [
      'no names',
      { chainPem: `${nameless.pem}${intermediate.pem}`, keyPem: new Secret(nameless.keyPem) },
      ['san-missing', 'wrong-purpose'],
    ],
  ]
  for (const [name, change, expected] of table)
    t.strictSame(
      codes(change).filter(code => expected.includes(code)),
      expected,
      name,
    )
  t.strictSame(
    codes({ chainPem: `${wildcard.pem}${intermediate.pem}${root.pem}` }),
    [],
    'a root at the end',
  )
  t.strictSame(codes({}, NOW_MS + 91 * DAY_MS), ['expired'])
  t.strictSame(codes({}, NOW_MS - DAY_MS), ['not-yet-valid'])
})

await t.test('keys with a passphrase are refused in every form', async t => {
  const { key } = wildcard
  const options = { cipher: 'aes-256-cbc', passphrase: 'pass' }
  const traditional = execFileSync('/usr/bin/openssl', ['ec', '-aes256', '-passout', 'pass:pass'], {
    input: keyPemOf(key),
    stdio: ['pipe', 'pipe', 'ignore'],
  }).toString()
  t.match(traditional, 'Proc-Type: 4,ENCRYPTED')
  for (const pem of [
    key.export({ type: 'pkcs8', format: 'pem', ...options }).toString(),
    traditional,
  ])
    t.strictSame(codes({ keyPem: new Secret(pem) }), ['key-encrypted'])
})

await t.test(
  'the limits of public CAs hold for chains to their roots, and for no others',
  async t => {
    const long = publicCa.server(['*.example.org'], [], { lifetimeMs: 300 * DAY_MS })
    const chainPem = `${long.pem}${publicCa.intermediate.pem}`
    const keyPem = new Secret(long.keyPem)
    t.strictSame(codes({ chainPem, keyPem }), ['public-lifetime'])
    t.strictSame(
      codes({ chainPem, keyPem, trust: [publicCa.root.pem] }),
      ['public-lifetime'],
      'a public root is not made private by naming it',
    )
    t.strictSame(codes(privatePair), [], 'a private CA gives 900 days')
    t.equal(isPublic(upload().chainPem, ROOTS), true)
    t.equal(isPublic(privatePair.chainPem, ROOTS), false)
    // The intermediate has ended long before the middle of such a life.
    const endless = publicCa.server(['*.example.org'], [], {
      lifetimeMs: 990 * DAY_MS,
      nowMs: NOW_MS,
    })
    t.equal(isPublic(`${endless.pem}${publicCa.intermediate.pem}`, ROOTS), true)
  },
)

await t.test('what becomes of a pair is said in time', async t => {
  const pair = { certificateChain: upload().chainPem, trust: '' }
  const at = (days: number) => {
    const { problems, warnings } = standingOf(pair, ROOTS, NOW_MS + days * DAY_MS)
    return [...problems, ...warnings].map(({ code }) => code)
  }
  t.strictSame(at(1), [])
  t.strictSame(at(59), [])
  t.strictSame(at(61), ['ends-soon'])
  t.strictSame(at(91), ['expired'])

  const own = { certificateChain: privateCa.root.pem, trust: privateCa.root.pem }
  const rooted = { certificateChain: `${pair.certificateChain}${publicCa.root.pem}`, trust: '' }
  t.match(standingOf(own, ROOTS, NOW_MS).warnings, [{ code: 'ca-as-leaf' }])
  t.match(standingOf(rooted, ROOTS, NOW_MS).warnings, [{ code: 'root-in-chain' }])
})

await t.test('neither reasons nor what is left of a pair show its key', async t => {
  const judged = judgeUpload(upload(), ROOTS, NOW_MS)
  const bad = judgeUpload(upload({ keyPem: new Secret(keyPemOf(ecKey())) }), ROOTS, NOW_MS)
  t.notMatch(JSON.stringify([judged, bad]), /PRIVATE/)
})
