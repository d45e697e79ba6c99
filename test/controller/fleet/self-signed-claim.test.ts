// What nodes say of their certificates, hostile ones too.

import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { createTestCa, DAY_MS, NOW_MS, type Wish } from '../../shared/pki/support.ts'
import { judgeClaim } from '../../../controller/fleet/self-signed-claim.ts'

const RECORDED = { dns: ['db1.example', 'db.example'], ip: ['192.0.2.1'] }
const ca = createTestCa('claims')

function profile(dns: readonly string[] = ['db1.example'], ip: readonly string[] = []) {
  return { kind: 'server', names: { dns, ip }, clientAuth: false } as const
}

function judged(wish: Wish, pem = ca.make(wish).pem): string {
  const result = judgeClaim(pem, RECORDED, NOW_MS)
  return result.kind === 'good' ? 'good' : result.reason.code
}

await t.test('a leaf of the node is passed on in one form', async t => {
  const { pem } = ca.make({ profile: profile(['db1.example', 'db.example'], ['192.0.2.1']) })
  t.strictSame(judgeClaim(pem, RECORDED, NOW_MS), { kind: 'good', pem })
  t.strictSame(judgeClaim(`hello\n${pem.replaceAll('\n', '\r\n')}`, RECORDED, NOW_MS), {
    kind: 'good',
    pem,
  })
  t.equal(judged({ profile: { ...profile(), clientAuth: true } }), 'good')
})

await t.test('what could vouch for anything else is not', async t => {
  const root = ca.make({ profile: { kind: 'root' } })
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  const cases: Readonly<Record<string, [Wish, string, pem?: string]>> = {
    'a CA': [{ profile: { kind: 'root' } }, 'is-a-ca'],
    'a leaf of another CA': [{ profile: profile(), issuer: root }, 'not-self-signed'],
    'a name of another node': [{ profile: profile(['db2.example']) }, 'names-not-recorded'],
    'one of several': [{ profile: profile(['db.example', 'evil.example']) }, 'names-not-recorded'],
    'an address of another': [{ profile: profile([], ['192.0.2.2']) }, 'names-not-recorded'],
    'every name of a zone': [{ profile: profile(['*.db.example']) }, 'name-invalid'],
    'an identity': [
      { profile: { ...profile(), uris: ['spiffe://demo/node/db1'] } },
      'names-unknown',
    ],
    'a client': [{ profile: { kind: 'client', uris: ['spiffe://a/b'] } }, 'not-for-servers'],
    'a small key': [{ profile: profile(), key: rsa }, 'weak-key'],
    'what has ended': [{ profile: profile(), nowMs: NOW_MS - 100 * DAY_MS }, 'expired'],
    'what begins tomorrow': [{ profile: profile(), nowMs: NOW_MS + DAY_MS }, 'not-yet-valid'],
    'what lives for years': [{ profile: profile(), lifetimeMs: 1000 * DAY_MS }, 'lives-too-long'],
    'no certificate': [{ profile: profile() }, 'certificate-unparsable', '-----BEGIN x'],
    'two certificates': [
      { profile: profile() },
      'certificate-unparsable',
      ca.make({ profile: profile() }).pem.repeat(2),
    ],
  }
  for (const [name, [wish, code, pem]] of Object.entries(cases))
    t.equal(judged(wish, pem), code, name)
})

await t.test('a certificate that somebody has touched is refused, whatever he touched', async t => {
  const { pem } = ca.make({ profile: profile() })
  const der = Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64')
  let good = 0
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Buffer.from(der)
      changed[at] = (changed[at] ?? 0) ^ flip
      const text = `-----BEGIN CERTIFICATE-----\n${changed.toString('base64')}\n-----END CERTIFICATE-----\n`
      const result = judgeClaim(text, RECORDED, NOW_MS)
      if (result.kind === 'good') good += 1
      return result.kind === 'bad'
    }),
    { numRuns: 500 },
  )
  t.equal(good, 0)
})
