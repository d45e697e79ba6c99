// Who is told what: the table of conditions, and what of them is news.

import t from 'tap'
import {
  conditionsIn,
  differenceOf,
  driftIn,
  DRIFT_COOLDOWN_MS,
} from '../../../controller/webhooks/conditions.ts'
import { noticesOf } from '../../../controller/webhooks/notices.ts'
import { webhookSettings, WebhookTables } from '../../../controller/webhooks/settings.ts'
import type { SnapshotCertificate } from '../../../controller/metrics/snapshot.ts'
import type { Condition, ConditionRecord } from '../../../controller/store/notifications-store.ts'
import { report, serviceReport } from '../api/fake-agent.ts'
import {
  DAY_MS,
  sampleCertificate,
  sampleRotation,
  sampleSnapshot,
  T0,
} from '../metrics/samples.ts'

const told = (one: Condition, sinceMs = T0, isTold = true): ConditionRecord => ({
  ...one,
  sinceMs,
  isTold,
})
const silent = { code: 'node-silent', message: 'not heard of since yesterday' }

await t.test('a certificate is worth a word when its end comes and nobody renews it', async t => {
  const cases: readonly (readonly [Partial<SnapshotCertificate>, string | undefined])[] = [
    [{}, undefined],
    [{ unrenewed: silent }, undefined],
    [{ unrenewed: silent, renewAtMs: T0 }, 'ending'],
    [{ renewAtMs: T0 - 1, state: 'renewal-due' }, undefined],
    [{ state: 'overdue', unrenewed: silent }, 'overdue'],
    [{ notAfterMs: T0, state: 'expired' }, 'expired'],
    [
      { notAfterMs: T0, state: 'expired', unrenewed: { code: 'not-desired', message: 'x' } },
      undefined,
    ],
    [{ unrenewed: silent, renewAtMs: undefined, notAfterMs: T0 + 13 * DAY_MS }, 'ending'],
    [{ unrenewed: silent, renewAtMs: undefined, notAfterMs: T0 + 15 * DAY_MS }, undefined],
    [{ kind: 'authority', role: 'service-root', notAfterMs: T0 + 91 * DAY_MS }, undefined],
    [{ kind: 'authority', role: 'service-root', notAfterMs: T0 + 89 * DAY_MS }, 'ending'],
    [{ kind: 'identity', state: 'overdue', unrenewed: silent }, 'overdue'],
    [{ notAfterMs: undefined, unrenewed: silent }, undefined],
  ]
  for (const [change, state] of cases) {
    const { renewAtMs, notAfterMs, ...rest } = { ...sampleCertificate, ...change }
    const certificate = {
      ...rest,
      ...(renewAtMs === undefined ? {} : { renewAtMs }),
      ...(notAfterMs === undefined ? {} : { notAfterMs }),
    }
    const found = conditionsIn({ ...sampleSnapshot, certificates: [certificate] })
    t.strictSame(
      found.map(one => one.state),
      state === undefined ? [] : [state],
      JSON.stringify(change),
    )
  }
  const certificates = [{ ...sampleCertificate, unrenewed: silent, renewAtMs: T0 }]
  t.strictSame(conditionsIn({ ...sampleSnapshot, certificates }), [
    {
      event: 'expiry',
      subject: 'n1 prometheus https :9090',
      state: 'ending',
      reason: {
        code: 'node-silent',
        message: 'ends 2027-02-14T08:00:00Z: not heard of since yesterday',
      },
    },
  ])
})

await t.test('a rollout that fails, and a rotation that goes no further', async t => {
  const rollout = {
    id: 'r1',
    toward: undefined,
    reason: { code: 'node-reverted', message: 'n2 put it back' },
    startedAtMs: T0 - DAY_MS,
    endedAtMs: T0 - 1,
  }
  const states = (status: 'failed' | 'succeeded' | 'aborted' | 'draining', more = {}) =>
    conditionsIn({ ...sampleSnapshot, rollouts: [{ ...rollout, status, ...more }] }).map(
      one => `${one.event} ${one.subject} ${one.state} ${one.reason.code}`,
    )
  t.strictSame(states('failed'), ['rollout r1 failed node-reverted'])
  t.strictSame(states('draining', { toward: 'failed', endedAtMs: undefined }), [
    'rollout r1 draining node-reverted',
  ])
  t.strictSame(states('succeeded'), [])
  t.strictSame(states('aborted'), [], 'an operator did that')
  t.strictSame(states('failed', { endedAtMs: T0 - DAY_MS - 1 }), [], 'history')

  const rotation = (change = {}) =>
    conditionsIn({ ...sampleSnapshot, rotation: { ...sampleRotation, ...change } }).map(
      one => `${one.event} ${one.subject} ${one.state} ${one.reason.code}`,
    )
  t.strictSame(rotation(), [])
  t.strictSame(rotation({ stopped: { code: 'rollout-failed', message: 'x' } }), [
    'rotation x1 stopped rollout-failed',
  ])
  t.strictSame(rotation({ phaseSinceMs: T0 - DAY_MS }), [
    'rotation x1 held in distribute rotation-held',
  ])
})

