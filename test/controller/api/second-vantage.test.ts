import { randomBytes } from 'node:crypto'
import { createServer } from 'node:tls'
import t, { type Test } from 'tap'
import { createNetwork } from '../../../agent/edges/network.ts'
import { lookAtListener } from '../../../agent/probes.ts'
import { RolloutEventList, RolloutView } from '../../../shared/contract/operator-api.ts'
import type { ProbeRequest, Sighting } from '../../../shared/contract/probes.ts'
import { buildSelfSigned, validity } from '../../../shared/pki/certificate.ts'
import { certificateFacts } from '../../../shared/pki/facts.ts'
import { serialNumber } from '../../../shared/pki/random.ts'
import { startFakeAgent } from './fake-agent.ts'
import { joinFleet, newKey, operatorOf, type Operator, parsed, startController } from './support.ts'

// Any address of 127.0.0.0/8 is another node's here.
const ADDRESS = '127.0.0.2'
const SPEC = `
version: 1
fleet: demo
services:
  - { service: prometheus, nodes: { names: [n1] }, issuer: files }
`

async function leaf() {
  const { privateKey, privateKeyPem } = await newKey()
  const cert = buildSelfSigned({
    subject: { commonName: 'n1' },
    serial: serialNumber(randomBytes),
    ...validity({ nowMs: Date.now(), lifetimeMs: 86_400_000, issuerNotAfterMs: Infinity }),
    profile: { kind: 'server', names: { dns: ['n1.example.org'], ip: [] }, clientAuth: false },
    key: privateKey,
  })
  return { cert, key: privateKeyPem, fingerprint: certificateFacts(cert).fingerprint }
}

async function serve(t: Test, { cert, key }: { cert: string; key: string }): Promise<number> {
  const server = createServer({ cert, key }, socket => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  })
  await new Promise<void>(resolve => server.listen(0, ADDRESS, resolve))
  t.teardown(() => server.close())
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('it listens on a port')
  return address.port
}

async function finished(operator: Operator, id: string) {
  const events: RolloutEventList['events'][number][] = []
  for (;;) {
    const after = events.at(-1)?.version ?? 0
    const path = `/v1/rollouts/${id}/events?after=${after}&wait=20000`
    const answer = parsed(RolloutEventList, await operator('GET', path))
    events.push(...answer.events)
    const isPaused = answer.events.some(({ kind }) => kind === 'paused')
    if (isPaused || (answer.rollout.endedAtMs !== undefined && answer.events.length === 0))
      return { rollout: answer.rollout, events }
  }
}

interface Estate {
  /** The fingerprint that n1 says it serves; what it really serves when absent. */
  readonly claims?: string
  /** Who looks; nobody when absent. */
  readonly look?: (probe: ProbeRequest) => Promise<Sighting>
}

async function rollOut(t: Test, { claims, look }: Estate) {
  const running = await startController(t)
  const operator = operatorOf(running)
  const pair = await leaf()
  const port = await serve(t, pair)
  const served = () => {
    const reason = { code: 'served-as-wanted', message: 'so says n1' }
    const fingerprint = claims ?? pair.fingerprint
    return [{ listener: `https :${port}`, port, ok: true, reason, fingerprint }]
  }
  const agents = [startFakeAgent(await joinFleet(running, operator, 'n1', {}, ADDRESS), { served })]
  if (look !== undefined)
    agents.push(startFakeAgent(await joinFleet(running, operator, 'n2'), { look }))
  t.teardown(() => Promise.all(agents.map(agent => agent.stop())))
  const { id } = parsed(RolloutView, await operator('POST', '/v1/rollouts', { spec: SPEC }))
  return finished(operator, id)
}

const network = createNetwork()
const reallyLook = async (probe: ProbeRequest): Promise<Sighting> => {
  if (probe.kind === 'cluster') throw new Error('there is no cluster')
  return lookAtListener({ network }, probe)
}

await t.test('a node is done when another node sees what it reports', async t => {
  const asked: ProbeRequest[] = []
  const { rollout, events } = await rollOut(t, {
    look: async probe => {
      asked.push(probe)
      return reallyLook(probe)
    },
  })

  t.match(rollout, { status: 'succeeded', steps: [{ node: 'n1', state: 'done' }] })
  t.equal(rollout.steps[0]?.reason, undefined, 'nothing is lacking')
  t.match(asked[0], { kind: 'listener', service: 'prometheus', host: ADDRESS, tls: 'on' })
  t.notOk(JSON.stringify(asked).includes('fingerprint'), 'what is expected is not told')
  const kinds = events.map(({ kind }) => kind)
  t.ok(
    kinds.indexOf('baseline-taken') < kinds.indexOf('node-permitted'),
    'how it was before is known first',
  )
})

await t.test(
  'a node that serves others another certificate than it reports is not done',
  async t => {
    const other = await leaf()
    const { rollout } = await rollOut(t, { claims: other.fingerprint, look: reallyLook })

    t.match(rollout, { status: 'failed', steps: [{ node: 'n1', state: 'broken' }] })
    t.match(rollout.steps[0]?.reason, {
      code: 'contradicted',
      message: /as seen from n2: it serves another certificate/,
    })
  },
)

await t.test('where nobody else is there, the step says that nobody else has looked', async t => {
  const { rollout } = await rollOut(t, {})

  t.match(rollout, { status: 'succeeded', steps: [{ state: 'done' }] })
  t.match(rollout.steps[0]?.reason, { code: 'no-second-vantage', message: /no other agent/ })
})

await t.test('what nobody could reach before is not held against the node', async t => {
  const reason = { code: 'connection-timeout', message: 'no answer in time' }
  const { rollout } = await rollOut(t, { look: async () => ({ kind: 'unreachable', reason }) })

  t.match(rollout, { status: 'succeeded', steps: [{ state: 'done' }] })
  t.match(rollout.steps[0]?.reason, { code: 'no-second-vantage', message: /nor could they before/ })
})
