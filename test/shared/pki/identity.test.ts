import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { formatToken, parseToken } from '../../../shared/pki/enrollment-token.ts'
import { identityOf, identityUri, parseIdentity } from '../../../shared/pki/identity.ts'
import { Secret } from '../../../shared/secret.ts'
import { createTestCa } from './support.ts'

const ca = createTestCa('identity')

await t.test('an identity survives its URI', async t => {
  for (const identity of [
    { kind: 'node', fleet: 'prod', nodeId: 'es-1.example' },
    { kind: 'controller', fleet: 'prod.example' },
  ] as const)
    t.same(parseIdentity(identityUri(identity)), identity)
  t.throws(() => identityUri({ kind: 'node', fleet: 'prod', nodeId: '../x' }))
})

await t.test('every other URI is nobody', async t => {
  for (const uri of [
    '',
    'spiffe://prod',
    'spiffe://prod/node',
    'spiffe://prod/node/',
    'spiffe://prod/node/a/b',
    'spiffe://prod/node/A',
    'spiffe://prod/node/a\n',
    'spiffe://prod/node/a?x',
    'spiffe://prod/operator',
    'spiffe://prod/controller/x',
    'spiffe:///controller',
    'SPIFFE://prod/controller',
    'https://prod/controller',
    ' spiffe://prod/controller',
    'spiffe://user@prod/controller',
    'spiffe://prod:1/controller',
  ])
    t.equal(parseIdentity(uri), undefined, JSON.stringify(uri))
})

await t.test('the purpose of a certificate must be that of its role', async t => {
  const node = 'spiffe://prod/node/a'
  const controller = 'spiffe://prod/controller'
  const client = (...uris: string[]) =>
    ca.make({ profile: { kind: 'client', uris }, issuer: ca.intermediate }).pem
  const server = (uris: readonly string[], clientAuth = false) => {
    const names = { dns: ['c.example'], ip: [] }
    return ca.make({
      profile: { kind: 'server', names, uris, clientAuth },
      issuer: ca.intermediate,
    }).pem
  }
  const who = (pem: string) => identityOf(new X509Certificate(pem))

  t.same(who(client(node)), { kind: 'node', fleet: 'prod', nodeId: 'a' })
  t.same(who(server([controller])), { kind: 'controller', fleet: 'prod' })
  t.equal(who(client(controller)), undefined, 'a client that calls itself controller')
  t.equal(who(server([node])), undefined, 'a server that calls itself node')
  t.equal(who(server([controller], true)), undefined, 'both purposes')
  t.equal(who(client(node, 'spiffe://prod/node/b')), undefined, 'two identities')
  t.equal(who(server([])), undefined, 'a service')
  t.equal(who(ca.root.pem), undefined, 'a CA')
  t.same(ca.lintAll(), [])
})

const token = {
  id: '0123456789abcdef',
  secret: new Secret('s'.repeat(43)),
  pin: `sha256:${'a'.repeat(64)}`,
  enrollUrl: 'https://controller.example:8444/',
}

await t.test('a token survives being pasted', async t => {
  const text = formatToken(token)

  t.match(text.reveal(), /^tfe1\.[A-Za-z0-9_-]+$/)
  t.notMatch(JSON.stringify({ text }), /tfe1/)
  const parsed = parseToken(` ${text.reveal()}\n`)
  t.same({ ...parsed, secret: parsed.secret.reveal() }, { ...token, secret: 's'.repeat(43) })
})

await t.test('a token that is not whole is refused, and not quoted', async t => {
  const whole = formatToken(token).reveal()
  const withJson = (value: unknown) =>
    `tfe1.${Buffer.from(JSON.stringify(value)).toString('base64url')}`
  const parts = { id: token.id, pin: token.pin, secret: 's'.repeat(43), url: token.enrollUrl }
  t.ok(parseToken(withJson(parts)))

  const bad = [
    '',
    'tfe1.',
    whole.slice(5),
    `tfe2.${whole.slice(5)}`,
    `${whole.slice(0, 30)} ${whole.slice(30)}`,
    `${whole}.`,
    'tfe1.' + 'A'.repeat(4000),
    withJson(null),
    withJson([]),
    withJson('x'),
    withJson({ ...parts, extra: 1 }),
    withJson({ ...parts, id: undefined }),
    withJson({ ...parts, id: '../../etc' }),
    withJson({ ...parts, secret: 'short' }),
    withJson({ ...parts, pin: 'sha256:00' }),
    withJson({ ...parts, pin: 'a'.repeat(64) }),
    withJson({ ...parts, url: 'http://controller.example' }),
    withJson({ ...parts, url: 'https://user:x@controller.example' }),
    withJson({ ...parts, url: 'https://controller.example/?q' }),
    withJson({ ...parts, url: `https://${'a'.repeat(600)}` }),
    withJson({ ...parts, url: 7 }),
  ]
  for (const text of bad)
    t.throws(() => parseToken(text), { code: 'token-malformed' }, text.slice(0, 40))
  for (let length = 0; length < whole.length; length++)
    try {
      parseToken(whole.slice(0, length))
      t.fail(`a token cut off after ${length} characters was accepted`)
    } catch (error) {
      const text = String(error)
      if (text.includes(whole.slice(5, 25)) || text.includes('ssss'))
        t.fail('the error quotes the token')
    }
})