await t.test('drift comes from reports, with what became of it', async t => {
  const service = { ...serviceReport('influxdb', 'changed'), corrective: true }
  const change = {
    resource: '/etc/influxdb/influxdb.conf',
    kind: 'config-file' as const,
    action: 'update' as const,
    summary: 'https-enabled is true again',
    reason: { code: 'drift', message: 'x' },
  }
  const of = (services: readonly (typeof service)[]) =>
    driftIn('n1', report({ sequence: 1, services: [...services] })).map(
      one => `${one.subject} ${one.state}: ${one.reason.message}`,
    )
  const drifted = { ...service, changes: [change] }
  t.strictSame(of([service]), [], 'without a change there was none')
  t.strictSame(of([{ ...drifted, corrective: false }]), [], 'what was asked for is no drift')
  t.strictSame(of([drifted]), ['n1 influxdb corrected: https-enabled is true again'])
  t.strictSame(of([{ ...drifted, outcome: 'planned' }]), [
    'n1 influxdb found: https-enabled is true again',
  ])
  t.strictSame(of([{ ...drifted, outcome: 'failed' }]), [
    `n1 influxdb not-corrected: ${drifted.reason.message}`,
  ])
})

await t.test('each state of a subject is told once, and that it is over', async t => {
  const ending: Condition = { event: 'expiry', subject: 'n1', state: 'ending', reason: silent }
  const expired: Condition = { ...ending, state: 'expired' }
  const drift: Condition = { ...ending, event: 'drift', state: 'corrected' }
  const rollout: Condition = { ...ending, event: 'rollout', state: 'failed' }
  const news = (...args: Parameters<typeof differenceOf>) =>
    differenceOf(...args).news.map(one => `${one.status} ${one.condition.state}`)

  t.strictSame(news([ending], [], T0), ['firing ending'])
  t.strictSame(news([ending], [told(ending)], T0), [])
  t.strictSame(news([expired], [told(ending)], T0), ['firing expired'], 'worse is not over')
  t.strictSame(news([], [told(expired)], T0), ['resolved expired'])
  t.strictSame(news([], [told(rollout)], T0), [], 'what has failed stays so')
  t.strictSame(news([], [told(drift, T0, false)], T0), ['firing corrected'])
  t.strictSame(news([], [told(drift)], T0 + DRIFT_COOLDOWN_MS), [])
  const late = differenceOf([], [told(drift, T0, false)], T0 + DRIFT_COOLDOWN_MS)
  t.strictSame(late.over, [], 'what nobody was told of yet is kept')
  const over = (nowMs: number) => differenceOf([], [told(drift)], nowMs).over.length
  t.strictSame([over(T0 + DRIFT_COOLDOWN_MS - 1), over(T0 + DRIFT_COOLDOWN_MS)], [0, 1])
})

await t.test('what became known together is one notice', async t => {
  const news = Array.from({ length: 70 }, (_, index) => ({
    status: 'firing' as const,
    condition: { event: 'expiry' as const, subject: `n${index}`, state: 'ending', reason: silent },
  }))
  let ids = 0
  const made = { fleet: 'demo', atMs: T0, newId: () => `id${++ids}` }
  const notices = noticesOf(
    [...news, ...news.slice(0, 1).map(one => ({ ...one, status: 'resolved' as const }))],
    made,
  )
  t.equal(notices.length, 2)
  t.match(notices[0], { id: 'id1', fleet: 'demo', status: 'firing', count: 70, reason: silent })
  t.equal(notices[0]?.subjects.length, 50)
})

await t.test('settings say what is wrong with them', async t => {
  const hook = { name: 'oncall', url: 'https://hooks.test/x', secretFile: '/etc/secret' }
  const settings = (...tables: object[]) => webhookSettings(WebhookTables.parse(tables))
  t.strictSame(settings(hook), [
    { ...hook, caFile: undefined, events: ['expiry', 'rollout', 'drift', 'rotation'] },
  ])
  t.strictSame(settings({ ...hook, events: ['drift'] })[0]?.events, ['drift'])
  for (const [wrong, said] of [
    [[{ ...hook, url: 'http://hooks.test/x' }], /https/],
    [[{ ...hook, url: 'https://u:p@hooks.test/x' }], /https/],
    [[{ ...hook, secretFile: 'secret' }], /absolute/],
    [[hook, hook], /twice/],
    [[{ ...hook, events: [] }], /events/],
    [[{ ...hook, events: ['other'] }], /events/],
    [[{ ...hook, more: 1 }], /more/],
  ] as const)
    t.throws(() => settings(...wrong), { message: said })
})
