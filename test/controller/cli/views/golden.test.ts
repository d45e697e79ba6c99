import t from 'tap'
import type { NodeView } from '../../../../shared/contract/operator-api.ts'
import { colourPaint, plainPaint } from '../../../../controller/cli/output.ts'
import { nodeText, nodesText } from '../../../../controller/cli/views/nodes.ts'
import { planSummary, planText } from '../../../../controller/cli/views/plan.ts'
import { recapOf, recapText } from '../../../../controller/cli/views/recap.ts'
import { eventLine, rolloutsText } from '../../../../controller/cli/views/rollout.ts'
import { statusText } from '../../../../controller/cli/views/status.ts'
import { golden } from '../command.ts'
import {
  NOW_MS,
  emptyPlan,
  fleet,
  nodeView,
  plan,
  rolloutView,
  serviceReport,
  step,
} from '../views.ts'

const text = { paint: plainPaint, width: undefined, nowMs: NOW_MS }
const planOptions = { paint: plainPaint, document: 'fleet.yaml', showDiff: true }

await t.test(
  'a plan shows nodes, services, changes with marks, diffs, activation, order',
  async t => {
    const shown = planText(plan, planOptions)

    t.equal(shown, golden('plan', shown))
  },
)

await t.test('a plan without diffs keeps everything else', async t => {
  const lines = planText(plan, planOptions).split('\n')

  const shown = planText(plan, { ...planOptions, showDiff: false })

  // Diffs are the only lines indented this far.
  t.equal(shown, lines.filter(line => !line.startsWith('        ')).join('\n'))
})

await t.test('on a terminal marks and diff lines have their colours', async t => {
  const shown = planText(plan, { ...planOptions, paint: colourPaint })

  t.match(shown, '    \u001b[32m+\u001b[39m certificate')
  t.match(shown, '    \u001b[31m-\u001b[39m /etc/prometheus/old.key')
  t.match(shown, '\u001b[32m+  https-enabled = true\u001b[39m')
  t.match(shown, '\u001b[31m-  https-enabled = false\u001b[39m')
  t.match(shown, '\u001b[36m@@ -1,3 +1,3 @@\u001b[39m')
})

await t.test('the summary of a plan counts nodes, changes and restarts', async t => {
  t.equal(
    planSummary(plan, 'fleet.yaml'),
    'Plan: 3 nodes, 3 changes, 1 restart, 1 reload, 1 node unreachable, 1 node unsupported',
  )
  t.equal(planSummary(emptyPlan, 'fleet.yaml'), 'Plan: no changes, 1 node as fleet.yaml says')
  t.equal(
    planSummary({ ...emptyPlan, nodes: [] }, 'fleet.yaml'),
    'Plan: no changes, fleet.yaml selects no node',
  )
})

await t.test('the status has a row a service and says what is served', async t => {
  const shown = statusText(fleet, text)

  t.equal(shown, golden('status', shown))
})

await t.test('a narrow terminal wraps reasons under their column and loses nothing', async t => {
  const shown = statusText(fleet, { ...text, width: 120 })

  t.equal(shown, golden('status-narrow', shown))
  t.ok(shown.split('\n').every(line => line.length <= 120))
  t.strictSame(
    shown.split(/\s+/).toSorted(),
    statusText(fleet, text).split(/\s+/).toSorted(),
    'the same words',
  )
})

await t.test('a listener without TLS and an ended certificate are said plainly', async t => {
  const noTls = {
    listener: '127.0.0.1:9090',
    ok: false,
    reason: { code: 'no-tls', message: 'answers without TLS' },
  }
  const ended = {
    ...noTls,
    reason: { code: 'expired', message: 'has ended' },
    notAfterMs: NOW_MS - 5_000,
  }
  const node = (served: typeof noTls | typeof ended) =>
    nodeView({ services: [serviceReport({ served: [served] })] })

  t.match(statusText([node(noTls)], text), /no TLS +127\.0\.0\.1:9090: answers without TLS\n/)
  t.match(statusText([node(ended)], text), /ended 5 s ago +127\.0\.0\.1:9090: has ended\n/)
  t.match(statusText([node(ended)], text), /first certificate ended 5 s ago/)
})

await t.test('nodes are listed, and shown in full', async t => {
  const [first] = fleet
  if (first === undefined) throw new Error('no node')

  const list = nodesText(fleet, text)
  const one = nodeText(first, text)

  t.equal(list, golden('nodes', list))
  t.equal(one, golden('node', one))
})

const failed = rolloutView({
  status: 'failed',
  reason: { code: 'node-failed', message: 'data-1 failed' },
  endedAtMs: NOW_MS + 75_400,
  steps: [
    step({ node: 'prom-1', state: 'done', generation: 4 }),
    step({
      node: 'data-1',
      state: 'reverted',
      generation: 4,
      reason: { code: 'restored-after-failure', message: 'influxdb did not come up' },
    }),
    step({ node: 'prom-2', state: 'deferred', reason: { code: 'offline', message: 'is offline' } }),
    step({
      node: 'prom-3',
      state: 'skipped',
      reason: { code: 'draining', message: 'rollout failed' },
    }),
  ],
})
const after = new Map<string, NodeView>([
  [
    'prom-1',
    nodeView({
      observedGeneration: 4,
      services: [serviceReport({ outcome: 'changed', activation: 'restart', activations: 1 })],
    }),
  ],
  [
    'data-1',
    nodeView({
      observedGeneration: 4,
      services: [
        serviceReport({ outcome: 'restored', activation: 'restart', activations: 2 }),
        serviceReport(),
      ],
    }),
  ],
  ['prom-2', nodeView({ online: false, observedGeneration: 3 })],
  ['prom-3', nodeView({ observedGeneration: 3 })],
])

await t.test('the recap counts services per node and names the reasons', async t => {
  const rows = recapOf(failed, after)

  const shown = recapText(failed, rows, text)

  t.equal(shown, golden('recap', shown))
})

await t.test('a report for an older generation counts for nothing', async t => {
  const rollout = rolloutView({ steps: [step({ node: 'prom-1', state: 'done', generation: 5 })] })

  const [row] = recapOf(rollout, after)

  t.match(row, { ok: 0, changed: 0, failed: 0, restarts: 0 })
})

await t.test('a rollout without steps says that there was nothing to do', async t => {
  const shown = recapText(rolloutView({ status: 'succeeded', steps: [] }), [], text)

  t.equal(shown, 'Revision 13: every node has it already, nothing to do\n')
})

await t.test('events are lines; kinds that are not known yet are shown as they are', async t => {
  const at = { version: 3, atMs: NOW_MS }
  const reason = { code: 'unit-failed', message: 'influxdb.service failed' }

  const shown = [
    eventLine({ ...at, kind: 'started' }, plainPaint),
    eventLine({ ...at, kind: 'node-broken', node: 'data-1', reason }, plainPaint),
    eventLine({ ...at, kind: 'canary-soaked', node: 'data-1' }, plainPaint),
  ].join('')

  t.equal(
    shown,
    [
      '12:00:00Z  rollout started\n',
      '12:00:00Z  data-1  failed, previous state not restored: influxdb.service failed (unit-failed)\n',
      '12:00:00Z  data-1  canary soaked\n',
    ].join(''),
  )
  t.equal(
    rolloutsText([failed], undefined),
    'ROLLOUT  REVISION  STATUS  NODES   STARTED               REASON\n' +
      'r7             13  failed  1 of 4  2026-11-20T12:00:00Z  data-1 failed\n',
  )
})
