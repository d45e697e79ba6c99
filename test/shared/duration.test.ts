import fc from 'fast-check'
import t from 'tap'
import { formatDuration, parseDuration } from '../../shared/duration.ts'

await t.test('durations are read as people write them', async t => {
  const known = {
    '90s': 90_000,
    '5m': 300_000,
    '12h': 43_200_000,
    '30d': 2_592_000_000,
    '1h30m': 5_400_000,
    '500ms': 500,
    '0s': 0,
  }
  for (const [text, durationMs] of Object.entries(known))
    t.equal(parseDuration(text), durationMs, text)
  for (const text of [
    '',
    '5',
    'm',
    '5 m',
    '-5m',
    '1.5h',
    '5M',
    '30m1h',
    '5m5m',
    '9'.repeat(30) + 'd',
  ])
    t.equal(parseDuration(text), undefined, text)
})

await t.test('what is written is read back', async t => {
  t.equal(formatDuration(0), '0s')
  t.equal(formatDuration(90_000), '1m30s')
  fc.assert(
    fc.property(
      fc.nat(10 ** 12),
      durationMs => parseDuration(formatDuration(durationMs)) === durationMs,
    ),
  )
})
