// What an agent counts, and when it writes that down: a converged one never does.

import t from 'tap'
import type { ServiceReport } from '../../shared/contract/report.ts'
import { createAgentMetrics } from '../../agent/metrics.ts'
import { CONF, scene, services } from '../support/agent-scene.ts'
import { documentOf } from '../support/fake-controller.ts'
import { newNode } from '../support/memory-fleet.ts'
import { lint, valueOf } from '../support/metrics-text.ts'
import { serviceReport } from '../controller/api/fake-agent.ts'

const PATH = '/var/lib/tlsfleet-metrics/tlsfleet.prom'
const NOW = 1_800_000_000_000
const FACTS = { node: 'n1', fleet: 'demo', version: '1.2.3' }

/** The directory is the operator's to make. */
function nodeWithPlace() {
  const node = newNode()
  node.files.put('/var/lib/tlsfleet-metrics/README', '')
  return node
}

const change = {
  resource: '/etc/x',
  kind: 'config-file' as const,
  action: 'update' as const,
  summary: 'x',
  reason: { code: 'drift', message: 'x' },
}

await t.test('what happens is counted once', async t => {
  const metrics = createAgentMetrics(() => FACTS)
  const sync = { ...serviceReport('influxdb', 'in-sync'), notAfterMs: NOW + 1_000, renewAtMs: NOW }
  const drifted = { ...sync, corrective: true, changes: [change] }
  const pass = (report: ServiceReport) => metrics.passed([report], NOW)
  pass(sync)
  const before = metrics.lasting()
  pass(sync)
  t.equal(metrics.lasting(), before, 'a pass in which nothing happens changes nothing')

  pass({ ...drifted, outcome: 'waiting' })
  pass({ ...drifted, outcome: 'waiting' })
  pass({ ...drifted, outcome: 'changed', activation: 'restart', activations: 1 })
  const changed = metrics.lasting()
  pass(sync)
  t.equal(metrics.lasting(), changed, 'one change is one file')
  pass({ ...drifted, outcome: 'changed', activation: 'reload', activations: 1 })
  pass({ ...sync, outcome: 'restored', activation: 'restart', activations: 2 })
  pass({ ...sync, outcome: 'restored' })
  metrics.waited()
  metrics.contacted(NOW + 5_000)
  const text = metrics.text()
  lint(t, text)
  for (const [sample, value] of [
    ['tlsfleet_agent_info{node="n1",fleet="demo",version="1.2.3"}', 1],
    ['tlsfleet_agent_passes_total', 9],
    ['tlsfleet_agent_last_pass_timestamp_seconds', NOW / 1000],
    ['tlsfleet_agent_last_contact_timestamp_seconds', NOW / 1000 + 5],
    ['tlsfleet_agent_controller_reachable', 1],
    ['tlsfleet_agent_drift_found_total{service="influxdb"}', 2],
    ['tlsfleet_agent_drift_corrected_total{service="influxdb"}', 2],
    ['tlsfleet_agent_activations_total{service="influxdb",kind="restart"}', 3],
    ['tlsfleet_agent_activations_total{service="influxdb",kind="reload"}', 1],
    ['tlsfleet_agent_restores_total', 1],
    ['tlsfleet_agent_lease_waits_total', 1],
    ['tlsfleet_agent_service_outcome{service="influxdb",outcome="restored"}', 1],
    ['tlsfleet_agent_service_outcome{service="influxdb",outcome="in-sync"}', 0],
    ['tlsfleet_agent_certificate_not_after_timestamp_seconds{service="influxdb"}', NOW / 1000 + 1],
    ['tlsfleet_agent_certificate_renew_at_timestamp_seconds{service="influxdb"}', NOW / 1000],
    ['tlsfleet_agent_listeners_not_ok{service="influxdb"}', 0],
  ] as const)
    t.equal(valueOf(text, sample), value, sample)
  metrics.missed()
  t.equal(valueOf(metrics.text(), 'tlsfleet_agent_controller_reachable'), 0)
})

await t.test(
  'the file follows what happens, and nothing is written while nothing does',
  async t => {
    const parts = { metricsFile: { path: PATH, refreshMs: undefined } }
    const { node, controller, agent } = await scene(t, parts, nodeWithPlace())
    await agent.afterPass(() =>
      controller.offer(documentOf({ generation: 1, services, permit: true })),
    )
    await agent.afterPass(() => agent.wake('files'))
    const corrected = 'tlsfleet_agent_drift_corrected_total{service="influxdb"}'
    const converged = node.files.text(PATH) ?? ''
    lint(t, converged)
    t.equal(valueOf(converged, corrected), 0)
    t.equal(
      valueOf(converged, 'tlsfleet_agent_service_outcome{service="influxdb",outcome="in-sync"}'),
      1,
    )
    t.notMatch(converged, /passes_total|last_contact/)

    const writes = node.changes()
    for (let pass = 0; pass < 3; pass++) {
      node.advance(300_000)
      await agent.afterPass(() => agent.wake('files'))
    }
    t.equal(node.changes(), writes)

    const good = node.files.text(CONF) ?? ''
    node.files.put(CONF, good.replace('https-enabled = true', 'https-enabled = false'))
    await agent.afterPass(() => agent.wake('files'))
    t.equal(valueOf(node.files.text(PATH) ?? '', corrected), 1)
    lint(t, agent.control.metrics())
    t.match(agent.control.metrics(), /tlsfleet_agent_passes_total/)
  },
)

await t.test(
  'where it is to be refreshed, it is; where it cannot be written, passes go on',
  async t => {
    const parts = { metricsFile: { path: PATH, refreshMs: 600_000 } }
    const { node, agent } = await scene(t, parts, nodeWithPlace())
    const passes = () => valueOf(node.files.text(PATH) ?? '', 'tlsfleet_agent_passes_total')
    t.equal(passes(), 1)
    node.advance(300_000)
    await agent.afterPass(() => agent.wake('files'))
    t.equal(passes(), 1)
    node.advance(300_000)
    await agent.afterPass(() => agent.wake('files'))
    t.equal(passes(), 3)

    const unwritable = await scene(t, {
      metricsFile: { path: '/nowhere/x.prom', refreshMs: undefined },
    })
    await unwritable.agent.afterPass(() => unwritable.agent.wake('files'))
    t.equal(unwritable.agent.passes(), 2)
  },
)
