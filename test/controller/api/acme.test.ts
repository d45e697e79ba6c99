// Issuer `acme` through a whole controller: what a spec may ask for, what an agent gets, what
// operators see of it.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { AcmeView } from '../../../shared/contract/acme.ts'
import { parseDesiredAnswer, SignAnswer } from '../../../shared/contract/agent-api.ts'
import { parseDesiredState } from '../../../shared/contract/desired-state.ts'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { buildCsr } from '../../../shared/pki/csr.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { until } from '../../lab/until.ts'
import {
  acmeProblem,
  type FakeDirectory,
  startFakeDirectory,
} from '../../simulators/acme/directory.ts'
import { acmeDirectory } from '../../support/acme-scene.ts'
import {
  type AgentClient,
  joinFleet,
  newKey,
  type Operator,
  operatorOf,
  parsed,
  type Running,
  startController,
} from './support.ts'

interface World {
  readonly fake: FakeDirectory
  readonly running: Running
  readonly operator: Operator
  readonly agent: AgentClient
}

async function world(t: Test): Promise<World> {
  const scratch = mkdtempSync(join(tmpdir(), 'tlsfleet-acme-'))
  const fake = await startFakeDirectory(scratch)
  t.teardown(async () => {
    await fake.close()
    rmSync(scratch, { recursive: true })
  })
  const corp = acmeDirectory({ url: fake.url, caFile: fake.caFile })
  const running = await startController(t, { acme: [corp] })
  const operator = operatorOf(running)
  const agent = await joinFleet(running, operator, 'n1')
  t.teardown(() => agent.close())
  return { fake, running, operator, agent }
}

function spec(root: string, more = 'directory: corp, names: dns'): string {
  return `
version: 1
fleet: demo
services:
  - { service: prometheus, nodes: all, issuer: acme, lifetime: 80d, renewBefore: 20d, trust: [${JSON.stringify(root)}], ${more} }
`
}

async function generationOf(agent: AgentClient): Promise<number> {
  const answer = parseDesiredAnswer((await agent.get(`${AGENT_ROUTES.desired}?wait=0`)).body)
  return answer.document === undefined ? 0 : parseDesiredState(answer.document).generation
}

await t.test('a spec names a directory that there is, and no addresses', async t => {
  const { operator, fake } = await world(t)
  const problems = async (more: string) => {
    const answer = await operator('POST', '/v1/rollouts', { spec: spec(fake.root, more) })
    return JSON.stringify(answer.body)
  }
  t.match(await problems('directory: corpp, names: dns'), 'did you mean `corp`?')
  t.match(await problems('names: dns'), 'issuer `acme` needs the name of a directory')
  t.match(
    await problems('directory: corp'),
    'the ACME directory `corp` issues for no IP addresses, and node n1 has 10.1.2.3; use `names: dns`',
  )
})

await t.test(
  'from the request of an agent to its chain, and what operators see meanwhile',
  async t => {
    const { operator, fake, agent, running } = await world(t)
    const view = async () => parsed(AcmeView, await operator('GET', OPERATOR_ROUTES.acme))
    t.match(await view(), {
      directories: [{ name: 'corp', challenges: [], ordered: 0, accountUrl: undefined }],
      orders: [],
    })
    // It waits for as long as it is told to, however long is looked at it: until the clock is put ahead.
    const limited = acmeProblem('rateLimited', 'slowly', 429)
    fake.fail('newOrder', { ...limited, headers: { ...limited.headers, 'retry-after': '3600' } })
    const body = { spec: spec(fake.root), waitMs: 0 }
    const applied = await operator('POST', '/v1/rollouts', body)
    t.equal(applied.status, 201, applied.text)
    await until(async () => (await generationOf(agent)) > 0, { what: 'a document' })

    const key = await newKey()
    const names = { dns: ['n1.example.org'], ip: [] }
    const service = 'prometheus'
    const ask = async () =>
      parsed(
        SignAnswer,
        await agent.post(AGENT_ROUTES.sign, {
          service,
          generation: await generationOf(agent),
          publicKey: key.publicKeyPem,
          proof: signProof({ purpose: 'sign', context: ['n1', service], key: key.privateKey }),
          csr: buildCsr({ key: key.privateKey, names }),
        }),
      )
    t.ok((await ask()).pending, 'nobody has signed it yet')
    await until(async () => (await ask()).pending?.code === 'acme-rate-limited', {
      what: 'the agent is told why it waits',
    })
    t.match((await view()).orders, [
      {
        node: 'n1',
        directory: 'corp',
        names,
        state: 'waiting',
        attempts: 1,
        reason: { code: 'acme-rate-limited', message: /slowly/ },
      },
    ])
    running.advance(3_700_000)
    const generation = await generationOf(agent)
    const path = `${AGENT_ROUTES.desired}?generation=${generation}&wait=20000`
    await until(async () => parseDesiredAnswer((await agent.get(path)).body).wake === true, {
      what: 'the agent is woken',
      timeoutMs: 120_000,
    })

    const { certificateChain = '' } = await ask()
    t.match(certificateChain, '-----BEGIN CERTIFICATE-----')
    t.equal((await ask()).certificateChain, certificateChain, 'the same key, the same certificate')
    const after = await view()
    t.match(after, { directories: [{ accountUrl: /account\/1$/, ordered: 1 }], orders: [] })
    t.notMatch(JSON.stringify(after), 'PRIVATE')
    t.notMatch(running.log.join(''), 'PRIVATE')
  },
)
