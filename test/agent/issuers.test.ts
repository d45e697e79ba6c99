// Where leaves come from: each issuer, and what is wrong with what it was given.

import { createPrivateKey, X509Certificate } from 'node:crypto'
import t from 'tap'
import { OperationalError } from '../../shared/errors.ts'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { generateKey } from '../../shared/pki/keys.ts'
import { splitPemCertificates } from '../../shared/pki/pem.ts'
import { type Issuer, type ServerTls, isServer } from '../../shared/contract/service.ts'
import { issueLeaf, type IssueRequest } from '../../agent/issue-leaf.ts'
import {
  type LocalIssuers,
  NO_LOCAL_ISSUERS,
  observeLocalTrust,
  observeSource,
} from '../../agent/issuers.ts'
import { createMemoryCa, DAY_MS } from '../support/fake-controller.ts'
import { newNode, wish } from '../support/memory-fleet.ts'

const CERTIFICATE = '/etc/pki/tls.crt'
const KEY = '/etc/pki/tls.key'
const PATHS = { certificate: CERTIFICATE, privateKey: KEY }
const LOCAL_CA: LocalIssuers = { files: {}, localCa: PATHS }
const FILES: LocalIssuers = { files: { prometheus: PATHS }, localCa: undefined }

const keys = await generateKey('ec-p256')
const noted: string[] = []
const note = async (path: string) => void noted.push(path)

async function intent(issuer: Issuer): Promise<ServerTls> {
  const [first] = await wish()
  if (first === undefined || !isServer(first)) throw new Error('no wish')
  return { ...first, certificate: { ...first.certificate, issuer } }
}

/** A node on which these files are where the other tool, or the operator, places them. */
function nodeWith(certificate: string | undefined, key: string | undefined) {
  const node = newNode()
  if (certificate !== undefined) node.files.put(CERTIFICATE, certificate)
  if (key !== undefined) node.files.put(KEY, key)
  return node
}

async function issue(
  issuer: Issuer,
  node = newNode(),
  issuers = NO_LOCAL_ISSUERS,
  more: Partial<IssueRequest> = {},
): Promise<string> {
  const { certificate: spec, service } = await intent(issuer)
  const nowMs = node.nowMs()
  return issueLeaf(node.host, issuers, undefined, {
    service,
    spec,
    clientUse: false,
    keys,
    nowMs,
    ...more,
  })
}

const codeOf = (error: unknown) => (error instanceof OperationalError ? error.code : String(error))
const failed = (work: Promise<unknown>) => work.then(() => 'no error', codeOf)

await t.test(
  'self-signed: a leaf that is its own trust, for the names and the time wanted',
  async t => {
    const node = newNode()

    const pem = await issue('self-signed', node)

    const facts = certificateFacts(pem)
    t.match(facts, { selfSigned: true, isCa: false, dnsNames: ['localhost', 'n1'] })
    t.strictSame(facts.ipAddresses, ['127.0.0.1'])
    t.ok(facts.notBeforeMs <= node.nowMs() && facts.notBeforeMs > node.nowMs() - 600_000)
    t.ok(Math.abs(facts.notAfterMs - facts.notBeforeMs - 90 * DAY_MS) < 2_000)
    t.ok(new X509Certificate(pem).checkPrivateKey(createPrivateKey(keys.privateKeyPem.reveal())))
    t.not(certificateFacts(await issue('self-signed', node)).serial, facts.serial)
  },
)

await t.test('client use is in the certificate only where it is wanted', async t => {
  const usages = async (clientUse: boolean) =>
    new X509Certificate(await issue('self-signed', newNode(), NO_LOCAL_ISSUERS, { clientUse }))
      .keyUsage

  t.notOk((await usages(false)).includes('1.3.6.1.5.5.7.3.2'))
  t.ok((await usages(true)).includes('1.3.6.1.5.5.7.3.2'))
})

await t.test(
  'local-ca: issued by it, never longer than it, and its root is what clients trust',
  async t => {
    const node = newNode()
    const ca = createMemoryCa(node.nowMs())
    node.files.put(CERTIFICATE, ca.certificatePem)
    node.files.put(KEY, ca.keyPem)

    const pem = await issue('local-ca', node, LOCAL_CA)

    t.equal(splitPemCertificates(pem).length, 1, 'without the root, which clients have')
    t.ok(new X509Certificate(pem).verify(new X509Certificate(ca.certificatePem).publicKey))
    t.strictSame(await observeLocalTrust(node.host, LOCAL_CA, await intent('local-ca'), note), [
      ca.certificatePem,
    ])
    t.ok(noted.includes(CERTIFICATE), 'its change wakes the loop')
    t.strictSame(
      await observeLocalTrust(node.host, LOCAL_CA, await intent('self-signed'), note),
      [],
    )
    node.advance(3_649.9 * DAY_MS)
    const last = certificateFacts(await issue('local-ca', node, LOCAL_CA))
    t.ok(last.notAfterMs <= certificateFacts(ca.certificatePem).notAfterMs)
  },
)

