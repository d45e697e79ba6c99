import { createPublicKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  type CaCredential,
  type IssuedLeaf,
  type LeafRequest,
  IDENTITY_LIFETIME_MS,
  createAuthority,
  createIntermediate,
  issueLeaf,
} from '../../../controller/ca/authority.ts'
import { buildCertificate, validity } from '../../../shared/pki/certificate.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { identityOf } from '../../../shared/pki/identity.ts'
import { type LintExpectations, lintCertificate } from '../../../shared/pki/lint.ts'
import { parsePrivateKey } from '../../../shared/pki/keys.ts'
import { normalizeNames } from '../../../shared/pki/names.ts'
import { checkPair } from '../../../shared/pki/pair.ts'
import { parseCertificate } from '../../../shared/pki/pem.ts'
import { spkiPin, verifyPinnedChain } from '../../../shared/pki/pin.ts'
import { serialNumber } from '../../../shared/pki/random.ts'
import {
  DAY_MS,
  NOW_MS,
  createOpenssl,
  ecKey,
  keyPemOf,
  seededRandom,
} from '../../shared/pki/support.ts'

const openssl = createOpenssl()
t.teardown(() => openssl.remove())
const issuing = { nowMs: NOW_MS, random: seededRandom('authority') }
const service = await createAuthority({ ...issuing, kind: 'service', fleet: 'prod' })
const identity = await createAuthority({ ...issuing, kind: 'identity', fleet: 'prod' })
const zoned = await createIntermediate(service.root, {
  ...issuing,
  nameConstraints: { dnsZones: ['prod.example'], ipRanges: ['10.0.0.0/8'] },
})

const key = ecKey()
const publicKeyPem = createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()
const names = { dns: ['es-1.prod.example'], ip: ['10.0.0.1'] }
const server = { publicKeyPem, lifetimeMs: 90 * DAY_MS, profile: 'server', names } as const

const issued: (readonly [IssuedLeaf, LintExpectations])[] = []
/** Issues, and keeps the leaf for the last test. */
function issue(issuer: CaCredential, request: LeafRequest, nowMs = NOW_MS): IssuedLeaf {
  const leaf = issueLeaf(issuer, request, { ...issuing, nowMs })
  const expected = {
    issuerPem: issuer.certificatePem,
    issuedAtMs: nowMs,
    lifetimeMaxMs: request.lifetimeMs,
    profile: profileOf(request),
  }
  issued.push([leaf, expected])
  return leaf
}

function profileOf(request: LeafRequest): LintExpectations['profile'] {
  if (request.profile === 'identity')
    return { kind: 'client', uris: [`spiffe://prod/node/${request.nodeId}`] }
  const uris = request.profile === 'controller' ? { uris: ['spiffe://prod/controller'] } : {}
  return {
    kind: 'server',
    names: request.names,
    clientAuth: request.profile === 'server-client',
    ...uris,
  }
}

await t.test('an authority is a root and an intermediate that the root signed', async t => {
  for (const { root, intermediate } of [service, identity]) {
    const common = { issuerPem: root.certificatePem, issuedAtMs: NOW_MS }
    t.same(
      lintCertificate(root.certificatePem, {
        ...common,
        profile: { kind: 'root' },
        lifetimeMaxMs: 3650 * DAY_MS,
      }),
      [],
    )
    const middle = {
      ...common,
      profile: { kind: 'intermediate' },
      lifetimeMaxMs: 1095 * DAY_MS,
    } as const
    t.same(lintCertificate(intermediate.certificatePem, middle), [])
    t.equal(openssl.verify({ leaf: intermediate.certificatePem, roots: root.certificatePem }), 'OK')
    t.notMatch(JSON.stringify({ root, intermediate }), /PRIVATE/, 'keys do not print')
  }
  t.not(spkiPin(service.root.certificatePem), spkiPin(identity.root.certificatePem))
  const short = await createAuthority({
    ...issuing,
    kind: 'service',
    fleet: 'prod',
    rootLifetimeMs: 30 * DAY_MS,
    intermediateLifetimeMs: 90 * DAY_MS,
  })
  t.equal(
    certificateFacts(short.intermediate.certificatePem).notAfterMs,
    certificateFacts(short.root.certificatePem).notAfterMs,
    'the intermediate does not outlive the root',
  )
})

