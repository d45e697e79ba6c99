// The right to go past the point of no return: claimed before it, or there is no switch.

import t from 'tap'
import { CONF, lastOf, scene, seen, services, TLS } from '../support/agent-scene.ts'
import { documentOf, unreachable } from '../support/fake-controller.ts'
import { outcomes, STOCK_FILES, wish } from '../support/memory-fleet.ts'

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
      {
        purpose: 'rollout',
        generation: 3,
        digest: document.digest,
        sequence: controller.reports[0]?.sequence,
      },
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

await t.test('nothing is written outside of what the node allows', async t => {
  for (const [paths, code] of [
    [['/etc/prometheus'], 'write-not-allowed'],
    // A name that begins alike is another directory.
    [['/etc/prom', '/etc/default'], 'write-not-allowed'],
    [['/etc/prometheus', '/etc/default', '/var/lib/tlsfleet'], 'changes-applied'],
  ] as const) {
    const { node, controller, agent } = await scene(t, { services: ['prometheus'], paths })
    const before = [...node.files.tree.keys()].filter(path => path.startsWith('/etc/'))

    await agent.afterPass(() => controller.offer(documentOf({ generation: 1, services })))

    const [prometheus] = agent.control.status().services
    const isAllowed = code === 'changes-applied'
    t.equal(prometheus?.outcome, isAllowed ? 'changed' : 'unsupported', paths.join(' '))
    if (isAllowed) continue
    t.equal(prometheus?.reason.code, code)
    t.match(prometheus?.reason.message, /does not allow \/etc\/\S+ to be written/)
    t.equal(node.served('prometheus'), 'plaintext')
    const after = [...node.files.tree.keys()].filter(path => path.startsWith('/etc/'))
    t.same(after, before, 'nothing new below /etc')
  }
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
