// Judging what a listener was seen serving.

import t from 'tap'
import { certificateFacts } from '../../shared/pki/facts.ts'
import type { Handshake } from '../../agent/host.ts'
import { ANY_LEAF, judgeServed } from '../../agent/served.ts'
import type { ListenerIntent } from '../../agent/services/service.ts'
import { createIdentity } from '../support/fake-controller.ts'

const LISTENER: ListenerIntent = {
  name: 'https :9090',
  host: '127.0.0.1',
  port: 9090,
  serverName: 'n1',
  healthPath: '/-/ready',
  healthyStatuses: [200, 204],
  clientCertificate: false,
  scheme: 'https',
}
const PEM = createIdentity(Date.UTC(2026, 0, 1)).certificateChain
const { fingerprint, issuer, notAfterMs, dnsNames, ipAddresses } = certificateFacts(PEM)
const names = { dns: [...dnsNames], ip: [...ipAddresses] }
const GOOD = {
  kind: 'tls',
  fingerprint,
  chainPem: [PEM],
  protocol: 'TLSv1.3',
  untrusted: undefined,
  http: { status: 200, headers: {}, body: '' },
} as const satisfies Handshake

const judge = (handshake: Handshake, expected: string | undefined = fingerprint) =>
  judgeServed({ listener: LISTENER, handshake }, expected)

await t.test('the expected leaf, trusted and in health, is as wanted', async t => {
  t.strictSame(judge(GOOD), {
    listener: 'https :9090',
    port: 9090,
    fingerprint,
    protocol: 'TLSv1.3',
    issuer,
    notAfterMs,
    names,
    chain: [],
    health: 'GET /-/ready 200',
    ok: true,
    reason: { code: 'served-as-wanted', message: 'https :9090 serves the certificate in use' },
  })
})

await t.test('everything else is not, and why', async t => {
  const refused = { code: 'connection-refused', message: 'nobody there' }
  const untrusted = { code: 'issuer-unknown', message: 'not trusted' }
  for (const [code, handshake] of [
    ['connection-refused', { kind: 'unreachable', reason: refused }],
    ['served-plaintext', { kind: 'plaintext', http: GOOD.http }],
    ['served-stale', { ...GOOD, fingerprint: 'other' }],
    ['served-stale', { ...GOOD, fingerprint: 'other', untrusted, http: undefined }],
    ['issuer-unknown', { ...GOOD, untrusted }],
    ['health-no-answer', { ...GOOD, http: undefined }],
    ['unhealthy', { ...GOOD, http: { status: 503, headers: {}, body: '' } }],
    ['unhealthy', { ...GOOD, http: { status: 301, headers: {}, body: '' } }],
  ] as const satisfies readonly (readonly [string, Handshake])[]) {
    const { ok, reason } = judge(handshake)
    t.strictSame([ok, reason.code], [false, code])
    t.ok(reason.message.length > 0)
  }
  t.equal(judge({ ...GOOD, http: { ...GOOD.http, status: 204 } }).ok, true)
  t.equal(
    judgeServed({ listener: LISTENER, handshake: GOOD }, undefined).reason.code,
    'served-stale',
  )
})

await t.test('where no TLS is wanted, an answer without it in health is as wanted', async t => {
  const plain = { ...LISTENER, name: 'http :9090', scheme: 'http' } as const
  const judged = (handshake: Handshake) => judgeServed({ listener: plain, handshake }, ANY_LEAF)

  t.strictSame(judged({ kind: 'plaintext', http: GOOD.http }), {
    listener: 'http :9090',
    port: 9090,
    health: 'GET /-/ready 200',
    ok: true,
    reason: { code: 'served-as-wanted', message: 'http :9090 answers without TLS' },
  })
  t.match(judged(GOOD), { ok: false, fingerprint, reason: { code: 'served-tls' } })
  t.equal(judged({ kind: 'plaintext', http: undefined }).reason.code, 'health-no-answer')
  t.equal(
    judged({ kind: 'plaintext', http: { ...GOOD.http, status: 503 } }).reason.code,
    'unhealthy',
  )
})

await t.test('a listener whose certificate is not ours needs TLS and health alone', async t => {
  const untrusted = { code: 'issuer-unknown', message: 'not trusted' }

  t.equal(judge({ ...GOOD, untrusted }, ANY_LEAF).ok, true)
  t.equal(judge({ kind: 'plaintext', http: GOOD.http }, ANY_LEAF).reason.code, 'served-plaintext')
  t.equal(judge({ ...GOOD, http: undefined }, ANY_LEAF).reason.code, 'health-no-answer')
})

await t.test('what somebody else serves need not be readable', async t => {
  for (const chainPem of [[], ['garbage'], [PEM.slice(0, 200)]]) {
    const seen = judge({ ...GOOD, chainPem, fingerprint: 'other' })
    t.strictSame([seen.ok, seen.issuer, seen.fingerprint], [false, undefined, 'other'])
  }
})
