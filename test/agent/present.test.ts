// Reports as text for people: what is read first, and that nothing of it can be misread.

import t from 'tap'
import type { ChangeSummary, ServiceReport } from '../../shared/contract/report.ts'
import { presentPlan, presentResult } from '../../agent/present.ts'

const reason = { code: 'tls-required', message: 'the service answers without TLS' }
const change: ChangeSummary = {
  resource: '/etc/influxdb/influxdb.conf',
  kind: 'config-file',
  action: 'update',
  summary: 'update /etc/influxdb/influxdb.conf',
  reason,
  diff: '--- a\n+++ b\n-  # https-enabled = false\n+  https-enabled = true\n',
}
const SERVICE: ServiceReport = {
  service: 'influxdb',
  unit: 'influxdb.service',
  version: '1.6.7 OSS',
  outcome: 'planned',
  reason: { code: 'changes-planned', message: '1 changes' },
  corrective: false,
  activation: 'restart',
  activationReason: { code: 'inputs-not-loaded', message: 'it reads its pair at the start only' },
  changes: [change],
  served: [],
  notices: [],
  activations: 0,
}
const IN_SYNC: ServiceReport = {
  ...SERVICE,
  service: 'prometheus',
  unit: 'prometheus.service',
  version: '2.42.0',
  outcome: 'in-sync',
  reason: { code: 'in-sync', message: 'as wanted' },
  activation: 'none',
  changes: [],
}

await t.test('a plan shows each change, why, its diff and the act that it takes', async t => {
  t.equal(
    presentPlan([IN_SYNC, SERVICE], { diff: true }),
    `prometheus  2.42.0  prometheus.service
  in-sync: as wanted
influxdb  1.6.7 OSS  influxdb.service
  planned: 1 changes
  ~ update /etc/influxdb/influxdb.conf
      the service answers without TLS (tls-required)
      --- a
      +++ b
      -  # https-enabled = false
      +  https-enabled = true
  activation: restart - it reads its pair at the start only

Plan: 1 change, 1 restart.
`.replace('\n\nPlan', '\nPlan'),
  )
  t.notMatch(presentPlan([SERVICE], { diff: false }), /https-enabled/)
})

await t.test('marks tell what is made, changed and removed', async t => {
  const marks = (['create', 'update', 'remove'] as const).map(action => {
    const text = presentPlan([{ ...SERVICE, changes: [{ ...change, action }] }], { diff: false })
    return /^ {2}([+~-]) /m.exec(text)?.[1]
  })

  t.strictSame(marks, ['+', '~', '-'])
})

await t.test('nothing to change is said in so many words', async t => {
  t.match(presentPlan([IN_SYNC], { diff: true }), /\nNothing to change\.\n$/)
  t.match(presentPlan([], { diff: true }), /Nothing to change\.\n$/)
})

await t.test('changes without a restart are counted as such', async t => {
  const reload = { ...SERVICE, activation: 'reload' as const, changes: [change, change] }

  t.match(presentPlan([reload, SERVICE], { diff: false }), /\nPlan: 3 changes, 1 restart\.\n$/)
  t.match(presentPlan([reload], { diff: false }), /\nPlan: 2 changes, 0 restarts\.\n$/)
})

await t.test(
  'a result shows what every listener serves, and what an operator should know',
  async t => {
    const text = presentResult([
      {
        ...SERVICE,
        outcome: 'changed',
        served: [
          {
            listener: 'https :8086',
            ok: true,
            reason,
            fingerprint: '0123456789abcdef'.repeat(4),
            protocol: 'TLSv1.3',
            health: 'GET /ping 204',
          },
          { listener: 'https :8088', ok: false, reason },
        ],
        notices: [{ code: 'guide-key-ignored', message: 'influxd ignores it' }],
      },
    ])

    t.equal(
      text,
      `influxdb: changed - 1 changes
  ok  https :8086  0123456789abcdef TLSv1.3 GET /ping 204
  NOT OK  https :8088  the service answers without TLS
  note: influxd ignores it (guide-key-ignored)
`,
    )
  },
)

await t.test('what a product or a file says cannot draw on the terminal', async t => {
  const evil = '\u001b[2J\u001b]0;x\u0007\u202e'
  const text =
    presentPlan([{ ...SERVICE, changes: [{ ...change, diff: `+${evil}\n` }], version: evil }], {
      diff: true,
    }) + presentResult([{ ...SERVICE, reason: { code: 'x', message: evil } }])

  t.notMatch(text, /(?!\n)[\p{Cc}\u202a-\u202e]/u)
})
