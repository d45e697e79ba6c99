import { X509Certificate, createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { buildCertificate, validity } from '../../../shared/pki/certificate.ts'
import { buildCsr } from '../../../shared/pki/csr.ts'
import { certificateDetails } from '../../../shared/pki/extensions.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { publicKeyDigest } from '../../../shared/pki/keys.ts'
import { lintCertificate } from '../../../shared/pki/lint.ts'
import { normalizeNames } from '../../../shared/pki/names.ts'
import { parseCertificate, pemOf, splitPemCertificates } from '../../../shared/pki/pem.ts'
import type { CertificateProfile } from '../../../shared/pki/profile.ts'
import { bundleDigest, bundleFingerprints, normalizeBundle } from '../../../shared/pki/trust.ts'
import { DAY_MS, NOW_MS, createOpenssl, createTestCa, ecKey } from './support.ts'

const ca = createTestCa('certificate')
const openssl = createOpenssl()
t.teardown(() => openssl.remove())

const serverProfile = (dns: readonly string[], ip: readonly string[] = []): CertificateProfile => ({
  kind: 'server',
  names: { dns, ip },
  clientAuth: false,
})
// One RSA key for the file: making them is slow.
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

await t.test('facts say what is in a certificate', async t => {
  const leaf = ca.server(['ES-1.example', '*.zone.example'], ['10.0.0.1', '2001:DB8::1'], {
    name: 'es-1',
  })
  const facts = certificateFacts(leaf.pem)
  const x509 = new X509Certificate(leaf.pem)

  t.match(facts, {
    fingerprint: x509.fingerprint256.replaceAll(':', '').toLowerCase(),
    subject: 'CN=es-1',
    issuer: 'CN=certificate intermediate',
    serial: x509.serialNumber.toLowerCase(),
    uris: [],
    notBeforeMs: NOW_MS - 5 * 60_000,
    notAfterMs: NOW_MS - 5 * 60_000 + 90 * DAY_MS - 1000,
    isCa: false,
    selfSigned: false,
    publicKeyDigest: publicKeyDigest(leaf.key),
    keyType: 'ec-p256',
  })
  t.same([...facts.dnsNames].toSorted(), ['*.zone.example', 'es-1.example'])
  t.same([...facts.ipAddresses].toSorted(), ['10.0.0.1', '2001:db8::1'])
  t.match(certificateFacts(ca.root.pem), { isCa: true, selfSigned: true, dnsNames: [] })
  t.same(certificateFacts(x509.raw), facts, 'from DER, PEM and X509Certificate alike')
  t.same(certificateFacts(x509), facts)
})

await t.test('every kind of key gets and gives certificates that OpenSSL accepts', async t => {
  const rsaCa = ca.make({
    profile: { kind: 'root' },
    key: rsa,
    name: 'rsa root',
    lifetimeMs: 900 * DAY_MS,
  })
  const fromRsa = ca.make({ profile: serverProfile(['a.example']), issuer: rsaCa })
  const forRsa = ca.server(['b.example'], [], { key: rsa })
  const both = ca.make({
    profile: { kind: 'server', names: { dns: ['es.example'], ip: [] }, clientAuth: true },
    issuer: ca.intermediate,
  })
  const client = ca.make({
    profile: { kind: 'client', uris: ['spiffe://fleet/node/a'] },
    issuer: ca.intermediate,
    name: 'a',
  })
  const selfSigned = ca.make({ profile: serverProfile(['solo.example'], ['127.0.0.1']) })

  t.equal(openssl.verify({ leaf: fromRsa.pem, roots: rsaCa.pem }), 'OK')
  t.equal(
    openssl.verify({ leaf: selfSigned.pem, roots: selfSigned.pem }),
    'OK',
    'a trusted self-signed leaf',
  )
  const purposes: readonly (readonly [string, string, string])[] = [
    [forRsa.pem, 'sslserver', 'OK'],
    [both.pem, 'sslserver', 'OK'],
    [both.pem, 'sslclient', 'OK'],
    [client.pem, 'sslclient', 'OK'],
    [client.pem, 'sslserver', 'purpose'],
    [forRsa.pem, 'sslclient', 'purpose'],
  ]
  for (const [leaf, purpose, expected] of purposes)
    t.match(
      openssl.verify({
        leaf,
        intermediates: ca.intermediate.pem,
        roots: ca.root.pem,
        more: ['-purpose', purpose],
      }),
      expected,
      purpose,
    )
  t.match(openssl.text(forRsa.pem), /Key Usage: critical\s+Digital Signature, Key Encipherment/)
  t.match(openssl.text(both.pem), /Subject Alternative Name: critical\s+DNS:es\.example\n/)
  t.notMatch(openssl.text(client.pem), /Alternative Name: critical/, 'only without a subject')
})

await t.test('issued names are exactly the normalized names that were asked for', async () => {
  const label = fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z])?$/)
  const host = fc
    .tuple(label, fc.constantFrom('.example', '.Bücher.example', '.internal.'))
    .map(parts => parts.join(''))
  const names = fc.record({
    dns: fc.array(host, { minLength: 1, maxLength: 5 }),
    ip: fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 4 }),
  })
  const issuer = { certificatePem: ca.intermediate.pem, key: ca.intermediate.key }
  const subjectPublicKey = createPublicKey(ecKey())

  fc.assert(
    fc.property(names, wanted => {
      const certificate = buildCertificate({
        subject: {},
        serial: ca.random(16).fill(0x41, 0, 1),
        ...validity({ nowMs: NOW_MS, lifetimeMs: DAY_MS, issuerNotAfterMs: NOW_MS + 10 * DAY_MS }),
        profile: serverProfile(wanted.dns, wanted.ip),
        subjectPublicKey,
        issuer,
      })
      const facts = certificateFacts(certificate)
      const normal = normalizeNames(wanted, { wildcard: false })
      return (
        JSON.stringify([facts.dnsNames, facts.ipAddresses]) ===
        JSON.stringify([normal.dns, normal.ip])
      )
    }),
    { numRuns: 50 },
  )
})

