import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { parseSignAnswer } from '../../../shared/contract/agent-api.ts'
import { parseDesiredAnswer } from '../../../shared/contract/agent-api.ts'
import { parseDesiredState } from '../../../shared/contract/desired-state.ts'
import { RolloutView } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { isServer } from '../../../shared/contract/service.ts'
import { splitPemCertificates } from '../../../shared/pki/pem.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import {
  type AgentClient,
  type Answer,
  codeOf,
  joinFleet,
  type Key,
  newKey,
  operatorOf,
  parsed,
  startController,
} from './support.ts'

const SPEC = `
version: 1
fleet: demo
defaults: { lifetime: 20d }
services:
  - { service: prometheus, nodes: { names: [n1, n2] }, clientAuth: required }
  - { service: influxdb, nodes: { names: [n1] }, issuer: self-signed }
  - { service: metricbeat, nodes: { names: [n1] } }
`

// RSA of 1024 bits.
const WEAK_KEY = `-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDdlatRjRjogo3WojgGHFHYLugd
UWAY9iR3fy4arWNA1KoS8kVw33cJibXr8bvwUAUparCwlvdbH6dvEOfou0/gCFQs
HUfQrSDv+MuSUMAe8jzKE4qW+jK+xQU9a03GUnKHkkle+Q0pX/g6jXZ7r1/xAK5D
o2kQ+X5xK9cipRgEKwIDAQAB
-----END PUBLIC KEY-----
`

interface SignOptions {
  readonly service?: string
  readonly generation: number
  readonly key: Key
  readonly proofKey?: Key
  readonly proofNode?: string
  readonly more?: object
}

function sign(client: AgentClient, options: SignOptions): Promise<Answer> {
  const {
    service = 'prometheus',
    generation,
    key,
    proofKey = key,
    proofNode = client.node,
  } = options
  return client.post(AGENT_ROUTES.sign, {
    service,
    generation,
    publicKey: key.publicKeyPem,
    proof: signProof({ purpose: 'sign', context: [proofNode, service], key: proofKey.privateKey }),
    ...options.more,
  })
}

await t.test('a leaf is made of the node record, the desired state and a proven key', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const [n1, n2] = [
    await joinFleet(running, operator, 'n1'),
    await joinFleet(running, operator, 'n2'),
  ]
  t.teardown(() => [n1, n2].forEach(client => client.close()))
  const key = await newKey()
  t.equal(
    codeOf(await sign(n1, { generation: 1, key })),
    'stale-generation',
    'nothing is desired yet',
  )

  parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC, waitMs: 0 }))
  const answer = parseDesiredAnswer((await n1.get(`${AGENT_ROUTES.desired}?wait=20000`)).body)
  const { generation, mode, content } = parseDesiredState(answer.document)
  t.equal(mode, 'stage', 'certificates are asked for before anything is switched')

  await t.test('with exactly the names of the record, for the time of the spec', async t => {
    const signed = await sign(n1, { generation, key })

    t.equal(signed.status, 200)
    const chain = splitPemCertificates(parseSignAnswer(signed.body).certificateChain ?? '')
    t.equal(chain.length, 2)
    const leaf = new X509Certificate(chain[0] ?? '')
    t.equal(leaf.subjectAltName, 'DNS:n1.example.org, IP Address:10.1.2.3')
    t.equal(leaf.ca, false)
    t.equal(leaf.checkIssued(new X509Certificate(chain[1] ?? '')), true)
    t.strictSame(
      leaf.keyUsage,
      ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
      'clients too, because clientAuth is required',
    )
    const days = (leaf.validToDate.getTime() - Date.now()) / 86_400_000
    t.ok(days > 19.9 && days <= 20, `${days} days`)
    const prometheus = content.services.find(({ service }) => service === 'prometheus')
    const { trust, certificate } =
      prometheus !== undefined && isServer(prometheus) ? prometheus : {}
    t.equal(trust?.length, 1)
    t.equal(
      certificate?.issuedBy,
      new X509Certificate(chain[1] ?? '').fingerprint256.replaceAll(':', '').toLowerCase(),
    )
  })

  await t.test('the same certificate again for the same key', async t => {
    t.equal((await sign(n1, { generation, key })).text, (await sign(n1, { generation, key })).text)
  })

  await t.test('and for nothing else', async t => {
    const other = await newKey()
    const weak = { ...other, publicKeyPem: WEAK_KEY }
    const refusals: readonly (readonly [string, AgentClient, SignOptions, string])[] = [
      ['a proof by another key', n1, { generation, key: other, proofKey: key }, 'proof-invalid'],
      [
        'a proof for another node',
        n1,
        { generation, key: other, proofNode: 'n2' },
        'proof-invalid',
      ],
      [
        'a generation that is not current',
        n1,
        { generation: generation + 1, key: other },
        'stale-generation',
      ],
      [
        'a service that the node does not have',
        n2,
        { generation, key: other, service: 'influxdb' },
        'service-not-desired',
      ],
      [
        'a service with another issuer',
        n1,
        { generation, key: other, service: 'influxdb' },
        'issuer-not-internal',
      ],
      [
        'a service that is only a client',
        n1,
        { generation, key: other, service: 'metricbeat' },
        'service-without-certificate',
      ],
      [
        'names in the request',
        n1,
        { generation, key: other, more: { names: { dns: ['x'], ip: [] } } },
        'malformed-request',
      ],
      ['the key of another node', n2, { generation, key }, 'key-reused'],
      ['the key of the identity', n1, { generation, key: n1.key }, 'key-reused'],
      ['a weak key', n1, { generation, key: weak }, 'weak-key'],
      [
        'a private key',
        n1,
        { generation, key: { ...other, publicKeyPem: other.privateKeyPem } },
        'key-unparsable',
      ],
    ]
    for (const [name, client, options, code] of refusals)
      t.equal(codeOf(await sign(client, options)), code, name)
  })

  await t.test('as often as a node can need it, and no more', async t => {
    const codes: unknown[] = []
    for (let attempt = 0; attempt < 60; attempt++)
      codes.push(codeOf(await sign(n2, { generation: 99, key })))
    t.ok(codes.includes('too-many-requests'))
    t.equal(
      codeOf(await sign(n1, { generation: 99, key })),
      'stale-generation',
      'the other node is not held up',
    )
  })
})