await t.test('a service leaf is a good pair for its node', async t => {
  for (const profile of ['server', 'server-client'] as const) {
    const leaf = issue(service.intermediate, { ...server, profile })
    const question = {
      certificatePem: leaf.chainPem,
      keyPem: keyPemOf(key),
      trust: [service.root.certificatePem],
      names,
      nowMs: NOW_MS,
    }
    const purposes = profile === 'server' ? (['server'] as const) : (['server', 'client'] as const)
    t.same(checkPair({ ...question, purposes }), [], profile)
    t.match(checkPair({ ...question, trust: [identity.root.certificatePem] }), [
      { code: 'chain-incomplete' },
    ])
    t.equal(leaf.facts.subject, 'CN=es-1.prod.example')
    t.equal(leaf.facts.fingerprint, certificateFacts(leaf.certificatePem).fingerprint)
    t.equal(
      identityOf(parseCertificate(leaf.certificatePem)),
      undefined,
      'it is nobody to the controller',
    )
  }
})

await t.test('identities say who their owner is, and nothing that a server could use', async t => {
  const node = issue(identity.intermediate, {
    publicKeyPem,
    profile: 'identity',
    nodeId: 'es-1',
    lifetimeMs: IDENTITY_LIFETIME_MS,
  })
  const controller = issue(identity.intermediate, {
    publicKeyPem,
    profile: 'controller',
    names: { dns: ['controller.example'], ip: ['10.0.0.9'] },
    lifetimeMs: 30 * DAY_MS,
  })

  t.same(identityOf(parseCertificate(node.certificatePem)), {
    kind: 'node',
    fleet: 'prod',
    nodeId: 'es-1',
  })
  t.same(node.facts.dnsNames, [])
  t.equal(node.facts.notAfterMs - node.facts.notBeforeMs + 1000, 7 * DAY_MS)
  t.same(identityOf(parseCertificate(controller.certificatePem)), {
    kind: 'controller',
    fleet: 'prod',
  })
  const presented = [
    controller.certificatePem,
    identity.intermediate.certificatePem,
    identity.root.certificatePem,
  ]
  const pin = spkiPin(identity.root.certificatePem)
  for (const host of ['controller.example', '10.0.0.9'])
    t.equal(verifyPinnedChain(presented, pin, { host, nowMs: NOW_MS }), undefined, host)
})

await t.test('no CA signs for the other one', async t => {
  const nodeRequest = {
    publicKeyPem,
    profile: 'identity',
    nodeId: 'a',
    lifetimeMs: DAY_MS,
  } as const
  t.throws(() => issueLeaf(service.intermediate, nodeRequest, issuing), /identity CA/)
  t.throws(
    () => issueLeaf(service.intermediate, { ...server, profile: 'controller' }, issuing),
    /identity CA/,
  )
  t.throws(() => issueLeaf(identity.intermediate, server, issuing), /service CA/)
})

await t.test('what should not be signed is refused with a reason', async t => {
  const refused = (change: Partial<typeof server>, code: string, what = code) =>
    t.throws(
      () => issueLeaf(service.intermediate, { ...server, ...change }, issuing),
      { code },
      what,
    )
  const spki = (modulusLength: number) =>
    generateKeyPairSync('rsa', { modulusLength })
      .publicKey.export({ type: 'spki', format: 'pem' })
      .toString()
  refused({ publicKeyPem: spki(1024) }, 'weak-key')
  refused({ publicKeyPem: 'x' }, 'key-unparsable')
  refused({ publicKeyPem: keyPemOf(key) }, 'key-unparsable', 'a private key was sent')
  const caKey = parseCertificate(service.intermediate.certificatePem).publicKey
  const caKeyPem = caKey.export({ type: 'spki', format: 'pem' }).toString()
  refused({ publicKeyPem: caKeyPem }, 'weak-key', 'the key of the CA itself')
  refused({ names: { dns: [], ip: [] } }, 'names-missing')
  refused(
    { names: { dns: ['*.prod.example'], ip: [] } },
    'name-invalid',
    'a wildcard that nobody allowed',
  )
  refused({ names: { dns: ['a\0.example'], ip: [] } }, 'name-invalid')
  refused({ names: { dns: ['10.0.0.1'], ip: [] } }, 'name-invalid', 'an address as a name')
  t.throws(
    () => issueLeaf(service.intermediate, server, { ...issuing, nowMs: NOW_MS + 4000 * DAY_MS }),
    {
      code: 'issuer-expired',
    },
  )
  const wild = issue(service.intermediate, {
    ...server,
    names: { dns: ['*.prod.example'], ip: [] },
    allowWildcard: true,
  })
  t.same(wild.facts.dnsNames, ['*.prod.example'])
})

