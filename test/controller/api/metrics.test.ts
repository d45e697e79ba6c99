// A whole controller is scraped, on both listeners, and what happens to its fleet shows.

import { get } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { AGENT_ROUTES } from '../../../shared/contract/protocol.ts'
import { EXPOSITION_TYPE } from '../../../shared/exposition.ts'
import { lint, valueOf } from '../../support/metrics-text.ts'
import { until } from '../../lab/until.ts'
import { report, serviceReport } from './fake-agent.ts'
import { addNode, joinFleet, operatorOf, startController } from './support.ts'

const FRESH_MS = 31_000

await t.test('a scrape with a token tells of nodes, certificates and requests', async t => {
  const running = await startController(t, { metricsListen: { host: '127.0.0.1', port: 0 } })
  const operator = operatorOf(running)
  const viewer = operatorOf(running, running.viewerToken)
  const scrape = async () => {
    running.advance(FRESH_MS)
    const answer = await viewer('GET', OPERATOR_ROUTES.metrics)
    t.equal(answer.status, 200, answer.text)
    t.equal(answer.headers['content-type'], EXPOSITION_TYPE)
    lint(t, answer.text)
    return answer.text
  }
  const empty = await scrape()
  t.equal(valueOf(empty, 'tlsfleet_nodes{state="pending"}'), 0)
  t.equal(valueOf(empty, 'tlsfleet_certificates{kind="authority",state="ok"}'), 4)

  const client = await joinFleet(running, operator, 'n1')
  t.teardown(() => client.close())
  await addNode(operator, 'n2')
  const two = await scrape()
  t.equal(valueOf(two, 'tlsfleet_nodes{state="pending"}'), 1)
  const identity = valueOf(two, 'tlsfleet_identity_not_after_timestamp_seconds{node="n1"}') ?? 0
  t.ok(identity > Date.now() / 1000 + 6 * 86_400, 'seven days')
  const head = 'tlsfleet_audit_head'
  t.ok((valueOf(two, head) ?? 0) > (valueOf(empty, head) ?? 0))
  const added =
    'tlsfleet_api_request_duration_seconds_count{listener="operator",method="POST",route="/v1/nodes",code="2xx"}'
  t.equal(valueOf(two, added), 2)
  const transactions = 'tlsfleet_store_transaction_duration_seconds_count'
  t.ok((valueOf(two, transactions) ?? 0) > (valueOf(empty, transactions) ?? 0))

  await t.test('fresh enough is not read again', async t => {
    await addNode(operator, 'n3')
    const again = await viewer('GET', OPERATOR_ROUTES.metrics)
    t.equal(valueOf(again.text, 'tlsfleet_nodes{state="pending"}'), 1)
    t.equal(valueOf(await scrape(), 'tlsfleet_nodes{state="pending"}'), 2)
  })

  await t.test('long polls are counted apart', async t => {
    const open = 'tlsfleet_long_polls_open{of="agents"}'
    t.equal(valueOf(await scrape(), open), 0)
    const poll = client.get(`${AGENT_ROUTES.desired}?wait=50000`)
    await until(async () => valueOf(await scrape(), open) === 1, { what: 'the poll waits' })
    running.controller.context.nudges.nudge(['n1'])
    await poll
    const answered =
      'tlsfleet_api_long_polls_total{listener="agent",method="GET",route="/agent/v1/desired",code="2xx"}'
    await until(async () => valueOf(await scrape(), answered) === 1, { what: 'it was answered' })
  })

  await t.test('what clients send makes no labels', async t => {
    await viewer('GET', '/v1/zebra?x=1')
    await viewer('GET', '/v1/nodes/nemo')
    const text = await scrape()
    t.notMatch(text, /zebra|nemo/)
    const none =
      'tlsfleet_api_request_duration_seconds_count{listener="operator",method="GET",route="none",code="4xx"}'
    t.equal(valueOf(text, none), 1)
  })

  await t.test('without a token there is nothing', async t => {
    t.equal((await operatorOf(running, 'none')('GET', OPERATOR_ROUTES.metrics)).status, 401)
  })

  await t.test(
    'on loopback it takes no token, and answers nobody who means another host',
    async t => {
      const ask = (path: string, host = '127.0.0.1') =>
        new Promise<{ status: number; text: string }>((resolve, reject) => {
          const url = new URL(path, running.controller.metricsUrl)
          get(url, { headers: { host }, agent: false }, answer => {
            let text = ''
            answer.setEncoding('utf8').on('data', chunk => (text += chunk))
            answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
          }).on('error', reject)
        })
      const { status, text } = await ask('/metrics')
      t.equal(status, 200)
      lint(t, text)
      t.equal((await ask('/metrics', 'evil.example:9109')).status, 403)
      t.equal((await ask('/v1/nodes')).status, 404)
    },
  )
})

await t.test('a report of drift is counted, and noted for the webhooks', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-'))
  t.teardown(() => rmSync(directory, { recursive: true }))
  const secretFile = join(directory, 'secret')
  writeFileSync(secretFile, 'x'.repeat(32))
  const running = await startController(t, {
    webhooks: [
      {
        name: 'oncall',
        url: 'https://localhost:1/',
        secretFile,
        caFile: undefined,
        events: ['drift'],
      },
    ],
  })
  const client = await joinFleet(running, operatorOf(running), 'n1')
  t.teardown(() => client.close())
  const change = {
    resource: '/etc/influxdb/influxdb.conf',
    kind: 'config-file' as const,
    action: 'update' as const,
    summary: 'https-enabled is true again',
    reason: { code: 'drift', message: 'x' },
  }
  const services = [
    { ...serviceReport('influxdb', 'changed'), corrective: true, changes: [change] },
  ]
  for (const sequence of [1, 2])
    await client.post(AGENT_ROUTES.report, report({ sequence, services }))

  const { context } = running.controller
  t.match(await context.store.transaction(tx => tx.notifications.conditions()), [
    { event: 'drift', subject: 'n1 influxdb', state: 'corrected', isTold: false },
  ])
  const text = await context.metrics.text()
  t.equal(valueOf(text, 'tlsfleet_drift_reports_total{service="influxdb",outcome="changed"}'), 2)
})
