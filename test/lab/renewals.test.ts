// Certificates that live a minute, on real systemd: the real Prometheus with its family and a cluster
// of Elasticsearch renew and renew, while a client verifies every listener. Nothing is restarted, and
// no handshake fails.

import t from 'tap'
import { createLabFleet } from '../support/lab-fleet.ts'
import { installElasticsearch, transportStore } from './estate/elastic.ts'
import { installMonitoring } from './estate/monitoring.ts'
import { until } from './lab.ts'
import type { Handshakes } from './programs/watch-handshakes.ts'
import { failuresIn, startVerifyingClient } from './verifying-client.ts'
import { withLab } from './with-lab.ts'

const RENEWALS = 200
const MONITORING = ['n1', 'n2', 'n3', 'n4', 'n5']
const ELASTIC = ['n6', 'n7', 'n8']
const FAMILY = {
  prometheus: 9090,
  'prometheus-alertmanager': 9093,
  'prometheus-node-exporter': 9100,
}

// A leaf begins five minutes before it is made, so of these six one is left.
const SPEC = `version: 1
fleet: lab
defaults:
  lifetime: 6m
  renewBefore: 59s
  verify: { stableFor: 1s, deadline: 60s }
services:
  - service: elasticsearch
    nodes: { labels: { role: elastic } }
  - service: node-exporter
    nodes: { labels: { role: monitoring } }
  - service: alertmanager
    nodes: { labels: { role: monitoring } }
  - service: prometheus
    nodes: { labels: { role: monitoring } }
`

await withLab(t, { nodes: MONITORING.length + ELASTIC.length }, async lab => {
  const store = transportStore(t.testdir({}))
  const [fleet] = await Promise.all([
    createLabFleet(lab, { ready: async () => {} }),
    ...MONITORING.map(node => installMonitoring(lab, node)),
    ...ELASTIC.map(node => installElasticsearch(lab, node, { nodes: ELASTIC, store, http: '' })),
  ])
  t.teardown(() => fleet.end())
  for (const node of [...MONITORING, ...ELASTIC]) {
    const role = MONITORING.includes(node) ? 'monitoring' : 'elastic'
    const token = await fleet.addNode(node, { labels: [`role=${role}`] })
    const { code, stderr } = await fleet.enroll(node, token)
    if (code !== 0) throw new Error(`${node}: ${stderr}`)
    await fleet.startAgent(node)
  }
  await fleet.untilAll('idle')

  await t.test('all of them are brought to TLS', async t => {
    const applied = await fleet.apply(SPEC)
    if (applied.code !== 0) t.bailout(applied.stdout + applied.stderr)
    t.match(applied.stdout, /succeeded/)
  })

  await t.test(`${RENEWALS} renewals, and no handshake fails`, async t => {
    const addresses = [
      ...MONITORING.flatMap(node => Object.values(FAMILY).map(port => `${node}:${port}`)),
      ...ELASTIC.map(node => `${node}:9200`),
    ]
    const client = await startVerifyingClient(lab, fleet.trustFile, addresses)
    t.teardown(() => client.end())
    const units = (node: string) =>
      MONITORING.includes(node) ? Object.keys(FAMILY) : ['elasticsearch']
    const invocations = () =>
      Promise.all(
        [...MONITORING, ...ELASTIC].flatMap(node =>
          units(node).map(unit => fleet.invocation(node, unit)),
        ),
      )
    const running = await invocations()

    const { rounds, listeners } = await until(
      async () => {
        const seen = await client.seen()
        const failures = failuresIn(seen)
        if (failures.length > 0) throw new Error(failures.join('\n'))
        return renewalsIn(seen) >= RENEWALS && isEachRenewed(seen) ? seen : undefined
      },
      { what: `${RENEWALS} renewals`, everyMs: 1_000, timeoutMs: 800_000 },
    )

    const counts = Object.entries(listeners).map(
      ([address, { fingerprints }]) => `${address} ${fingerprints.length - 1}`,
    )
    t.comment(`${rounds} rounds; renewals: ${counts.join(', ')}`)
    for (const [address, { fingerprints }] of Object.entries(listeners))
      t.ok(fingerprints.length > 2, `${address} was renewed more than once`)
    t.same(await invocations(), running, 'nothing was restarted')
  })
})

function isEachRenewed({ listeners }: Handshakes): boolean {
  return Object.values(listeners).every(({ fingerprints }) => fingerprints.length > 2)
}

function renewalsIn({ listeners }: Handshakes): number {
  return Object.values(listeners).reduce(
    (sum, { fingerprints }) => sum + fingerprints.length - 1,
    0,
  )
}
