// The daemon's loop on a node in memory, with a controller that is an object.

import { setImmediate as nextTurn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { OperationalError } from '../../shared/errors.ts'
import { newIdentityKey } from '../../agent/identity.ts'
import { until } from '../lab/until.ts'
import {
  createFakeController,
  createIdentity,
  DAY_MS,
  documentOf,
  type FakeController,
  unreachable,
} from '../support/fake-controller.ts'
import { type AgentParts, type RunningAgent, startAgent } from '../support/memory-agent.ts'
import {
  type MemoryNode,
  newNode,
  outcomes,
  passOnce,
  STATE,
  STOCK_FILES,
  wish,
} from '../support/memory-fleet.ts'

const CONF = '/etc/influxdb/influxdb.conf'
const TLS = /^[0-9a-f]{64}$/

const services = await wish()

interface Scene {
  readonly node: MemoryNode
  readonly controller: FakeController
  readonly agent: RunningAgent
}

/** A stock node with an agent that has passed once; the process ends with the test. */
async function scene(t: Test, parts: AgentParts = {}, node = newNode()): Promise<Scene> {
  const controller = createFakeController(() => node.nowMs())
  const agent = await startAgent(node, controller, parts)
  t.teardown(() => agent.kill())
  return { node, controller, agent }
}

const seen = <T>(what: string, check: () => T | false | undefined) =>
  until(check, { what, everyMs: 2, timeoutMs: 10_000 })
/** Long enough for messages in memory to arrive. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn++) await nextTurn()
}

const lastOf = <T>(list: readonly T[]): T | undefined => list.at(-1)
const summary = ({ agent }: Scene) => outcomes(agent.control.status().services)

await t.test('an agent without a desired state says so and touches nothing', async t => {
  const { node, controller, agent } = await scene(t)

  await seen('the report', () => controller.reports.length === 1)

  t.strictSame(controller.reports[0]?.services, [])
  t.equal(controller.reports[0]?.observedGeneration, undefined)
  t.equal(agent.control.status().generation, undefined)
  t.strictSame(controller.questions, [undefined])
  t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
  t.strictSame(node.activations, [])
})

await t.test(
  'a document is accepted, its permit claimed before anything live changes, and the end reported',
  async t => {
    const { node, controller, agent } = await scene(t)
    const document = documentOf({ generation: 3, services: await wish(), permit: true })
    const live: unknown[] = []
    controller.answerLease = async () => {
      live.push([node.files.text(CONF) === STOCK_FILES.influxdbConf, node.activations.length])
      return { granted: true, reason: { code: 'granted', message: 'go' } }
    }

    await agent.afterPass(() => controller.offer(document))

    t.strictSame(live, [[true, 0]], 'asked once for the pass, before the first switch')
    t.strictSame(controller.leases, [
      { purpose: 'rollout', generation: 3, digest: document.digest },
    ])
    t.match(node.served('influxdb'), TLS)
    t.match(node.served('prometheus'), TLS)
    await seen('the report', () => controller.reports.length === 2)
    const report = controller.reports[1]
    t.strictSame(
      [report?.observedGeneration, report?.observedDigest, report?.mode],
      [3, document.digest, 'enforce'],
    )
    t.strictSame(outcomes(report?.services ?? []), { prometheus: 'changed', influxdb: 'changed' })
    await agent.afterPass(() => agent.wake('files'))
    await agent.afterPass(() => agent.wake('files'))
    t.equal(controller.leases.length, 1, 'a converged node claims nothing')
    await seen('that all is well now', () => controller.reports.length === 3)
    t.strictSame(lastOf(controller.questions), 3)
  },
)

for (const [what, answer, code] of [
  ['no answer', () => Promise.reject(unreachable()), 'lease-unanswered'],
  [
    'a refusal',
    async () => ({ granted: false, reason: { code: 'permit-withdrawn', message: 'paused' } }),
    'permit-withdrawn',
  ],
] as const) {
  await t.test(`${what} to the claim leaves everything live as it is, and is retried`, async t => {
    const { node, controller, agent } = await scene(t)
    controller.answerLease = answer

    await agent.afterPass(() =>
      controller.offer(documentOf({ generation: 1, services, permit: true })),
    )

    t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
    t.equal(node.served('influxdb'), 'plaintext')
    t.strictSame(node.activations, [])
    t.equal(agent.control.status().services[0]?.outcome, 'waiting')
    t.equal(agent.control.status().services[0]?.reason.code, code)
    controller.answerLease = async () => ({ granted: true, reason: { code: 'ok', message: 'go' } })
    // Sooner than the next full look, and not at once.
    await agent.afterPass(() => agent.advance(5_000))
    t.match(node.served('influxdb'), TLS)
  })
}

await t.test('with the controller away, drift is healed with the last accepted state', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 1, services, permit: true })),
  )
  await agent.afterPass(() => agent.wake('files'))
  controller.leave()
  const good = node.files.text(CONF) ?? ''

  node.advance(1_000)
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  await agent.afterPass(() => agent.wake('files'))

  t.equal(node.files.text(CONF), good)
  t.equal(controller.leases.length, 1, 'a correction needs no permit')
  agent.kill()

  // Nor does a new process need the controller.
  node.advance(1_000)
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  const next = await startAgent(node, controller)
  t.teardown(() => next.kill())
  t.equal(node.files.text(CONF), good)
  t.equal(next.control.status().generation, 1)

  // What it had to tell arrives when the controller is back, the newest only.
  const before = controller.reports.length
  controller.comeBack()
  next.advance(60_000)
  await seen('the report', () => controller.reports.length > before)
  t.equal(lastOf(controller.reports)?.observedGeneration, 1)
})

await t.test('while a stage document is prepared, the one in force is kept up', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  await agent.afterPass(() => agent.wake('files'))
  const served = node.served('influxdb')
  const good = node.files.text(CONF) ?? ''
  const next = await wish({ dns: ['n1', 'localhost', 'more'] })

  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 2, services: next, mode: 'stage', permit: true })),
  )

  t.strictSame(summary({ node, controller, agent }), { prometheus: 'staged', influxdb: 'staged' })
  t.equal(node.served('influxdb'), served)
  node.advance(1_000)
  node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
  await agent.afterPass(() => agent.wake('files'))
  t.equal(node.files.text(CONF), good, 'healed in the sense of the old document')
  t.equal(node.served('influxdb'), served)
  t.strictSame(controller.leases, [])

  await agent.afterPass(() => controller.offer(documentOf({ generation: 3, services: next })))
  t.strictSame(summary({ node, controller, agent }), { prometheus: 'changed', influxdb: 'changed' })
  t.not(node.served('influxdb'), served)
})

await t.test(
  'what is in force is renewed also while another document is only prepared',
  async t => {
    const { node, controller, agent } = await scene(t)
    const internal = (list: Awaited<ReturnType<typeof wish>>) =>
      list.map(tls => ({
        ...tls,
        trust: [controller.ca.certificatePem],
        certificate: { ...tls.certificate, issuer: 'internal' as const },
      }))
    let current: { generation: number; dns: readonly string[] } = { generation: 0, dns: [] }
    // As the real one: only the newest generation of a node may ask, and gets the names of that one.
    controller.answerSign = async ({ generation, publicKey }) => {
      if (generation === current.generation)
        return controller.ca.issue(publicKey, node.nowMs(), 30 * DAY_MS, current.dns)
      throw new OperationalError('request-refused', 'stale-generation')
    }
    const give = async (mode: 'enforce' | 'stage', generation: number, dns: readonly string[]) => {
      current = { generation, dns }
      const content = internal(await wish({ services: ['influxdb'], dns }))
      await agent.afterPass(() =>
        controller.offer(documentOf({ generation, services: content, mode })),
      )
    }
    await give('enforce', 1, ['n1', 'localhost'])
    const first = node.served('influxdb')
    t.match(first, TLS)

    await give('stage', 2, ['n1', 'localhost'])
    await agent.afterPass(() => agent.advance(26 * DAY_MS))
    const second = node.served('influxdb')
    t.not(second, first, 'it was renewed')

    // With other names than those in force, what the controller would issue is of no use.
    await give('stage', 3, ['n1', 'localhost', 'more'])
    const restarts = node.activations.length
    await agent.afterPass(() => agent.advance(26 * DAY_MS))
    await agent.afterPass(() => agent.advance(DAY_MS))
    t.equal(node.served('influxdb'), second)
    t.equal(node.activations.length, restarts, 'it does not flap')
  },
)

await t.test('an audit document ends enforcement: drift is reported and left', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 2, services, mode: 'audit' })),
  )
  const bad = (node.files.text(CONF) ?? '').replace('https-enabled = true', 'https-enabled = false')

  node.advance(1_000)
  node.files.put(CONF, bad)
  const changes = node.changes()
  await agent.afterPass(() => agent.wake('files'))

  t.equal(node.files.text(CONF), bad)
  t.equal(summary({ node, controller, agent })['influxdb'], 'planned')
  const written = node.changes() - changes
  t.ok(written <= 4, `${written} changes: its own report, nothing of the node's`)
})

await t.test('a preview is answered by a plan, and nothing is touched', async t => {
  const { node, controller, agent } = await scene(t)
  const changes = node.changes()

  await agent.afterPass(() =>
    controller.askPreview({ previewId: 'p1', content: { services: [...services] } }),
  )

  t.equal(controller.previews.length, 1)
  t.strictSame(outcomes(controller.previews[0]?.services ?? []), {
    prometheus: 'planned',
    influxdb: 'planned',
  })
  t.equal(node.changes(), changes, 'not one write')
  t.strictSame(node.activations, [])
})

await t.test('a preview that cannot be delivered stops nothing', async t => {
  const node = newNode()
  const controller = createFakeController(() => node.nowMs())
  const remote = { ...controller.remote, preview: () => Promise.reject(unreachable()) }
  const agent = await startAgent(node, { ...controller, remote })
  t.teardown(() => agent.kill())

  await agent.afterPass(() => controller.askPreview({ previewId: 'p', content: { services: [] } }))
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

  t.match(node.served('influxdb'), TLS)
})

await t.test('what was held after a failure is lifted by a new generation only', async t => {
  const node = newNode()
  node.refuseStart = name =>
    name === 'influxdb.service' && (node.files.text(CONF) ?? '').includes('https-enabled = true\n')
  const { controller, agent } = await scene(t, {}, node)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  t.equal(summary({ node, controller, agent })['influxdb'], 'restored')
  node.refuseStart = undefined
  const tried = node.activations.length

  await agent.afterPass(() => agent.wake('files'))
  await agent.afterPass(() => agent.advance(400_000))
  t.equal(node.activations.length, tried, 'not tried again by itself')
  t.equal(summary({ node, controller, agent })['influxdb'], 'restored')

  await agent.afterPass(() => controller.offer(documentOf({ generation: 2, services })))
  t.equal(summary({ node, controller, agent })['influxdb'], 'changed')
  t.match(node.served('influxdb'), TLS)
})

await t.test('an operator lifts it too, also while something else had woken the loop', async t => {
  const node = newNode()
  node.refuseStart = name => name === 'influxdb.service'
  const { controller, agent } = await scene(t, {}, node)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  t.equal(summary({ node, controller, agent })['influxdb'], 'failed')
  node.refuseStart = undefined
  node.start('influxdb')

  agent.wake('files')
  const reports = await agent.control.apply()

  t.equal(outcomes(reports)['influxdb'], 'changed')
})

await t.test('an operator who asks during a pass gets the answer of a later one', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  await agent.afterPass(() => agent.wake('files'))
  const before = node.served('prometheus')
  let answer: Promise<unknown> | undefined
  t.intercept(node.host.services, 'peekInvocation', {
    value: async (unit: string) => {
      answer ??= agent.control.renew(['prometheus'])
      return (await node.host.services.show(unit))?.invocationId
    },
  })

  await agent.afterPass(() => agent.wake('files'))
  const reports = await answer

  t.match(reports, [{ service: 'prometheus', outcome: 'changed' }, { service: 'influxdb' }])
  t.not(node.served('prometheus'), before)
})

await t.test('services and acts that the node does not allow are reported, not done', async t => {
  const { node, controller, agent } = await scene(t, {
    services: ['prometheus'],
    activations: ['none'],
  })

  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

  const codes = agent.control.status().services.map(one => [one.service, one.reason.code])
  t.strictSame(codes, [
    ['prometheus', 'activation-not-allowed'],
    ['influxdb', 'service-not-allowed'],
  ])
  t.strictSame(node.activations, [])
  t.equal(node.served('prometheus'), 'plaintext')
  const planned = await agent.control.plan()
  t.equal(
    planned.find(one => one.service === 'influxdb')?.reason.code,
    'service-not-allowed',
    'a plan does not promise what would not be done',
  )
})

await t.test('a refused document is reported, once, and changes nothing', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 5, services })))
  await agent.afterPass(() => agent.wake('files'))
  const changes = node.changes()

  await agent.afterPass(() =>
    controller.offer(documentOf({ generation: 6, services, node: 'another' })),
  )
  await seen('the report', () => lastOf(controller.reports)?.problem !== undefined)

  t.equal(lastOf(controller.reports)?.problem?.code, 'desired-other-node')
  t.equal(agent.control.status().problem?.code, 'desired-other-node')
  t.equal(lastOf(controller.reports)?.observedGeneration, 5)
  t.ok(node.changes() - changes <= 4, 'no more than the report was written')
  const asked = controller.questions.length
  await turns()
  t.ok(controller.questions.length - asked <= 1, 'it is not asked for again and again')
  await agent.afterPass(() => controller.offer(documentOf({ generation: 7, services })))
  t.equal(agent.control.status().problem, undefined)
})

await t.test(
  'a clean stop before the switch leaves everything; after it, it is finished',
  async t => {
    for (const step of ['claim', 's7 switch', 's9 activate', 's10 verify']) {
      const node = newNode()
      const controller = createFakeController(() => node.nowMs())
      const stopAt = (reached: string) => {
        if (reached === step) agent.signalStop()
      }
      controller.answerLease = async () => {
        stopAt('claim')
        return { granted: true, reason: { code: 'granted', message: 'go' } }
      }
      const agent = await startAgent(node, controller, { onStep: stopAt })
      const document = documentOf({
        generation: 1,
        services: await wish({ services: ['influxdb'] }),
        permit: true,
      })

      controller.offer(document)
      await agent.ended

      if (step === 'claim') {
        t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf, step)
        t.strictSame(node.activations, [], step)
      } else t.match(node.served('influxdb'), TLS, step)
      t.equal(node.files.text(`${STATE}/journal.json`), undefined, 'nothing is left to finish')
    }
  },
)

await t.test('a stopped agent has left its watchdog, its poll and its connection', async t => {
  const { controller, agent } = await scene(t)
  let closed = 0
  controller.remote.close = () => void (closed += 1)

  await agent.stop()

  const beats = agent.heartbeats()
  const asked = controller.questions.length
  agent.advance(DAY_MS)
  await turns()
  t.strictSame([agent.heartbeats(), controller.questions.length, closed], [beats, asked, 1])
})

await t.test('the heartbeat comes from the loop: a loop that hangs is silent', async t => {
  const { node, controller, agent } = await scene(t)
  const beats = agent.heartbeats()
  for (let piece = 0; piece < 5; piece++) {
    agent.advance(20_000)
    await seen('a heartbeat', () => agent.heartbeats() > beats + piece)
  }
  t.equal(agent.passes(), 1, 'without a pass each')

  const beforePass = agent.heartbeats()
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  t.ok(agent.heartbeats() - beforePass >= 5, 'the waits of a verification are signs of life, too')

  // From now on the pass hangs, while polls go on and the controller comes and goes.
  let hung = false
  t.intercept(node.host.services, 'show', {
    value: () => {
      hung = true
      return new Promise(() => undefined)
    },
  })
  controller.offer(documentOf({ generation: 2, services: await wish({ dns: ['n1', 'more'] }) }))
  await seen('the pass hangs', () => hung)
  const last = agent.heartbeats()
  for (let round = 0; round < 5; round++) {
    controller.leave()
    await turns()
    agent.advance(60_000)
    await turns()
    controller.comeBack()
    agent.advance(60_000)
    await turns()
  }
  t.equal(agent.heartbeats(), last)
})

await t.test('the identity is renewed at half of its life, with a new key', async t => {
  const node = newNode()
  const identity = createIdentity(node.nowMs(), 20 * DAY_MS)
  const { controller, agent } = await scene(t, { identity }, node)
  await agent.afterPass(() => agent.advance(9.9 * DAY_MS))
  t.equal(controller.renewed.length, 0)
  const stored = () => node.files.text(`${STATE}/identity.json`) ?? '{}'

  controller.answerRenew = () => Promise.reject(unreachable())
  await agent.afterPass(() => agent.advance(0.2 * DAY_MS))
  t.equal(controller.renewed.length, 1)
  t.equal(stored(), '{}', 'the old one stays in use')

  // A chain for another key, and something that is no certificate at all.
  const other = (await newIdentityKey('n1')).keys.publicKeyPem
  const issue = createFakeController(() => node.nowMs()).answerRenew
  controller.answerRenew = () => issue(other)
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  controller.answerRenew = async () =>
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  t.equal(stored(), '{}')

  controller.answerRenew = issue
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  t.equal(controller.renewed.length, 4)
  t.equal(new Set(controller.renewed).size, 4, 'a new key each time')
  const document: { certificateChain?: string } = JSON.parse(stored())
  t.match(document.certificateChain, /BEGIN CERTIFICATE/)
  await agent.afterPass(() => agent.advance(300_000 * 1.1))
  t.equal(controller.renewed.length, 4, 'and once is enough')
})

await t.test('report numbers increase over restarts, and over a lost ledger', async t => {
  const node = newNode()
  const controller = createFakeController(() => node.nowMs())
  for (let life = 1; life <= 4; life++) {
    if (life === 3) node.files.put(`${STATE}/ledger.json`, 'torn')
    if (life === 4) {
      node.files.put(`${STATE}/ledger.json`, '')
      node.files.put(`${STATE}/report.json`, '')
    }
    const agent = await startAgent(node, controller)
    const dns = ['n1', 'localhost', `life-${life}`]
    const count = controller.reports.length
    const document = documentOf({ generation: life, services: await wish({ dns }) })
    await agent.afterPass(() => controller.offer(document))
    await agent.afterPass(() => agent.wake('files'))
    await seen('the reports', () => controller.reports.length >= count + 2)
    if (life % 2 === 0) await agent.stop()
    else agent.kill()
    node.advance(60_000)
  }

  const numbers = controller.reports.map(report => report.sequence)
  const news = numbers.filter((number, index) => number !== numbers[index - 1])
  t.strictSame(
    news,
    news.toSorted((a, b) => a - b),
    'every number is above those before it, or the very same report again',
  )
  t.ok(news.length >= 8, news.join(' '))
})

await t.test('a full disk under the agent state does not end the loop', async t => {
  const { node, controller, agent } = await scene(t)
  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))
  await agent.afterPass(() => agent.wake('files'))
  node.fault = (_, path) => {
    if (path.startsWith(STATE)) throw new OperationalError('disk-full', `could not write ${path}`)
  }
  const more = await wish({ dns: ['n1', 'localhost', 'more'] })

  await agent.afterPass(() => controller.offer(documentOf({ generation: 2, services: more })))

  t.equal(agent.control.status().problem?.code, 'disk-full')
  t.equal(agent.control.status().generation, 1, 'what could not be kept does not count')
  node.fault = undefined
  await agent.afterPass(() => agent.advance(300_000))
  await agent.afterPass(() => agent.advance(300_000))
  t.equal(agent.control.status().generation, 2)
  t.equal(agent.control.status().problem, undefined)
  await seen('the report', () => lastOf(controller.reports)?.observedGeneration === 2)
})

await t.test(
  'a damaged desired state is asked for again and never replaced by an older one',
  async t => {
    const node = newNode()
    const controller = createFakeController(() => node.nowMs())
    const first = await startAgent(node, controller)
    await first.afterPass(() => controller.offer(documentOf({ generation: 8, services })))
    await first.stop()
    node.files.put(`${STATE}/desired.json`, '{"checksum":"0","body":{}}')

    controller.offer(documentOf({ generation: 7, services: [] }))
    const second = await startAgent(node, controller)
    await seen('it is refused', () => second.control.status().problem?.code === 'desired-outdated')
    t.equal(second.control.status().generation, undefined)
    await second.afterPass(() => controller.offer(documentOf({ generation: 8, services })))
    t.teardown(() => second.kill())

    t.equal(second.control.status().generation, 8)
    t.equal(second.control.status().problem, undefined)
    t.strictSame(outcomes(second.control.status().services), {
      prometheus: 'in-sync',
      influxdb: 'in-sync',
    })
  },
)

await t.test(
  'an internal certificate is asked for with a proof, and a bad answer changes nothing',
  async t => {
    const { node, controller, agent } = await scene(t)
    const internal = (await wish()).map(tls => ({
      ...tls,
      trust: [controller.ca.certificatePem],
      certificate: { ...tls.certificate, issuer: 'internal' as const },
    }))
    const issue = controller.answerSign
    controller.answerSign = async () =>
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----'

    await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services: internal })))

    t.strictSame(
      agent.control.status().services.map(one => one.outcome),
      ['failed', 'failed'],
    )
    t.equal(node.files.text(CONF), STOCK_FILES.influxdbConf)
    controller.answerSign = issue
    await agent.afterPass(() => agent.advance(300_000))
    t.strictSame(
      agent.control.status().services.map(one => one.outcome),
      ['changed', 'changed'],
    )
    const [first] = controller.signed
    t.match(first, { service: 'prometheus', generation: 1, publicKey: /PUBLIC KEY/, proof: /./ })
    t.match(node.served('influxdb'), TLS)
  },
)

for (const where of ['the poll', 'a pass'] as const) {
  await t.test(
    `a bug in ${where} ends the agent as a whole, so that it is started anew`,
    async t => {
      const node = newNode()
      const controller = createFakeController(() => node.nowMs())
      const bug = () => Promise.reject(new TypeError('a bug'))
      if (where === 'the poll') controller.remote.desired = bug
      const agent = await startAgent(node, controller)
      if (where === 'a pass') {
        t.intercept(node.host.services, 'show', { value: bug })
        controller.offer(documentOf({ generation: 1, services }))
      }

      await t.rejects(agent.ended, { message: 'a bug' })

      const asked = controller.questions.length
      const beats = agent.heartbeats()
      controller.offer(documentOf({ generation: 2, services }))
      agent.advance(DAY_MS)
      for (let turn = 0; turn < 10; turn++) await nextTurn()
      t.strictSame([controller.questions.length, agent.heartbeats()], [asked, beats])
    },
  )
}

await t.test('damaged state files of the agent are no lasting problem', async t => {
  const node = newNode()
  await passOnce(node, services)
  const activations = node.activations.length
  node.files.put(`${STATE}/journal.json`, 'garbage')
  node.files.put(`${STATE}/ledger.json`, '{"checksum":"0","body":{}}')
  const { controller, agent } = await scene(t, {}, node)

  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

  t.equal(agent.control.status().problem, undefined)
  t.ok(node.files.text(`${STATE}/journal.json.damaged`))
  t.ok(node.files.text(`${STATE}/ledger.json.damaged`))
  t.equal(node.activations.length, activations)
})

await t.test('the files of what it looks after are watched', async t => {
  const { controller, agent } = await scene(t)

  await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

  for (const path of [CONF, '/etc/prometheus/prometheus.yml', '/etc/influxdb/tls/current'])
    t.ok(agent.watched().includes(path), path)
})

await t.test(
  'passOnce and the daemon agree: adopting a converged node restarts nothing',
  async t => {
    const node = newNode()
    await passOnce(node, services)
    const activations = node.activations.length
    const { controller, agent } = await scene(t, {}, node)

    await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

    t.strictSame(summary({ node, controller, agent }), {
      prometheus: 'in-sync',
      influxdb: 'in-sync',
    })
    t.equal(node.activations.length, activations)
  },
)
