import { X509Certificate } from 'node:crypto'
import t from 'tap'
import { parseSignAnswer } from '../../../shared/contract/agent-api.ts'
import { parseDesiredAnswer } from '../../../shared/contract/agent-api.ts'
import { parseDesiredState } from '../../../shared/contract/desired-state.ts'
import { RolloutView } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
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

  parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC }))
  const answer = parseDesiredAnswer((await n1.get(`${AGENT_ROUTES.desired}?wait=20000`)).body)
  const { generation, mode, content } = parseDesiredState(answer.document)
  t.equal(mode, 'stage', 'certificates are asked for before anything is switched')

  await t.test('with exactly the names of the record, for the time of the spec', async t => {
    const signed = await sign(n1, { generation, key })

    t.equal(signed.status, 200)
    const chain = splitPemCertificates(parseSignAnswer(signed.body).certificateChain)
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
    const { trust, certificate } =
      content.services.find(({ service }) => service === 'prometheus') ?? {}
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