await t.test('a certificate never outlives its issuer, and is never issued dead', async t => {
  const shortCa = ca.make({ profile: { kind: 'root' }, name: 'short', lifetimeMs: DAY_MS })
  const caNotAfterMs = certificateFacts(shortCa.pem).notAfterMs
  const late = NOW_MS + DAY_MS / 2
  const leaf = ca.make({ profile: serverProfile(['a.example']), issuer: shortCa, nowMs: late })
  t.equal(certificateFacts(leaf.pem).notAfterMs, caNotAfterMs, 'clamped to the issuer')

  const request = { profile: serverProfile(['a.example']), issuer: shortCa }
  t.throws(() => ca.make({ ...request, nowMs: NOW_MS + 2 * DAY_MS }), { code: 'issuer-expired' })
  t.throws(
    () => ca.make({ ...request, lifetimeMs: 60_000 }),
    { code: 'issuer-expired' },
    'shorter than the backdate',
  )
  t.throws(
    () =>
      buildCertificate({
        subject: {},
        serial: ca.random(16),
        notBeforeMs: NOW_MS,
        notAfterMs: caNotAfterMs + 1000,
        profile: serverProfile(['a.example']),
        subjectPublicKey: createPublicKey(ecKey()),
        issuer: { certificatePem: shortCa.pem, key: shortCa.key },
      }),
    { code: 'issuer-unusable' },
  )
})

await t.test('dates beyond 2049 are read back by OpenSSL', async t => {
  const root = ca.make({ profile: { kind: 'root' }, name: 'long', lifetimeMs: 30 * 365 * DAY_MS })
  t.match(openssl.text(root.pem), /Not After : .* 2056 GMT/)
  t.equal(openssl.verify({ leaf: root.pem, roots: root.pem, nowMs: Date.UTC(2055, 0, 1) }), 'OK')
})

await t.test('an issuer that cannot issue is refused', async t => {
  const leaf = ca.server(['a.example'])
  const profile = serverProfile(['b.example'])
  t.throws(() => ca.make({ profile, issuer: leaf }), { code: 'issuer-unusable' }, 'a leaf')
  const stranger = { ...ca.intermediate, key: ecKey() }
  t.throws(
    () => ca.make({ profile, issuer: stranger }),
    { code: 'issuer-unusable' },
    'the wrong key',
  )
  t.throws(
    () => ca.make({ profile: { kind: 'intermediate' }, name: 'second', issuer: ca.intermediate }),
    { code: 'issuer-unusable' },
    'an intermediate under an intermediate',
  )
  t.throws(() => ca.make({ profile: serverProfile([]), issuer: ca.intermediate }), {
    code: 'names-missing',
  })
  t.throws(() => ca.make({ profile: serverProfile(['a b']), issuer: ca.intermediate }), {
    code: 'name-invalid',
  })
  t.throws(() => ca.make({ profile, name: 'x'.repeat(65) }), { code: 'name-invalid' })
  const ed25519 = generateKeyPairSync('ed25519').privateKey
  t.throws(() => ca.make({ profile, key: ed25519 }), { code: 'issuer-unusable' })
})

