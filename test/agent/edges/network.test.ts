import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type Server } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import t, { type Test } from 'tap'
import { createNetwork } from '../../../agent/edges/network.ts'
import type { Handshake, HandshakeTarget } from '../../../agent/host.ts'
import { Secret } from '../../../shared/secret.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { createTestCa, type Pair, selfSigned, serverProfile } from './test-ca.ts'

const ca = createTestCa()
const trust = [ca.certificatePem]
const NAME = 'es-1.test'
const good = ca.issue({ profile: serverProfile([NAME], ['10.1.2.3']) })

async function portOf(t: Test, server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

function target(port: number, more: Partial<HandshakeTarget> = {}): HandshakeTarget {
  return { host: '127.0.0.1', port, serverName: NAME, trust, timeoutMs: 30_000, ...more }
}

function withPair({ certificatePem, keyPem }: Pair, more: TlsOptions = {}): TlsOptions {
  return { cert: certificatePem, key: keyPem, ...more }
}

/** A TLS server that answers every request with its method and path. */
function httpsServer(pair: Pair, more: TlsOptions = {}): Server {
  return createHttpsServer(withPair(pair, more), (request, response) => {
    response.setHeader('X-Version', '1.2')
    response.end(`${request.method} ${request.url} ${request.headers.host}`)
  })
}

function untrustedCode(handshake: Handshake): string | undefined {
  return handshake.kind === 'tls' ? handshake.untrusted?.code : `not tls: ${handshake.kind}`
}

function reasonCode(handshake: Handshake): string {
  return handshake.kind === 'unreachable'
    ? handshake.reason.code
    : `not unreachable: ${handshake.kind}`
}

const REFUSED = /^(tls-alert|connection-reset)$/

const network = createNetwork()

await t.test('a good listener is seen with its leaf, chain and answer', async t => {
  const chain = { ...good, certificatePem: good.certificatePem + ca.certificatePem }
  const port = await portOf(t, httpsServer(chain))

  const seen = await network.handshake(target(port, { httpGet: '/ping?x=1' }))

  t.match(seen, {
    kind: 'tls',
    fingerprint: certificateFacts(good.certificatePem).fingerprint,
    protocol: 'TLSv1.3',
    untrusted: undefined,
    http: { status: 200, headers: { 'x-version': '1.2' }, body: `GET /ping?x=1 ${NAME}:${port}` },
  })
  t.same(
    seen.kind === 'tls' && seen.chainPem.map(pem => certificateFacts(pem).fingerprint),
    [good, ca].map(pair => certificateFacts(pair.certificatePem).fingerprint),
  )
  t.equal(
    untrustedCode(await network.handshake(target(port, { serverName: '10.1.2.3' }))),
    undefined,
  )
  t.match(await network.handshake(target(port)), { kind: 'tls', http: undefined })
})

await t.test('credentials are shown to nobody but the server that is meant', async t => {
  const told: (string | undefined)[] = []
  const tell = (pair: Pair) =>
    createHttpsServer(withPair(pair), (request, response) => {
      told.push(`${request.url} ${request.headers.authorization ?? 'none'}`)
      response.end('ok')
    })
  const authorized = { httpGet: '/health', authorization: new Secret('Basic c2VjcmV0') }
  const ask = async (pair: Pair, more: Partial<HandshakeTarget> = {}) =>
    network.handshake(target(await portOf(t, tell(pair)), { httpGet: '/', authorized, ...more }))

  t.match(await ask(good), { http: { status: 200 }, isAuthorized: true })
  t.notOk('isAuthorized' in (await ask(selfSigned([NAME]))))
  t.notOk('isAuthorized' in (await ask(good, { serverName: 'other.test' })))

  t.same(told, ['/health Basic c2VjcmV0', '/ none', '/ none'])
})

await t.test('what is wrong with a certificate is told, and the rest all the same', async t => {
  const own = selfSigned([NAME])
  const cases: readonly (readonly [string, Pair, string | undefined, Partial<HandshakeTarget>?])[] =
    [
      [
        'expired',
        ca.issue({ profile: serverProfile([NAME]), startsIn: -9, endsIn: -2 }),
        'certificate-expired',
      ],
      [
        'not yet valid',
        ca.issue({ profile: serverProfile([NAME]), startsIn: 1, endsIn: 2 }),
        'certificate-not-yet-valid',
      ],
      [
        'other name',
        ca.issue({ profile: serverProfile(['es-2.test']) }),
        'certificate-name-mismatch',
      ],
      ['other address', good, 'certificate-name-mismatch', { serverName: '10.1.2.4' }],
      ['name in the subject only', ca.issueWithoutSan(NAME), 'san-missing'],
      [
        'other CA',
        createTestCa().issue({ profile: serverProfile([NAME]) }),
        'certificate-untrusted',
      ],
      ['self-signed, unknown', own, 'certificate-untrusted'],
      ['self-signed, trusted', own, undefined, { trust: [own.certificatePem] }],
      [
        'wildcard',
        ca.issue({ profile: serverProfile(['*.zone.test']) }),
        undefined,
        { serverName: 'a.zone.test' },
      ],
      [
        'wildcard of one label',
        ca.issue({ profile: serverProfile(['*.zone.test']) }),
        'certificate-name-mismatch',
        { serverName: 'a.b.zone.test' },
      ],
      ['no trust but that of the platform', good, 'certificate-untrusted', { trust: [] }],
      [
        'client certificate as server',
        ca.issue({ profile: { kind: 'client', uris: ['spiffe://f/node/a'] } }),
        'certificate-untrusted',
      ],
    ]

  for (const [name, pair, code, more] of cases) {
    const port = await portOf(t, httpsServer(pair))
    const seen = await network.handshake(target(port, { httpGet: '/', ...more }))
    t.equal(untrustedCode(seen), code, name)
    t.match(
      seen,
      { fingerprint: certificateFacts(pair.certificatePem).fingerprint, http: { status: 200 } },
      name,
    )
  }
})

await t.test('a listener without TLS is recognised, whatever it speaks', async t => {
  const http = createHttpServer((_, response) => response.writeHead(401).end('who are you'))
  const banner = createServer(socket =>
    socket.on('error', () => {}).end('220 smtp.test ESMTP ready\r\n'),
  )
  const silent = createServer(socket =>
    socket.on('error', () => {}).on('data', () => socket.destroy()),
  )

  t.match(await network.handshake(target(await portOf(t, http))), {
    kind: 'plaintext',
    http: { status: 401, body: 'who are you' },
  })
  t.match(await network.handshake(target(await portOf(t, banner))), {
    kind: 'plaintext',
    http: undefined,
  })
  t.equal(reasonCode(await network.handshake(target(await portOf(t, silent)))), 'connection-reset')
})

await t.test('where none is expected, a listener without TLS sees no handshake', async t => {
  const heard: number[] = []
  const plain = createServer(socket =>
    socket
      .on('error', () => {})
      .on('data', data => {
        heard.push(data[0] ?? 0)
        socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      }),
  )
  const expected = { isPlainExpected: true, httpGet: '/' }

  t.match(await network.handshake(target(await portOf(t, plain), expected)), {
    kind: 'plaintext',
    http: { status: 200 },
  })
  t.strictSame(heard, ['G'.charCodeAt(0)], 'one question, in the clear')
  t.match(await network.handshake(target(await portOf(t, httpsServer(good)), expected)), {
    kind: 'tls',
    fingerprint: certificateFacts(good.certificatePem).fingerprint,
  })
  t.equal((await network.handshake(target(1, expected))).kind, 'unreachable')
})

await t.test('a TLS port that answers plain HTTP with 400 is still a TLS port', async t => {
  // As Go does it: the request is understood, and refused.
  const goLike = createServer(socket =>
    socket
      .on('error', () => {})
      .once('data', (hello: Buffer) => {
        if (hello[0] === 0x16) socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 80]))
        else
          socket.end(
            'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n',
          )
      }),
  )
  const reset = createServer(socket =>
    socket
      .on('error', () => {})
      .once('data', (hello: Buffer) => {
        if (hello[0] === 0x16) socket.resetAndDestroy()
        else
          socket.end(
            'HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n',
          )
      }),
  )

  t.equal(reasonCode(await network.handshake(target(await portOf(t, goLike)))), 'tls-alert')
  t.equal(reasonCode(await network.handshake(target(await portOf(t, reset)))), 'connection-reset')
})

