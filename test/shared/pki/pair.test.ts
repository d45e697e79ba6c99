// A certificate, its key and what it is wanted for: each fault has its code, and a good pair has none.

import { type KeyObject, createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { type PairQuestion, checkPair } from '../../../shared/pki/pair.ts'
import { parseCertificate, pemOf } from '../../../shared/pki/pem.ts'
import { spkiPin, verifyPinnedChain } from '../../../shared/pki/pin.ts'
import { PKI_REASON_CODES } from '../../../shared/pki/reason.ts'
import { Secret } from '../../../shared/secret.ts'
import {
  DAY_MS,
  type Holder,
  NOW_MS,
  createOpenssl,
  createTestCa,
  ecKey,
  keyPemOf,
} from './support.ts'

const ca = createTestCa('pair')
const other = createTestCa('other')
const openssl = createOpenssl()
t.teardown(() => openssl.remove())

const leaf = ca.server(['es-1.example', '*.zone.example'], ['10.0.0.1'])
const chain = leaf.pem + ca.intermediate.pem
const good: PairQuestion = {
  certificatePem: chain,
  keyPem: leaf.keyPem,
  trust: [ca.root.pem],
  names: { dns: ['es-1.example', 'a.zone.example'], ip: ['10.0.0.1'] },
  nowMs: NOW_MS,
}
const codesOf = (change: Partial<PairQuestion>) =>
  checkPair({ ...good, ...change }).map(reason => reason.code)

await t.test('a good pair has nothing wrong', async t => {
  t.same(checkPair(good), [])
  t.same(codesOf({ keyPem: new Secret(leaf.keyPem) }), [])
  t.same(codesOf({ certificatePem: chain + ca.root.pem }), [], 'with the root at the end')
  t.same(codesOf({ trust: [other.root.pem, ca.root.pem] }), [], 'among other roots')
  t.same(codesOf({ trust: [ca.root.pem + other.root.pem] }), [], 'in one text')
  t.same(codesOf({ trust: [ca.root.pem, ca.intermediate.pem], certificatePem: leaf.pem }), [])
  const { trust: _, ...untrusting } = good
  t.same(checkPair(untrusting), [], 'when nobody asks for trust')
  t.same(checkPair({ ...untrusting, certificatePem: leaf.pem }), [])
})

await t.test('each fault has its code', async t => {
  const stranger = ca.server(['b.example'])
  const encrypted = leaf.key.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  })
  const cnOnly = opensslSelfSigned(['-addext', 'basicConstraints=critical,CA:FALSE'])
  const client = ca.make({
    profile: { kind: 'client', uris: ['spiffe://f/node/a'] },
    issuer: ca.intermediate,
    key: leaf.key,
  })
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
  const solo = ca.make({
    profile: {
      kind: 'server',
      names: { dns: ['es-1.example', '*.zone.example'], ip: ['10.0.0.1'] },
      clientAuth: false,
    },
    key: leaf.key,
  })
  const cases: Readonly<Record<string, readonly [Partial<PairQuestion>, readonly string[]]>> = {
    'the key of another certificate': [{ keyPem: stranger.keyPem }, ['key-mismatch']],
    'the key of the intermediate': [{ keyPem: ca.intermediate.keyPem }, ['chain-order']],
    'an encrypted key': [{ keyPem: encrypted.toString() }, ['key-encrypted']],
    'no key at all': [{ keyPem: 'x' }, ['key-unparsable']],
    'no certificate at all': [{ certificatePem: 'x' }, ['certificate-unparsable']],
    'a broken trust bundle': [
      { trust: ['-----BEGIN CERTIFICATE-----\n'] },
      ['certificate-unparsable'],
    ],
    'an expired leaf': [{ nowMs: NOW_MS + 91 * DAY_MS }, ['expired']],
    'a clock before the leaf': [{ nowMs: NOW_MS - DAY_MS }, ['not-yet-valid']],
    'another name': [{ names: { dns: ['es-2.example'], ip: [] } }, ['name-missing']],
    'another address': [{ names: { dns: [], ip: ['10.0.0.2'] } }, ['name-missing']],
    'a missing intermediate': [{ certificatePem: leaf.pem }, ['chain-incomplete']],
    'another root': [{ trust: [other.root.pem] }, ['chain-incomplete']],
    'another root, own root sent': [
      { trust: [other.root.pem], certificatePem: chain + ca.root.pem },
      ['untrusted'],
    ],
    'no trust at all': [{ trust: [] }, ['chain-incomplete']],
    'a foreign certificate in the chain': [
      { certificatePem: leaf.pem + other.intermediate.pem + ca.intermediate.pem },
      ['chain-order'],
    ],
    'root before intermediate': [
      { certificatePem: leaf.pem + ca.root.pem + ca.intermediate.pem },
      ['chain-order'],
    ],
    'a client certificate': [
      { certificatePem: client.pem + ca.intermediate.pem },
      ['san-missing', 'wrong-purpose'],
    ],
    'a server certificate for a client': [{ purposes: ['client'] }, ['wrong-purpose']],
    'a self-signed leaf that nobody trusts': [{ certificatePem: solo.pem }, ['untrusted']],
    'a self-signed leaf that is trusted': [{ certificatePem: solo.pem, trust: [solo.pem] }, []],
    'an RSA key of 1024 bits': [
      { ...pairOf(ca.server(['es-1.example', 'a.zone.example'], ['10.0.0.1'], { key: weak })) },
      ['weak-key'],
    ],
    'a certificate with a common name only': [
      { ...pairOf(cnOnly), trust: [cnOnly.pem], nowMs: Date.now() },
      ['san-missing'],
    ],
  }
  for (const [what, [change, expected]] of Object.entries(cases))
    t.same(codesOf(change), expected, what)
  // The linter is right to object to the weak key; it has done its part here.
  ca.issued.splice(
    ca.issued.findIndex(one => one.pem === pemWith(weak)),
    1,
  )

  const reversed = codesOf({ certificatePem: ca.intermediate.pem + leaf.pem })
  t.ok(reversed.includes('chain-order'), 'leaf last')
  const ownCa = ca.make({ profile: { kind: 'root' }, name: 'own' })
  t.ok(codesOf({ ...pairOf(ownCa), trust: [ownCa.pem] }).includes('ca-as-leaf'), 'a CA as leaf')
})