await t.test('an intermediate with zones is understood by OpenSSL, leaf by leaf', async t => {
  const zoned = (dnsZones: readonly string[], ipRanges: readonly string[]) =>
    ca.make({
      profile: { kind: 'intermediate', permitted: { dnsZones, ipRanges } },
      name: `zones ${dnsZones.join()} ${ipRanges.join()}`,
      issuer: ca.root,
      lifetimeMs: 500 * DAY_MS,
    })
  const both = zoned(['prod.example'], ['10.0.0.0/8'])
  const namesOnly = zoned(['prod.example'], [])
  const addressesOnly = zoned([], ['10.0.0.0/8', '2001:db8::/32'])
  const cases: readonly (readonly [typeof both, readonly string[], readonly string[], boolean])[] =
    [
      [both, ['a.prod.example', 'prod.example'], ['10.1.2.3'], true],
      [both, ['a.test.example'], [], false],
      [both, ['aprod.example'], [], false],
      [both, ['a.prod.example'], ['11.0.0.1'], false],
      [both, ['a.prod.example'], ['2001:db8::1'], false],
      [namesOnly, ['a.prod.example'], [], true],
      [namesOnly, ['a.prod.example'], ['10.1.2.3'], false],
      [namesOnly, ['a.prod.example'], ['2001:db8::1'], false],
      [addressesOnly, [], ['10.1.2.3', '2001:db8::1'], true],
      [addressesOnly, ['a.prod.example'], ['10.1.2.3'], false],
    ]
  for (const [issuer, dns, ip, isAllowed] of cases) {
    const leaf = ca.make({ profile: serverProfile(dns, ip), issuer, name: 'x' })
    const result = openssl.verify({ leaf: leaf.pem, intermediates: issuer.pem, roots: ca.root.pem })
    t.match(
      result,
      isAllowed ? /^OK$/ : /permitted subtree violation|excluded subtree violation/,
      [...dns, ...ip].join(),
    )
  }
})

await t.test('text with certificates is split, whatever stands between them', async t => {
  const { root, intermediate } = ca
  const text = `subject=x\r\n${root.pem.replaceAll('\n', '\r\n')}\n# comment\n\n  ${intermediate.pem}`
  t.same(splitPemCertificates(text), [root.pem, intermediate.pem])
  t.same(splitPemCertificates('no certificate'), [])
  t.equal(pemOf(parseCertificate(root.pem).raw), root.pem)

  const begin = '-----BEGIN CERTIFICATE-----\n'
  const end = '-----END CERTIFICATE-----\n'
  for (const bad of [begin, `${begin}!!!\n${end}`, `${begin}${end}`])
    t.throws(() => splitPemCertificates(bad), { code: 'certificate-unparsable' })
  t.throws(() => splitPemCertificates(begin.repeat(100_000)), { code: 'certificate-unparsable' })
  const der = parseCertificate(root.pem).raw
  for (const bad of [
    `${begin}AAAA\n${end}`,
    root.pem + root.pem,
    '',
    Buffer.concat([der, Buffer.of(0)]),
  ])
    t.throws(() => parseCertificate(bad), { code: 'certificate-unparsable' })
})

await t.test('a trust bundle is a set: order, copies and comments do not matter', async t => {
  const { root, intermediate } = ca
  const a = [root.pem, intermediate.pem]
  const b = [`# old\n${intermediate.pem}${root.pem}`, root.pem.replaceAll('\n', '\r\n')]
  t.equal(normalizeBundle(a), normalizeBundle(b))
  t.equal(bundleDigest(a), bundleDigest(b))
  t.equal(bundleDigest([normalizeBundle(a)]), bundleDigest(a))
  t.not(bundleDigest(a), bundleDigest([root.pem]))
  t.same(splitPemCertificates(normalizeBundle(a)).length, 2)
  t.equal(normalizeBundle([]), '')
  t.same(
    bundleFingerprints(a),
    [root, intermediate].map(one => certificateFacts(one.pem).fingerprint).toSorted(),
  )
})