await t.test(
  'a client certificate is accepted or refused, and the answer is waited for',
  async t => {
    const node = ca.issue({ profile: { kind: 'client', uris: ['spiffe://f/node/a'] } })
    const other = createTestCa().issue({ profile: { kind: 'client', uris: ['spiffe://f/node/a'] } })
    const demand = { requestCert: true, rejectUnauthorized: true, ca: ca.certificatePem }
    const clientCertificate = { chainPem: node.certificatePem, keyPem: node.keyPem }
    const wrong = { chainPem: other.certificatePem, keyPem: other.keyPem }
    // That it comes is tested here, and not how soon.
    const patient = createNetwork({ rejectionMs: 30_000 })

    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      const port = await portOf(t, httpsServer(good, { ...demand, maxVersion }))
      const ask = (more: Partial<HandshakeTarget>) => network.handshake(target(port, more))

      t.match(await ask({ clientCertificate, httpGet: '/' }), {
        kind: 'tls',
        protocol: maxVersion,
        http: { status: 200 },
      })
      t.match(await ask({ clientCertificate }), { kind: 'tls', http: undefined })
      for (const httpGet of ['/', undefined]) {
        const more = httpGet === undefined ? {} : { httpGet }
        const shown = target(port, { clientCertificate: wrong, ...more })
        t.match(reasonCode(await patient.handshake(shown)), REFUSED, maxVersion)
      }
      t.match(reasonCode(await ask({ httpGet: '/' })), REFUSED, maxVersion)
    }
    const port = await portOf(t, httpsServer(good, demand))
    t.match(await network.handshake(target(port)), { kind: 'tls', untrusted: undefined })
  },
)

await t.test(
  'a listener that does not answer is told apart from one that is not there',
  async t => {
    const mute = await portOf(
      t,
      createServer(socket => socket.on('error', () => {})),
    )
    const tlsMute = await portOf(
      t,
      createTlsServer(withPair(good), socket => socket.on('error', () => {})),
    )
    const old = await portOf(
      t,
      httpsServer(good, {
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      }),
    )

    // A port that was free a moment ago may be another test's.
    t.equal(reasonCode(await network.handshake(target(1))), 'connection-refused')
    t.equal(
      reasonCode(await network.handshake(target(mute, { timeoutMs: 50 }))),
      'connection-timeout',
    )
    t.equal(
      reasonCode(await network.handshake(target(tlsMute, { timeoutMs: 150, httpGet: '/' }))),
      'connection-timeout',
    )
    t.equal(reasonCode(await network.handshake(target(old))), 'tls-alert')
    t.equal(
      reasonCode(await network.handshake(target(1, { host: 'no-such-host.invalid' }))),
      'host-unreachable',
    )
  },
)

await t.test('a certificate that cannot be used for a probe is an error of the caller', async t => {
  const clientCertificate = { chainPem: good.certificatePem, keyPem: ca.keyPem }
  await t.rejects(network.handshake(target(1, { clientCertificate })), {
    code: 'probe-certificate-unusable',
  })
})
