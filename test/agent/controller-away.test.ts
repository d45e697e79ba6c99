// The controller is away for a day, and a certificate that only it can renew is due on that day.

import t from 'tap'
import { certificateFacts } from '../../shared/pki/facts.ts'
import { renewAtMs } from '../../shared/pki/renewal.ts'
import { isServer, type ServiceTls } from '../../shared/contract/service.ts'
import { lastOf, seen, TLS } from '../support/agent-scene.ts'
import {
  createFakeController,
  createIdentity,
  DAY_MS,
  documentOf,
  unreachable,
} from '../support/fake-controller.ts'
import { startAgent } from '../support/memory-agent.ts'
import { newNode, wish } from '../support/memory-fleet.ts'

const TEN_MINUTES_MS = 600_000
const TEN_SECONDS_MS = 10_000
const HOUR_MS = 3_600_000
const RENEW_BEFORE_MS = 10 * DAY_MS

async function internal(caPem: string): Promise<readonly ServiceTls[]> {
  return (await wish({ services: ['influxdb'], lifetime: '30d', trust: [caPem] }))
    .filter(isServer)
    .map(tls => ({
      ...tls,
      certificate: { ...tls.certificate, issuer: 'internal' as const },
    }))
}

await t.test('renewal goes on, and nothing ends', async t => {
  const node = newNode()
  const controller = createFakeController(() => node.nowMs())
  let leaf = ''
  const { answerSign } = controller
  controller.answerSign = async request => (leaf = await answerSign(request))
  let attempts = 0
  const { remote } = controller
  const counting = {
    ...controller,
    remote: {
      ...remote,
      sign: (...question: Parameters<typeof remote.sign>) => {
        attempts += 1
        return remote.sign(...question)
      },
    },
  }
  const identity = createIdentity(node.nowMs(), 400 * DAY_MS)
  const agent = await startAgent(node, counting, { identity })
  t.teardown(() => agent.kill())
  const database = await internal(controller.ca.certificatePem)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services: database })))
  const first = certificateFacts(leaf)
  t.equal(node.served('influxdb'), first.fingerprint)

  // An hour before, with a neighbour whose certificate lives for hours.
  const dueMs = renewAtMs({ ...first, renewBeforeMs: RENEW_BEFORE_MS })
  agent.advance(dueMs - HOUR_MS - node.nowMs())
  const services = [...database, ...(await wish({ services: ['prometheus'], lifetime: '6h' }))]
  controller.offer(documentOf({ generation: 2, services }))
  await seen('the neighbour', () => TLS.test(node.served('prometheus')))
  controller.leave()
  attempts = 0

  const neighbours = new Set([node.served('prometheus')])
  const goOn = async () => {
    await agent.afterPass(() => agent.advance(TEN_MINUTES_MS))
    neighbours.add(node.served('prometheus'))
    const reports = agent.control.status().services
    for (const { service, notAfterMs = 0 } of reports)
      if (notAfterMs <= node.nowMs()) t.fail(`the certificate of ${service} has ended`)
    return lastOf(reports.filter(({ service }) => service === 'influxdb'))
  }
  const untilMs = node.nowMs() + DAY_MS
  while (node.nowMs() < untilMs) {
    const report = await goOn()
    if (node.nowMs() > dueMs + TEN_MINUTES_MS && report?.outcome === 'in-sync')
      t.fail('a renewal that is due and cannot be made is told')
  }

  t.equal(node.served('influxdb'), first.fingerprint, 'it serves on with what it has')
  t.ok(neighbours.size >= 5, `${neighbours.size} self-signed certificates meanwhile`)
  // Every ten minutes a look, of which each may ask again: with a pause, and never in vain for long.
  t.ok(attempts > 20 && attempts <= 2 * 144, `${attempts} attempts in a day`)

  controller.comeBack()
  await goOn()
  await goOn()
  const next = certificateFacts(leaf)
  t.not(next.fingerprint, first.fingerprint)
  t.equal(node.served('influxdb'), next.fingerprint)
  t.not(next.publicKeyDigest, first.publicKeyDigest)
  t.equal((await goOn())?.outcome, 'in-sync')
})

await t.test('who prepares while it starts anew waits, and stops no rollout', async t => {
  const node = newNode()
  const controller = createFakeController(() => node.nowMs())
  let isAway = true
  const { answerSign } = controller
  controller.answerSign = async request => {
    if (isAway) throw unreachable()
    return answerSign(request)
  }
  const agent = await startAgent(node, controller)
  t.teardown(() => agent.kill())
  const services = await internal(controller.ca.certificatePem)
  const told = () => agent.control.status().services[0]

  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 1, services, mode: 'stage' })),
  )

  // `failed` would be a refusal, for which the rollout stops.
  t.match(told(), { outcome: 'waiting', reason: { code: 'controller-unreachable' } })
  isAway = false
  // Sooner than at its next regular look, which is minutes away.
  await agent.afterPass(() => agent.advance(TEN_SECONDS_MS))
  t.match(told(), { outcome: 'staged' })
})
