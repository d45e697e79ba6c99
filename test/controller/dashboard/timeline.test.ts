import * as fc from 'fast-check'
import t from 'tap'
import type { CertificateView } from '../../../shared/contract/certificates.ts'
import {
  byEnd,
  fateOf,
  heightOf,
  nameOf,
  timelineOf,
} from '../../../controller/dashboard/page/timeline.ts'

const DAY_MS = 86_400_000
const NOW = 1_795_380_000_000
const WHY = { code: 'node-silent', message: 'not heard of' }

function certificate(
  node: string,
  days: number | undefined,
  more: Partial<CertificateView> = {},
): CertificateView {
  return {
    kind: 'listener',
    node,
    service: 'influxdb',
    state: 'ok',
    reason: WHY,
    ...(days === undefined ? {} : { notAfterMs: NOW + days * DAY_MS }),
    clients: [],
    ...more,
  }
}

await t.test('every certificate with an end is in one bar, or later', async t => {
  const days = fc.option(fc.integer({ min: -400, max: 4_000 }), { nil: undefined })
  fc.assert(
    fc.property(fc.array(fc.tuple(days, fc.boolean()), { maxLength: 60 }), all => {
      const certificates = all.map(([end, isLost], index) =>
        certificate(`n${index}`, end, isLost ? { unrenewed: WHY } : {}),
      )
      const timeline = timelineOf(certificates, NOW)
      const inBars = timeline.bars.reduce((sum, bar) => sum + heightOf(bar), 0)
      t.equal(inBars + timeline.later, all.filter(([end]) => end !== undefined).length)
      t.equal(timeline.most, Math.max(1, ...timeline.bars.map(heightOf)))
    }),
    { numRuns: 100 },
  )
})

await t.test('the span holds nine of ten, and CAs do not stretch it', async t => {
  const leaves = [5, 20, 40, 50, 55, 60, 70, 75, 80, 85].map(days => certificate(`n${days}`, days))
  const root = certificate('', 3_650, { kind: 'authority', role: 'service-root' })
  const timeline = timelineOf([...leaves, root], NOW)

  t.equal((timeline.toMs - NOW) / DAY_MS, 90)
  t.equal(timeline.later, 0)
  t.strictSame(
    timeline.ticks.map(({ label }) => label),
    ['now', '23 d', '45 d', '68 d', '90 d'],
  )
})

await t.test('fates are told apart', async t => {
  t.equal(fateOf(certificate('n1', 3), NOW), 'renewed')
  t.equal(fateOf(certificate('n1', 3, { unrenewed: WHY }), NOW), 'unrenewed')
  t.equal(fateOf(certificate('n1', -1), NOW), 'ended')
  t.equal(fateOf(certificate('n1', undefined), NOW), 'renewed')
})

await t.test('what ends first stands first, and each has a name', async t => {
  const [a, b, c] = [certificate('a', 9), certificate('b', undefined), certificate('c', 2)]
  t.strictSame(
    byEnd([a, b, c]).map(({ node }) => node),
    ['c', 'a', 'b'],
  )
  t.equal(nameOf(a), 'influxdb on a')
  t.equal(nameOf({ ...a, kind: 'identity' }), 'agent of a')
  t.equal(nameOf({ ...a, kind: 'authority', role: 'service-root' }), 'service root')
})