await t.test('local-ca: what is wrong with it is said, and nothing is issued', async t => {
  const { clock } = newNode().host
  const nowMs = () => clock.now()
  const ca = createMemoryCa(nowMs())
  const other = createMemoryCa(nowMs())
  const leaf = ca.issue(keys.publicKeyPem, nowMs(), DAY_MS)
  const garbage = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'
  const encrypted = garbage.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE')
  const problems = {
    'no certificate file': [undefined, ca.keyPem, 'source-missing'],
    'no key file': [ca.certificatePem, undefined, 'source-missing'],
    'an empty certificate file': ['', ca.keyPem, 'certificate-unparsable'],
    'a torn certificate': [ca.certificatePem.slice(0, 300), ca.keyPem, 'certificate-unparsable'],
    'an empty key file': [ca.certificatePem, '', 'key-unparsable'],
    'a key that is none': [ca.certificatePem, garbage, 'key-unparsable'],
    'an encrypted key': [ca.certificatePem, encrypted, 'key-encrypted'],
    'the key of another CA': [ca.certificatePem, other.keyPem, 'issuer-unusable'],
    'a leaf in place of a CA': [leaf, keys.privateKeyPem.reveal(), 'issuer-unusable'],
  } as const
  for (const [what, [certificate, key, code]] of Object.entries(problems))
    t.equal(await failed(issue('local-ca', nodeWith(certificate, key), LOCAL_CA)), code, what)

  const old = nodeWith(ca.certificatePem, ca.keyPem)
  old.advance(3_651 * DAY_MS)
  t.equal(await failed(issue('local-ca', old, LOCAL_CA)), 'issuer-expired')
  t.equal(await failed(issue('local-ca')), 'issuer-unavailable', 'none is configured')
  // It is missed as well where there is a certificate that may or may not be one of it.
  const { host } = newNode()
  const wanted = await intent('local-ca')
  t.equal(await failed(observeLocalTrust(host, LOCAL_CA, wanted, note)), 'source-missing')
  t.equal(
    await failed(observeLocalTrust(host, NO_LOCAL_ISSUERS, wanted, note)),
    'issuer-unavailable',
  )
})

await t.test('internal needs a controller, and asks it for this service and key only', async t => {
  const { certificate: spec } = await intent('internal')
  const asked: unknown[] = []
  const request = { service: 'influxdb', spec, clientUse: false, keys, nowMs: 0 } as const

  const pem = await issueLeaf(
    newNode().host,
    NO_LOCAL_ISSUERS,
    async question => {
      asked.push(question)
      return 'chain'
    },
    request,
  )

  t.equal(pem, 'chain')
  t.strictSame(asked, [{ service: 'influxdb', keys }])
  t.equal(await failed(issue('internal')), 'issuer-unavailable')
  t.equal(
    await failed(issue('files', newNode(), FILES)),
    'issuer-unavailable',
    'a pair is taken over',
  )
})

await t.test('files: a good pair is what it is', async t => {
  const node = newNode()
  const leaf = createMemoryCa(node.nowMs()).issue(keys.publicKeyPem, node.nowMs(), DAY_MS)
  node.files.put(CERTIFICATE, leaf)
  node.files.put(KEY, keys.privateKeyPem.reveal())
  noted.length = 0

  const source = await observeSource(node.host, FILES, await intent('files'), note)

  t.match(source, { kind: 'pair', chainPem: leaf })
  t.strictSame(noted, [CERTIFICATE, KEY])
  t.equal(await observeSource(node.host, FILES, await intent('self-signed'), note), undefined)
})

await t.test('files: what is wrong with a pair is said', async t => {
  const { clock } = newNode().host
  const nowMs = () => clock.now()
  const ca = createMemoryCa(nowMs())
  const other = await generateKey('ec-p256')
  const leaf = ca.issue(keys.publicKeyPem, nowMs(), DAY_MS)
  const key = keys.privateKeyPem.reveal()
  const problems = {
    'no certificate yet': [undefined, key, 'source-missing'],
    'no key yet': [leaf, undefined, 'source-missing'],
    'a certificate half written': [leaf.slice(0, 200), key, 'certificate-unparsable'],
    'a key half written': [leaf, key.slice(0, 60), 'key-unparsable'],
    'an empty key': [leaf, '', 'key-unparsable'],
    'another key': [leaf, other.privateKeyPem.reveal(), 'key-mismatch'],
    'the chain in the wrong order': [ca.certificatePem + leaf, key, 'chain-order'],
    'a certificate where the key belongs': [leaf, leaf, 'key-unparsable'],
  } as const
  for (const [what, [certificate, given, code]] of Object.entries(problems)) {
    const node = nodeWith(certificate, given)
    const source = await observeSource(node.host, FILES, await intent('files'), note)
    t.match(source, { kind: 'unusable', reason: { code } }, what)
    t.notMatch(JSON.stringify(source), key.split('\n')[1] ?? '', 'without a part of the key')
  }
  const nowhere = await observeSource(newNode().host, NO_LOCAL_ISSUERS, await intent('files'), note)
  t.match(nowhere, {
    kind: 'unusable',
    reason: { code: 'source-not-configured', message: /prometheus/ },
  })
  const locked = nodeWith(leaf, key)
  const denied = async () => {
    throw new OperationalError('permission-denied', `could not read ${KEY}`)
  }
  const unreadable = { ...locked.host, files: { ...locked.files, read: denied } }
  t.match(await observeSource(unreadable, FILES, await intent('files'), note), {
    reason: { code: 'permission-denied', message: /tls\.key/ },
  })
})
