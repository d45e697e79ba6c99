// Certificates that others sign, as agents ask for them over the API: who may ask for what, how they wait and
// how they are told.

import t from 'tap'
import { parseDesiredAnswer, SignAnswer } from '../../../shared/contract/agent-api.ts'
import { parseDesiredState } from '../../../shared/contract/desired-state.ts'
import { RolloutList } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { isServer } from '../../../shared/contract/service.ts'
import { buildCsr } from '../../../shared/pki/csr.ts'
import { until } from '../../lab/until.ts'
import { createPrivateCa, DAY_MS } from '../issuers/private-ca.ts'
import { startFakeAgent } from './fake-agent.ts'
import {
  apply,
  ask,
  type Asked,
  generationOf,
  importAll,
  listed,
  NAMES,
  scene,
  specOf,
} from './requests-scene.ts'
import {
  type AgentClient,
  codeOf,
  joinFleet,
  newKey,
  operatorOf,
  parsed,
  startController,
} from './support.ts'

await t.test('while a csr is waited for, what is in force is renewed by our own CA', async t => {
  const running = await startController(t)
  const operator = operatorOf(running)
  const ca = createPrivateCa(Date.now())
  const agent = await joinFleet(running, operator, 'n1')
  t.teardown(() => agent.close())
  const place = { running, operator, ca, agents: [agent] }
  const fake = startFakeAgent(agent)
  const internal = 'version: 1\nfleet: demo\nservices:\n  - { service: prometheus, nodes: all }\n'
  await apply(place, internal)
  const statusIs = async (wanted: string) =>
    parsed(RolloutList, await operator('GET', '/v1/rollouts')).rollouts[0]?.status === wanted
  await until(() => statusIs('succeeded'), { what: 'what is in force', everyMs: 20 })
  await fake.stop()
  const key = await newKey()
  t.match(parsed(SignAnswer, await ask(agent, { key, csr: undefined })), {
    certificateChain: String,
  })

  const body = { spec: specOf(ca), waitMs: 0 }
  t.equal((await operator('POST', '/v1/rollouts', body)).status, 201)
  await until(async () => (await stagedIssuer(agent)) === 'csr', {
    what: 'the new content is prepared',
    everyMs: 20,
  })

  const renewed = await newKey()
  t.match(parsed(SignAnswer, await ask(agent, { key: renewed, csr: undefined })), {
    certificateChain: String,
  })
  t.match(parsed(SignAnswer, await ask(agent, { key: await newKey() })), {
    pending: { code: 'awaiting-signature' },
  })
})

async function stagedIssuer(agent: AgentClient): Promise<string | undefined> {
  const answer = parseDesiredAnswer((await agent.get(`${AGENT_ROUTES.desired}?wait=0`)).body)
  if (answer.document === undefined) return undefined
  const { mode, content } = parseDesiredState(answer.document)
  const [tls] = content.services
  return mode === 'stage' && tls !== undefined && isServer(tls) ? tls.certificate.issuer : undefined
}

await t.test('an agent asks, waits, is told, and gets its certificate', async t => {
  const place = await scene(t)
  const [agent] = place.agents
  if (agent === undefined) throw new Error('no agent')
  const key = await newKey()

  const first = parsed(SignAnswer, await ask(agent, { key }))
  const again = parsed(SignAnswer, await ask(agent, { key }))

  t.match(first, { pending: { code: 'awaiting-signature', message: /tlsfleet csr export/ } })
  t.strictSame(again, first, 'the same key is the same request')
  const [request, ...others] = await listed(place)
  t.equal(others.length, 0)
  t.match(request, {
    node: 'n1',
    service: 'prometheus',
    issuer: 'csr',
    state: 'pending',
    keyType: 'ec-p256',
    names: NAMES('n1'),
    clientUse: false,
    lifetimeMs: 365 * DAY_MS,
  })

  // The poll waits while the answer comes.
  const generation = await generationOf(agent)
  const path = `${AGENT_ROUTES.desired}?generation=${generation}&wait=50000`
  const woken = pollUntilWoken(agent, path)
  const leaf = place.ca.issue(key.publicKeyPem, NAMES('n1'))
  const results = await importAll(place, [place.ca.root, leaf, place.ca.intermediate])

  t.match(results, [{ outcome: 'issuer' }, { outcome: 'taken', node: 'n1' }, { outcome: 'issuer' }])
  t.match(await woken, { wake: true, document: undefined })
  t.equal(
    parsed(SignAnswer, await ask(agent, { key })).certificateChain,
    leaf + place.ca.intermediate,
  )
  t.match(await listed(place, '?state=signed'), [{ node: 'n1' }])
  t.strictSame(await listed(place, '?state=pending'), [])

  const quick = parseDesiredAnswer(
    (await agent.get(`${AGENT_ROUTES.desired}?generation=${generation}&wait=0`)).body,
  )
  t.equal(quick.wake, undefined, 'it is told once')
})

// The first poll of an agent may be answered with other news.
async function pollUntilWoken(agent: AgentClient, path: string) {
  for (;;) {
    const answer = parseDesiredAnswer((await agent.get(path)).body)
    if (answer.wake === true) return answer
  }
}

await t.test(
  'a request must be for the key that was proven, and the names of the node',
  async t => {
    const place = await scene(t, ['n1', 'n2'])
    const [n1, n2] = place.agents
    if (n1 === undefined || n2 === undefined) throw new Error('no agents')
    const [key, other] = [await newKey(), await newKey()]
    const foreign = buildCsr({ key: other.privateKey, names: NAMES('n1') })
    const more = { dns: ['n1.example.org', 'admin.example.org'], ip: ['10.1.2.3'] }
    const code = async (asked: Asked) => codeOf(await ask(n1, asked))

    t.equal(await code({ key, csr: undefined }), 'csr-missing')
    t.equal(await code({ key, csr: foreign }), 'csr-key-differs')
    t.equal(await code({ key, names: more }), 'csr-names-differ')
    t.equal(await code({ key, names: { dns: ['n1.example.org'], ip: [] } }), 'csr-names-differ')
    t.equal(await code({ key, csr: `${foreign}${foreign}` }), 'csr-unparsable')
    t.equal(await code({ key, csr: `-----BEGIN ${'A'.repeat(40_000)}` }), 'body-too-large')
    t.strictSame(await listed(place), [], 'nothing of it is a request')
    await ask(n1, { key })
    t.equal(codeOf(await ask(n2, { key })), 'key-reused')
  },
)

await t.test('a newer key takes the place of an older one, and too many are too many', async t => {
  const place = await scene(t)
  const [agent] = place.agents
  if (agent === undefined) throw new Error('no agent')
  const keys = await Promise.all(Array.from({ length: 65 }, () => newKey()))
  const answers: unknown[] = []
  for (const [index, key] of keys.entries()) {
    // The node may ask so often only in the long run.
    if (index === 32) place.running.advance(60_000)
    answers.push((await ask(agent, { key })).status)
  }
  const requests = await listed(place, '?limit=500')

  t.equal(requests.filter(({ state }) => state === 'pending').length, 1)
  t.match(requests[0], { state: 'withdrawn', reason: { code: 'asked-anew' } })
  t.ok(requests.length <= 64, `${requests.length} requests of one day`)
  t.ok(answers.includes(429))
})
