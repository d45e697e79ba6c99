// A rotation of the CA is taken back in each of its phases, at rest and in the middle of a rollout, on
// real systemd, while Kibana, Prometheus and a client verify all the while. After the first node has
// dropped the old CA there is no way back.

import t, { type Test } from 'tap'
import { createLabFleet } from '../support/lab-fleet.ts'
import {
  installElasticsearch,
  installKibana,
  prepareCluster,
  transportStore,
} from './estate/elastic.ts'
import { installMonitoring } from './estate/monitoring.ts'
import { createRotationScene } from './rotation-scene.ts'
import { distrustIn, startVerifyingClient } from './verifying-client.ts'
import { withLab } from './with-lab.ts'

const [MON, ES, KIBANA] = ['n1', 'n2', 'n3'] as const
const ROLES = { [MON]: 'monitoring', [ES]: 'elastic', [KIBANA]: 'kibana' }
const LISTENERS = [`${MON}:9090`, `${MON}:9093`, `${MON}:9100`, `${ES}:9200`, `${KIBANA}:5601`]

const SPEC = `version: 1
fleet: lab
defaults:
  lifetime: 30d
  verify: { stableFor: 500ms, deadline: 60s }
services:
  - service: elasticsearch
    nodes: { labels: { role: elastic } }
  - service: kibana
    nodes: { labels: { role: kibana } }
  - service: node-exporter
    nodes: { labels: { role: monitoring } }
  - service: alertmanager
    nodes: { labels: { role: monitoring } }
  - service: prometheus
    nodes: { labels: { role: monitoring } }
`

await withLab(t, { nodes: 3 }, async lab => {
  const store = transportStore(t.testdir({}))
  const [fleet] = await Promise.all([
    createLabFleet(lab, { ready: async () => {} }),
    installMonitoring(lab, MON),
    installElasticsearch(lab, ES, { nodes: [ES], store, http: '' }).then(() =>
      prepareCluster(lab, [ES]),
    ),
  ])
  await installKibana(lab, KIBANA, { urls: [`http://${ES}:9200`] })
  t.teardown(() => fleet.end())
  for (const [node, role] of Object.entries(ROLES)) {
    const token = await fleet.addNode(node, { labels: [`role=${role}`] })
    const { code, stderr } = await fleet.enroll(node, token)
    if (code !== 0) throw new Error(`${node}: ${stderr}`)
    await fleet.startAgent(node)
  }
  await fleet.untilAll('idle')
  const applied = await fleet.apply(SPEC)
  if (applied.code !== 0) throw new Error(applied.stdout + applied.stderr)

  const scene = createRotationScene(fleet)
  const original = await trustText()
  const handshakes = await startVerifyingClient(lab, fleet.trustFile, LISTENERS)
  t.teardown(() => handshakes.end())

  async function signalAgent(signal: 'STOP' | 'CONT'): Promise<void> {
    await lab.output(KIBANA, ['systemctl', 'kill', '-s', signal, 'tlsfleet-agent'])
  }

  async function trustText(): Promise<string> {
    return (await fleet.cli(['trust'])).stdout
  }

  /** `meanwhile`: when the controller has been told. */
  async function takeBack(
    t: Test,
    id: string,
    meanwhile: () => Promise<void> = async () => {},
  ): Promise<void> {
    const { code, stderr } = await fleet.cli(['ca', 'abort', id, '--yes'])
    t.equal(code, 0, stderr)
    await meanwhile()
    await scene.untilStatus('it is taken back', ({ status }) => status === 'reversed')
    t.equal(await trustText(), original, 'the old CA is the only one')
    await scene.learnTrust()
    const { listeners } = await handshakes.seen()
    t.equal(Object.keys(listeners).length, LISTENERS.length)
    t.strictSame(distrustIn(await handshakes.seen()), [])
    const plan = await fleet.cli(['plan', '-f', fleet.specFile(SPEC)])
    t.equal(plan.code, 0, 'every node is as the fleet spec says')
  }

  await t.test('before any node has heard of it', async t => {
    const id = await scene.rotate()
    await scene.untilComplete('prepare')
    await takeBack(t, id)
  })

  await t.test('when everybody trusts both', async t => {
    const id = await scene.rotate()
    await scene.untilComplete('prepare')
    await scene.advance(id)
    await scene.untilComplete('distribute')
    t.equal(await scene.learnTrust(), 2)
    await takeBack(t, id)
  })

  await t.test('in the middle of the change of certificates, and after it', async t => {
    for (const moment of ['rollout', 'advance'] as const) {
      const id = await scene.rotate()
      await scene.untilComplete('prepare')
      await scene.advance(id)
      await scene.untilComplete('distribute')
      t.equal(await scene.learnTrust(), 2)
      // A node whose agent hangs keeps the rollout from ending before anybody has looked.
      if (moment === 'rollout') await signalAgent('STOP')
      await scene.advance(id)
      await scene.untilStatus(
        `activate waits for ${moment}`,
        ({ phase, waitsFor }) => phase === 'activate' && waitsFor === moment,
      )
      await takeBack(t, id, async () => {
        if (moment === 'rollout') await signalAgent('CONT')
      })
    }
  })

  await t.test('not any more when nobody trusts the old one', async t => {
    const id = await scene.rotate()
    for (const phase of ['prepare', 'distribute', 'activate'] as const) {
      await scene.untilComplete(phase)
      if (phase === 'distribute') t.equal(await scene.learnTrust(), 2)
      await scene.advance(id)
    }
    await scene.finish(id)
    const refused = await fleet.cli(['ca', 'abort', id, '--yes'])
    t.equal(refused.code, 1)
    t.match(refused.stderr, /completed/)
    t.equal(await scene.learnTrust(), 1)
    t.not(await trustText(), original)
    t.strictSame(distrustIn(await handshakes.seen()), [])
  })

  await t.test('the CA of agents is replaced, and nobody is enrolled anew', async t => {
    const before = await fleet.cliJson(['ca', 'ls'])
    const begun = await fleet.cli(['ca', 'rotate', '--identity', '--auto', '--yes'])
    t.equal(begun.code, 0, begun.stderr)
    await scene.untilStatus('it is completed', ({ status }) => status === 'completed')

    t.notSame(await fleet.cliJson(['ca', 'ls']), before)
    await fleet.untilAll('converged')
    const token = await fleet.addNode(MON, { name: 'late', labels: ['role=none'] })
    t.ok(token.length > 0, 'the operator is still logged in')
    await lab.output(MON, ['systemctl', 'restart', 'tlsfleet-agent'])
    await fleet.untilState(MON, 'converged')
    t.strictSame(distrustIn(await handshakes.seen()), [])
  })
})