await t.test('without trust the chain is still judged', async t => {
  const { trust: _, ...untrusting } = good
  const codes = (change: Partial<PairQuestion>) =>
    checkPair({ ...untrusting, ...change }).map(reason => reason.code)
  t.same(codes({ nowMs: NOW_MS + 91 * DAY_MS }), ['expired'])
  t.same(codes({ certificatePem: leaf.pem + other.intermediate.pem }), ['chain-order'])
  t.same(
    codes({ certificatePem: ca.intermediate.pem + leaf.pem, keyPem: leaf.keyPem }).slice(0, 2),
    ['chain-order', 'ca-as-leaf'],
  )
})

await t.test('a wildcard covers the hosts of its zone and not the zone', async t => {
  const wild = ca.server(['*.zone.example'])
  const codes = (dns: readonly string[]) => codesOf({ ...pairOf(wild), names: { dns, ip: [] } })
  t.same(codes(['x.zone.example']), [])
  t.same(codes(['zone.example']), ['name-missing'])
  t.same(codes(['x.y.zone.example']), ['name-missing'])
})

await t.test('of several ways up, one that is valid is enough', async t => {
  // A CA whose root was renewed with the same key: the old root has expired, the new one not.
  const rootKey = ecKey()
  const rootOf = (nowMs: number, lifetimeMs: number) =>
    ca.make({ profile: { kind: 'root' }, name: 'renewed', key: rootKey, nowMs, lifetimeMs })
  const expired = rootOf(NOW_MS - 200 * DAY_MS, 100 * DAY_MS)
  const current = rootOf(NOW_MS, 100 * DAY_MS)
  const end = ca.make({
    profile: { kind: 'server', names: { dns: ['a.example'], ip: [] }, clientAuth: false },
    issuer: current,
  })
  const codes = (trust: readonly Holder[]) =>
    checkPair({
      certificatePem: end.pem,
      keyPem: end.keyPem,
      trust: trust.map(root => root.pem),
      nowMs: NOW_MS,
    }).map(reason => reason.code)
  t.same(codes([expired, current]), [])
  t.same(codes([current, expired]), [])
  t.same(codes([expired]), ['expired'])

  const impostor = ca.make({ profile: { kind: 'root' }, name: 'renewed' })
  t.same(codes([impostor]), ['untrusted'], 'a root of the same name with another key')
  t.same(codes([impostor, current]), [])
})

