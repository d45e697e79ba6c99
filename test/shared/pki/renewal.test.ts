import fc from 'fast-check'
import t from 'tap'
import { isDue, renewAtMs } from '../../../shared/pki/renewal.ts'
import { DAY_MS, NOW_MS } from './support.ts'

const hour = 3_600_000
const serial = fc.bigInt(1n, 2n ** 127n).map(value => value.toString(16))
const lifetimeMs = fc.integer({ min: hour, max: 3650 * DAY_MS })

await t.test(
  'a renewal is due once, stays due, and has the same answer whenever asked',
  async () => {
    fc.assert(
      fc.property(
        serial,
        lifetimeMs,
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (id, lifetime, part) => {
          const inputs = {
            notBeforeMs: NOW_MS,
            notAfterMs: NOW_MS + lifetime,
            serial: id,
            renewBeforeMs: Math.floor(lifetime * part),
          }
          const atMs = renewAtMs(inputs)
          return (
            atMs === renewAtMs({ ...inputs, serial: id.toUpperCase() }) &&
            !isDue(inputs, atMs - 1) &&
            isDue(inputs, atMs) &&
            isDue(inputs, inputs.notAfterMs) &&
            !isDue(inputs, NOW_MS) &&
            atMs < inputs.notAfterMs - inputs.renewBeforeMs / 3
          )
        },
      ),
      { numRuns: 1000 },
    )
  },
)

await t.test('renewals of equal certificates spread over a tenth of the lifetime', async t => {
  const lifetime = 90 * DAY_MS
  for (const renewBeforeMs of [30 * DAY_MS, DAY_MS, 60 * DAY_MS, 0]) {
    const times = Array.from({ length: 4000 }, (_, index) =>
      renewAtMs({
        notBeforeMs: NOW_MS,
        notAfterMs: NOW_MS + lifetime,
        serial: index.toString(16),
        renewBeforeMs,
      }),
    )
    const first = times.reduce((a, b) => Math.min(a, b))
    const last = times.reduce((a, b) => Math.max(a, b))
    const width = lifetime * 0.1
    t.ok(last - first > width * 0.99, `spread for ${renewBeforeMs / DAY_MS} days`)

    const buckets = new Map<number, number>()
    for (const time of times) {
      const bucket = Math.floor(((time - first) / width) * 10)
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1)
    }
    t.ok(
      [...buckets.values()].every(count => count < 600),
      'no tenth has much more than its share',
    )
  }
})

await t.test('the usual case begins at the wished time', async t => {
  const inputs = {
    notBeforeMs: NOW_MS,
    notAfterMs: NOW_MS + 90 * DAY_MS,
    renewBeforeMs: 30 * DAY_MS,
  }
  const days = (id: string) => (renewAtMs({ ...inputs, serial: id }) - NOW_MS) / DAY_MS
  for (const id of ['1', '2', '3', 'ff', 'abcdef']) t.ok(days(id) >= 60 && days(id) < 69, id)
})