await t.test('a request for an external CA is signed and names what it wants', async t => {
  const names = { dns: ['a.example', '*.zone.example'], ip: ['10.0.0.1'] }
  for (const key of [ecKey(), rsa]) {
    const csr = buildCsr({ key, names, subject: { commonName: 'a.example' } })
    const text = openssl.run(['req', '-in', openssl.file(csr), '-verify', '-noout', '-text'])
    t.match(
      text,
      /DNS:\*\.zone\.example, IP Address:10\.0\.0\.1|DNS:a\.example, DNS:\*\.zone\.example/,
    )
    t.match(text, /Subject: CN = a\.example/)
    const key2 = openssl.run(['req', '-in', openssl.file(csr), '-verify', '-noout', '-pubkey'])
    t.equal(publicKeyDigest(key2), publicKeyDigest(key))
  }
  t.match(
    openssl.run([
      'req',
      '-in',
      openssl.file(buildCsr({ key: ecKey(), names })),
      '-verify',
      '-noout',
      '-text',
    ]),
    /Subject: \n/,
  )
})

await t.test('the linter finds what is not as it should be', async t => {
  const leaf = ca.server(['a.example'])
  const good = {
    profile: serverProfile(['a.example']),
    issuerPem: ca.intermediate.pem,
    issuedAtMs: NOW_MS,
    lifetimeMaxMs: 90 * DAY_MS,
  }
  const codes = (expected: Partial<typeof good>, pem = leaf.pem) =>
    lintCertificate(pem, { ...good, ...expected }).map(finding => finding.code)

  t.same(codes({}), [])
  t.same(codes({ profile: serverProfile(['b.example']) }), ['names-differ'])
  t.same(codes({ lifetimeMaxMs: 89 * DAY_MS }), ['lifetime'])
  t.same(codes({ issuedAtMs: NOW_MS + 1000 }), ['backdate'])
  t.same(codes({ issuerPem: ca.root.pem }), ['authority-key-id', 'signature'])
  t.same(
    codes({ profile: { kind: 'server', names: { dns: ['a.example'], ip: [] }, clientAuth: true } }),
    ['extended-key-usage'],
  )
  t.ok(codes({ profile: { kind: 'root' } }).includes('ca-flag'))
  const tiny = buildCertificate({
    subject: {},
    serial: Uint8Array.of(1),
    ...validity({ nowMs: NOW_MS, lifetimeMs: DAY_MS, issuerNotAfterMs: NOW_MS + DAY_MS }),
    profile: good.profile,
    subjectPublicKey: createPublicKey(leaf.key),
    issuer: { certificatePem: ca.intermediate.pem, key: ca.intermediate.key },
  })
  t.same(codes({}, tiny), ['serial'])

  // What openssl makes by default: a CA flag, no purposes, no names.
  const keyFile = openssl.file(leaf.keyPem)
  const foreign = openssl.run([
    'req',
    '-x509',
    '-new',
    '-key',
    keyFile,
    '-subj',
    '/CN=a.example',
    '-days',
    '30',
  ])
  const found = codes({ issuerPem: foreign, issuedAtMs: Date.now() }, foreign)
  for (const code of ['ca-flag', 'key-usage', 'extended-key-usage', 'san-missing', 'backdate'])
    t.ok(found.includes(code), code)
})

await t.test('extensions are read as OpenSSL reads them', async t => {
  const details = certificateDetails(new X509Certificate(ca.intermediate.pem))
  const text = openssl.text(ca.intermediate.pem).replaceAll(/[\n ]+/g, ' ')
  const colons = (id = '') => id.toUpperCase().match(/../g)?.join(':') ?? ''
  t.match(text, `Subject Key Identifier: ${colons(details.subjectKeyId)}`)
  t.match(text, `Authority Key Identifier: ${colons(details.authorityKeyId)}`)
  t.match(details, {
    version: 3,
    basicConstraints: { isCa: true, pathLength: 0, isCritical: true },
  })
  t.same(details.keyUsage?.bits, [5, 6])
})

await t.test(
  'every certificate made here passes the linter and the strict checks of OpenSSL',
  async t => {
    t.same(ca.lintAll(), [])
    t.ok(ca.issued.length > 20)
    const bundle = ca.issued.filter(one => one.profile.kind === 'root' || one.pem === one.issuerPem)
    const roots = bundle.map(one => one.pem).join('')
    const leaf = ca.issued
      .filter(one => one.issuerPem === ca.intermediate.pem)
      .map(one => openssl.file(one.pem))
    const output = openssl.run([
      'verify',
      '-x509_strict',
      '-attime',
      String(NOW_MS / 1000),
      '-CAfile',
      openssl.file(roots),
      '-untrusted',
      openssl.file(ca.intermediate.pem),
      ...leaf,
    ])
    t.equal(output.match(/: OK$/gm)?.length, leaf.length)
  },
)