await t.test('bad material is a finding and never an exception', async t => {
  const originals = [leaf.pem, ca.intermediate.pem, ca.root.pem].map(
    pem => parseCertificate(pem).raw,
  )
  const seen = new Set<string>()
  fc.assert(
    fc.property(fc.nat(2), fc.nat(1000), fc.nat(255), (which, position, value) => {
      const mutants = originals.map(original => Buffer.from(original))
      const mutant = mutants[which]
      if (mutant !== undefined) mutant[position % mutant.length] = value
      const [end, middle, root] = mutants.map(one => pemOf(one))
      const reasons = checkPair({
        ...good,
        certificatePem: `${end}${middle}`,
        trust: [root ?? ''],
      })
      for (const reason of reasons) seen.add(reason.code)
      return new Set(reasons.map(reason => reason.code)).size === reasons.length
    }),
    { numRuns: 300 },
  )
  t.ok(seen.size >= 4, `mutants were refused as ${[...seen].join(', ')}`)
})

await t.test('a pinned chain leads from the host to the pinned key', async t => {
  const pin = spkiPin(ca.root.pem)
  const presented = [leaf.pem, ca.intermediate.pem, ca.root.pem]
  const codeOf = (pems: readonly string[], host: string, nowMs = NOW_MS, wanted = pin) =>
    verifyPinnedChain(pems, wanted, { host, nowMs })?.code
  t.match(pin, /^sha256:[0-9a-f]{64}$/)
  t.equal(codeOf(presented, 'es-1.example'), undefined)
  t.equal(codeOf(presented, 'x.zone.example'), undefined)
  t.equal(codeOf(presented, '10.0.0.1'), undefined)
  t.equal(
    verifyPinnedChain(
      presented.map(pem => parseCertificate(pem).raw),
      pin,
      { host: 'es-1.example', nowMs: NOW_MS },
    ),
    undefined,
    'as DER',
  )

  t.equal(codeOf(presented, 'es-2.example'), 'name-missing')
  t.equal(codeOf(presented, '10.0.0.2'), 'name-missing')
  t.equal(codeOf(presented, '*.zone.example'), 'name-missing')
  t.equal(codeOf(presented, ''), 'name-missing')
  t.equal(codeOf(presented, 'es-1.example', NOW_MS + 91 * DAY_MS), 'expired')
  t.equal(codeOf(presented.slice(0, 2), 'es-1.example'), 'pin-mismatch', 'root not sent')
  t.equal(codeOf([leaf.pem, ca.root.pem], 'es-1.example'), 'chain-incomplete')
  t.equal(codeOf(presented, 'es-1.example', NOW_MS, spkiPin(other.root.pem)), 'pin-mismatch')
  t.equal(
    codeOf(presented, 'es-1.example', NOW_MS, spkiPin(leaf.pem)),
    'pin-mismatch',
    'a pinned leaf is no CA',
  )
  t.equal(codeOf([], 'es-1.example'), 'certificate-unparsable')
  t.equal(codeOf(['x'], 'es-1.example'), 'certificate-unparsable')
  const attacker = other.server(['es-1.example'])
  t.equal(
    codeOf([attacker.pem, other.intermediate.pem, other.root.pem, ca.root.pem], 'es-1.example'),
    'untrusted',
    'the pinned root is shown beside a foreign chain',
  )
  const client = ca.make({
    profile: { kind: 'client', uris: ['spiffe://f/node/a'] },
    issuer: ca.intermediate,
  })
  t.equal(codeOf([client.pem, ca.intermediate.pem, ca.root.pem], 'es-1.example'), 'wrong-purpose')
})

await t.test('reason codes are unique and in kebab-case', async t => {
  t.equal(new Set(PKI_REASON_CODES).size, PKI_REASON_CODES.length)
  t.ok(PKI_REASON_CODES.every(code => /^[a-z]+(-[a-z]+)*$/.test(code)))
})

await t.test('every certificate made here passes the linter', async t => {
  t.same(ca.lintAll(), [])
  t.same(other.lintAll(), [])
})

function pairOf(holder: Holder): Partial<PairQuestion> {
  const isSolo = parseCertificate(holder.pem).issuer === parseCertificate(holder.pem).subject
  return {
    certificatePem: isSolo ? holder.pem : holder.pem + ca.intermediate.pem,
    keyPem: holder.keyPem,
    names: { dns: [], ip: [] },
  }
}

function pemWith(key: KeyObject): string {
  const match = ca.issued.find(one =>
    parseCertificate(one.pem).publicKey.equals(createPublicKey(key)),
  )
  return match?.pem ?? ''
}

function opensslSelfSigned(args: readonly string[]): Holder {
  const key = ecKey()
  const keyPem = keyPemOf(key)
  const pem = openssl.run([
    'req',
    '-x509',
    '-new',
    '-key',
    openssl.file(keyPem),
    '-subj',
    '/CN=es-1.example',
    '-days',
    '30',
    ...args,
  ])
  return { pem, key, keyPem }
}
