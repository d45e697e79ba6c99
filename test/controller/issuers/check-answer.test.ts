import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { type AnswerQuestion, checkAnswer } from '../../../controller/issuers/check-answer.ts'
import { generateKey, publicKeyDigest } from '../../../shared/pki/keys.ts'
import { pemOf, splitPemCertificates } from '../../../shared/pki/pem.ts'
import { createPrivateCa, DAY_MS } from './private-ca.ts'

const NOW = Date.UTC(2026, 6, 1)
const team = createPrivateCa(NOW)
const other = createPrivateCa(NOW, 'other')
const { publicKeyPem: key } = await generateKey('ec-p256')
const { publicKeyPem: foreign } = await generateKey('ec-p256')

const REQUEST = {
  publicKeyDigest: publicKeyDigest(key),
  names: { dns: ['a.test'], ip: [] },
  clientUse: false,
}

function check(pems: readonly string[], change: Partial<AnswerQuestion> = {}) {
  return checkAnswer({
    request: REQUEST,
    certificates: pems.map(pem => new X509Certificate(pem)),
    trust: [team.root],
    renewBeforeMs: 30 * DAY_MS,
    nowMs: NOW,
    ...change,
  })
}

function codes(pems: readonly string[], change: Partial<AnswerQuestion> = {}): string[] {
  const checked = check(pems, change)
  return checked.kind === 'unfit' ? checked.reasons.map(({ code }) => code) : []
}

await t.test('a chain comes out leaf first and without its root, whatever came', async t => {
  const leaf = team.issue(key)
  const heap = [other.root, team.root, team.intermediate, other.intermediate, leaf]

  const checked = check(heap)

  t.equal(checked.kind, 'fit')
  if (checked.kind !== 'fit') return
  t.strictSame(
    splitPemCertificates(checked.chainPem),
    [leaf, team.intermediate].map(pem => pemOf(new X509Certificate(pem).raw)),
  )
  t.equal(checked.facts.publicKeyDigest, REQUEST.publicKeyDigest)
  t.equal(check([leaf, team.intermediate]).kind, 'fit', 'the root of the trust need not come')
  t.equal(check([team.issueDirectly(key)]).kind, 'fit', 'a root may sign itself')
  const trust = [team.root, team.intermediate]
  t.equal(check([leaf], { trust }).kind, 'fit', 'nor an intermediate that is in the trust')
})

await t.test('of two answers to one request the newer one is taken', async t => {
  const [older, newer] = [team.issue(key, { beginMs: NOW - 5 * DAY_MS }), team.issue(key)]

  const checked = check([older, newer, team.intermediate])

  t.match(checked, { kind: 'fit', chainPem: newer.trim() })
})

await t.test('what does not fit is refused with all reasons', async t => {
  const { intermediate } = team
  const ended = { beginMs: NOW - 91 * DAY_MS }
  const cases: readonly [what: string, pems: readonly string[], codes: readonly string[]][] = [
    ['a foreign key', [team.issue(foreign), intermediate], ['key-mismatch']],
    ['other names', [team.issue(key, { dns: ['b.test'] }), intermediate], ['name-missing']],
    ['an expired one', [team.issue(key, ended), intermediate], ['expired']],
    [
      'one of tomorrow',
      [team.issue(key, { beginMs: NOW + DAY_MS }), intermediate],
      ['not-yet-valid'],
    ],
    ['another CA', [other.issue(key), other.intermediate, other.root], ['untrusted']],
    ['a chain with a gap', [team.issue(key)], ['chain-incomplete']],
    [
      'one that is nearly over',
      [team.issue(key, { beginMs: NOW - 80 * DAY_MS }), intermediate],
      ['renewal-due'],
    ],
    [
      'several things at once',
      [other.issue(key, { dns: ['b.test'], ...ended }), other.intermediate, other.root],
      ['name-missing', 'untrusted'],
    ],
    ['nothing', [], ['key-mismatch']],
  ]
  for (const [what, pems, expected] of cases) t.strictSame(codes(pems), expected, what)
})

await t.test('more names and more uses than asked for are accepted, fewer are not', async t => {
  const { intermediate } = team
  const wide = team.issue(key, { dns: ['a.test', 'b.test'], ip: ['192.0.2.1'], clientAuth: true })
  const wanted = { ...REQUEST, clientUse: true }

  t.strictSame(codes([wide, intermediate]), [])
  const star = team.issue(key, { dns: ['*.a.test'] })
  const below = { ...REQUEST, names: { dns: ['x.a.test'], ip: [] } }
  t.strictSame(codes([star, intermediate], { request: below }), [])
  t.strictSame(codes([star, intermediate]), ['name-missing'])
  t.strictSame(codes([wide, intermediate], { request: wanted }), [])
  t.strictSame(codes([team.issue(key), intermediate], { request: wanted }), ['wrong-purpose'])
})

await t.test('without a trust of its own a chain must come with its issuers', async t => {
  const trust: readonly string[] = []
  const { intermediate, root } = team

  t.strictSame(codes([team.issue(key)], { trust }), ['chain-incomplete'])
  t.strictSame(codes([team.issue(key), intermediate], { trust }), [])
  t.strictSame(codes([team.issueDirectly(key), root], { trust }), [])
  const kept = { trust, wasChecked: true }
  t.strictSame(
    codes([team.issueDirectly(key)], kept),
    [],
    'kept without the root that came with it',
  )
})

await t.test(
  'the lifetime of public CAs binds those that no trust of our own vouches for',
  async t => {
    const long = [team.issue(key, { lifetimeMs: 365 * DAY_MS }), team.intermediate]

    t.strictSame(codes(long), [])
    t.strictSame(codes(long, { trust: [] }), ['public-lifetime'])
  },
)
