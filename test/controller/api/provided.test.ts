// Issuer `provided` at the controller: which pairs are taken and who may see them, and how long a version
// stays.

import t from 'tap'
import { parseProvidedAnswer } from '../../../shared/contract/agent-api.ts'
import { OPERATOR_ROUTES, RolloutList, RolloutView } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { ProvidedList, ProvidedStored, ProvidedView } from '../../../shared/contract/provided.ts'
import { DAY_MS } from '../../shared/pki/support.ts'
import { body, fingerprintOf, generationOf, leaf, SPEC, start, WILDCARD } from './provided-scene.ts'
import { joinFleet, operatorOf, parsed } from './support.ts'

await t.test(
  'a pair is uploaded, shown without its key, and replaced by its next version',
  async t => {
    const { running, operator } = await start(t)
    const [first, second] = [
      leaf(['*.example.org']),
      leaf(['*.example.org', 'example.org'], 20 * DAY_MS),
    ]

    const created = await operator('PUT', WILDCARD, body(first))
    t.equal(created.status, 201)
    t.match(parsed(ProvidedStored, created), {
      isUnchanged: false,
      outdated: [],
      provided: {
        name: 'wildcard',
        fingerprint: fingerprintOf(first),
        names: { dns: ['*.example.org'], ip: [] },
        isPublic: true,
        uploadedBy: 'admin',
        problems: [],
        warnings: [],
        usedBy: [],
        previous: [],
      },
    })
    t.match(parsed(ProvidedStored, await operator('PUT', WILDCARD, body(first))), {
      isUnchanged: true,
    })
    const replaced = await operator('PUT', WILDCARD, body(second))
    t.equal(replaced.status, 200)
    const shown = await operator('GET', WILDCARD)
    t.match(parsed(ProvidedView, shown), {
      fingerprint: fingerprintOf(second),
      previous: [{ fingerprint: fingerprintOf(first) }],
    })
    const list = await operator('GET', OPERATOR_ROUTES.provided)
    t.equal(parsed(ProvidedList, list).provided.length, 1)
    running.advance(15 * DAY_MS)
    t.match((await operator('GET', WILDCARD)).body, { warnings: [{ code: 'ends-soon' }] })
    running.advance(6 * DAY_MS)
    t.match((await operator('GET', WILDCARD)).body, { problems: [{ code: 'expired' }] })
    for (const answer of [created, replaced, shown, list])
      t.notMatch(answer.text, /PRIVATE|keySealed/)

    t.equal((await operator('DELETE', WILDCARD)).status, 204)
    t.strictSame((await operator('GET', WILDCARD)).status, 404)
    t.strictSame((await operator('DELETE', WILDCARD)).status, 404)
  },
)

await t.test('what is not fit to be served is refused, with the reason and what to do', async t => {
  const { running, operator } = await start(t)
  const good = leaf(['*.example.org'])
  const other = leaf(['other.example.org'])
  const encrypted = good.key.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'x',
  })
  const long = leaf(['*.example.org'], 300 * DAY_MS)
  const table = [
    [
      'a key with a passphrase',
      { ...body(good), privateKey: encrypted.toString() },
      /passphrase/,
      /openssl pkey/,
    ],
    [
      'another key',
      { ...body(good), privateKey: other.keyPem },
      /does not belong/,
      /different requests/,
    ],
    [
      'no intermediate',
      { ...body(good), certificateChain: good.pem },
      /issuer of certificate/,
      /every certificate but the root/,
    ],
    ['a life that no public CA may give', body(long), /300 days/, /public CAs/],
  ] as const
  for (const [what, given, detail, hint] of table) {
    const answer = await operator('PUT', WILDCARD, given)
    t.match(answer, { status: 422, body: { code: 'provided-refused', detail, hint } }, what)
    t.notMatch(answer.text, /PRIVATE/, what)
  }
  const malformed = [
    {},
    { ...body(good), more: 1 },
    { certificateChain: good.pem },
    { ...body(good), privateKey: 'x'.repeat(17_000) },
  ]
  for (const given of malformed)
    t.match(await operator('PUT', WILDCARD, given), {
      status: 400,
      body: { code: 'malformed-request' },
    })
  const large = { ...body(good), trust: ['-----BEGIN '.padEnd(200_000, 'x')] }
  t.match(await operator('PUT', WILDCARD, large), { status: 413 })
  t.equal((await operator('PUT', `${OPERATOR_ROUTES.provided}/Wild*`, body(good))).status, 400)
  t.strictSame((await operator('GET', OPERATOR_ROUTES.provided)).body, { provided: [] })
  t.notMatch(running.log.join(''), /PRIVATE/)

  const [viewer, plain] = [
    operatorOf(running, running.viewerToken),
    operatorOf(running, running.operatorToken),
  ]
  for (const caller of [viewer, plain])
    for (const [method, given] of [
      ['PUT', body(good)],
      ['DELETE', undefined],
    ] as const)
      t.match(await caller(method, WILDCARD, given), {
        status: 403,
        body: { code: 'role-insufficient' },
      })
  t.equal((await viewer('GET', OPERATOR_ROUTES.provided)).status, 200)
})

await t.test(
  'versions stay as long as somebody has them, pairs as long as a spec names them',
  async t => {
    const { running, operator } = await start(t)
    const client = await joinFleet(running, operator, 'n1')
    t.teardown(() => client.close())
    const [first, second] = [leaf(['*.example.org']), leaf(['*.example.org'])]
    const spec = SPEC.replace('[n1, n2]', '[n1]').replace(/^.*prometheus.*$/m, '')
    const unknown = await operator('POST', '/v1/plans', { spec, waitMs: 0 })
    t.match(unknown, {
      status: 422,
      body: {
        problems: [
          {
            line: 8,
            column: 15,
            path: 'services[0].provided',
            message: /no pair named `wildcard`/,
          },
        ],
      },
    })

    await operator('PUT', WILDCARD, body(first))
    parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec, waitMs: 0 }))
    const stored = parsed(ProvidedStored, await operator('PUT', WILDCARD, body(second)))
    t.match(stored.outdated, [{ node: 'n1', service: 'kibana', fingerprint: fingerprintOf(first) }])
    const generation = await generationOf(operator, 'n1')
    const answer = await client.post(AGENT_ROUTES.provided, { service: 'kibana', generation })
    t.equal(parseProvidedAnswer(answer.body).privateKey, first.keyPem, 'what its document says')

    t.match(await operator('DELETE', WILDCARD), {
      status: 409,
      body: { code: 'provided-in-use', detail: 'pair wildcard is used by n1' },
    })
    // The node does not answer: its rollout is given up, and its document is the old one again.
    const [rollout] = parsed(RolloutList, await operator('GET', '/v1/rollouts')).rollouts
    await operator('POST', `/v1/rollouts/${rollout?.id}/abort`)
    t.match(await operator('DELETE', WILDCARD), { status: 409 }, 'the latest spec names it')
    const plain = spec.replace(/\n    issuer: provided\n    provided: wildcard\n/, '\n')
    const other = await operator('POST', '/v1/rollouts', { spec: plain, waitMs: 0 })
    t.equal(other.status, 201, other.text)
    t.match(await operator('DELETE', WILDCARD), { status: 204 })
  },
)