await t.test('an intermediate with zones issues inside of them only', async t => {
  const leaf = issue(zoned, server)
  const roots = service.root.certificatePem
  t.equal(
    openssl.verify({ leaf: leaf.certificatePem, intermediates: zoned.certificatePem, roots }),
    'OK',
  )
  for (const outside of [
    { dns: ['es-1.test.example'], ip: [] },
    { dns: ['es-1.prod.example'], ip: ['192.168.0.1'] },
    { dns: ['es-1.prod.example'], ip: ['2001:db8::1'] },
  ])
    t.throws(() => issueLeaf(zoned, { ...server, names: outside }, issuing), {
      code: 'outside-name-constraints',
    })

  const namesOnly = await createIntermediate(service.root, {
    ...issuing,
    nameConstraints: { dnsZones: ['prod.example'], ipRanges: [] },
  })
  t.throws(() => issueLeaf(namesOnly, server, issuing), { code: 'outside-name-constraints' })
  // A thief of the intermediate's key is not bound by our check, but by that of every client.
  const stolen = buildCertificate({
    subject: {},
    serial: serialNumber(issuing.random),
    ...validity({ nowMs: NOW_MS, lifetimeMs: DAY_MS, issuerNotAfterMs: NOW_MS + DAY_MS }),
    profile: { kind: 'server', names: { dns: ['es-1.test.example'], ip: [] }, clientAuth: false },
    subjectPublicKey: createPublicKey(key),
    issuer: { certificatePem: zoned.certificatePem, key: parsePrivateKey(zoned.keyPem) },
  })
  t.match(
    openssl.verify({ leaf: stolen, intermediates: zoned.certificatePem, roots }),
    /permitted subtree/,
  )
  t.match(
    checkPair({
      certificatePem: stolen + zoned.certificatePem,
      keyPem: keyPemOf(key),
      trust: [roots],
      nowMs: NOW_MS,
    }),
    [{ code: 'name-constraints' }],
  )
})

await t.test(
  'the names in a leaf are the normalized names of the request, whatever they are',
  async () => {
    const host = fc.stringMatching(/^[A-Z][a-z0-9]{0,10}\.(Prod|test)\.example\.?$/)
    const wanted = fc.record({
      dns: fc.array(host, { minLength: 1, maxLength: 4 }),
      ip: fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 3 }),
    })
    fc.assert(
      fc.property(wanted, request => {
        const { facts } = issueLeaf(service.intermediate, { ...server, names: request }, issuing)
        const normal = normalizeNames(request, { wildcard: false })
        return (
          facts.dnsNames.join() === normal.dns.join() &&
          facts.ipAddresses.join() === normal.ip.join() &&
          facts.uris.length === 0
        )
      }),
      { numRuns: 60 },
    )
  },
)

await t.test('names longer than a subject may be leave the subject empty', async t => {
  const long = `${'a'.repeat(63)}.${'b'.repeat(30)}.prod.example`
  const leaf = issue(service.intermediate, { ...server, names: { dns: [long], ip: [] } })
  t.equal(leaf.facts.subject, '')
  const roots = service.root.certificatePem
  const intermediates = service.intermediate.certificatePem
  t.equal(openssl.verify({ leaf: leaf.certificatePem, intermediates, roots }), 'OK')
})

await t.test('a leaf never outlives its intermediate', async t => {
  const late = NOW_MS + 1090 * DAY_MS
  const leaf = issue(service.intermediate, server, late)
  t.equal(leaf.facts.notAfterMs, certificateFacts(service.intermediate.certificatePem).notAfterMs)
})

await t.test('every leaf issued here passes the linter and OpenSSL', async t => {
  const serials = new Set(issued.map(([leaf]) => leaf.facts.serial))
  t.equal(serials.size, issued.length)
  for (const [leaf, expected] of issued) {
    t.same(lintCertificate(leaf.certificatePem, expected), [])
    t.equal(
      openssl.verify({
        leaf: leaf.certificatePem,
        intermediates: [service.intermediate, zoned, identity.intermediate]
          .map(one => one.certificatePem)
          .join(''),
        roots: service.root.certificatePem + identity.root.certificatePem,
        nowMs: expected.issuedAtMs,
      }),
      'OK',
    )
  }
})