await t.test('a node is given what its document names, until it is moved', async t => {
  const running = await startController(t)
  const { context } = running.controller
  const operator = operatorOf(running)
  const n1 = await joinFleet(running, operator, 'n1')
  const n2 = await joinFleet(running, operator, 'n2')
  t.teardown(() => [n1, n2].forEach(client => client.close()))
  parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC, waitMs: 0 }))
  const answer = parseDesiredAnswer((await n1.get(`${AGENT_ROUTES.desired}?wait=20000`)).body)
  const { generation } = parseDesiredState(answer.document)
  const next = await context.authorities.make('service')
  const change = async (states: Readonly<Record<string, 'outgoing' | 'active' | 'retired'>>) => {
    await context.store.transaction(async tx => {
      for (const [id, state] of Object.entries(states))
        await tx.authorities.setState(id, state, Date.now())
    })
    await context.refreshAuthorities()
  }
  const issuer = async () => {
    const signed = await sign(n1, { generation, key: await newKey() })
    const chain = parseSignAnswer(signed.body).certificateChain ?? ''
    return splitPemCertificates(chain)[1]
  }
  const old = context.authorities.current().service.issuer.certificatePem

  await context.store.transaction(tx => tx.authorities.insert({ ...next, state: 'trusted' }))
  await change({ 'service-1': 'outgoing', 'service-2': 'active' })

  t.equal(context.authorities.current().service.issuer.certificatePem, next.intermediateCertificate)
  t.equal(await issuer(), old, 'with another one it would ask again and again')
  await context.store.transaction(tx => tx.authorities.taint('service-1', Date.now()))
  await context.refreshAuthorities()
  t.equal(await issuer(), next.intermediateCertificate, 'what is tainted signs no more')
  await change({ 'service-1': 'retired' })
  t.equal(await issuer(), next.intermediateCertificate)
})

await t.test('what is recorded of a node can be changed; the next rollout brings it', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const n1 = await joinFleet(running, operator, 'n1')
  t.teardown(() => n1.close())
  const spec = SPEC.replaceAll('[n1, n2]', '[n1]')
  const given = async (after: number) => {
    const path = `${AGENT_ROUTES.desired}?generation=${after}&wait=20000`
    return parseDesiredState(parseDesiredAnswer((await n1.get(path)).body).document)
  }
  const namesOf = async (generation: number) => {
    const signed = await sign(n1, { generation, key: await newKey() })
    const chain = parseSignAnswer(signed.body).certificateChain ?? ''
    return new X509Certificate(splitPemCertificates(chain)[0] ?? '').subjectAltName
  }
  const { id } = parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec, waitMs: 0 }))
  const { generation } = await given(0)
  const all = ['n1.example.org', 'shop.example.org']
  t.equal((await operator('PATCH', '/v1/nodes/n1', { names: { dns: all } })).status, 200)
  t.equal(await namesOf(generation), 'DNS:n1.example.org, IP Address:10.1.2.3', 'as its document')

  const other = { names: { dns: ['shop.example.org'] } }
  t.equal((await operator('PATCH', '/v1/nodes/n1', other)).status, 200)
  const refused = await sign(n1, { generation, key: await newKey() })
  t.equal(codeOf(refused), 'names-not-recorded', 'nothing for a name that was taken away')

  await operator('POST', `/v1/rollouts/${id}/abort`, {})
  const before = (await given(generation)).generation
  parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec, waitMs: 0 }))
  const next = await given(before)
  t.equal(await namesOf(next.generation), 'DNS:shop.example.org, IP Address:10.1.2.3')
})
