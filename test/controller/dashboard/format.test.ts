import t from 'tap'
import {
  commonName,
  count,
  day,
  duration,
  instant,
  number,
  relative,
  short,
} from '../../../controller/dashboard/page/format.ts'

await t.test('times are told in one unit, rounded down', async t => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0 s'],
    [999, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [3_599_999, '59 min'],
    [7_200_000, '2 h'],
    [86_400_000 * 45.9, '45 d'],
    [-5_000, '5 s'],
  ]
  for (const [ms, text] of cases) t.equal(duration(ms), text)
  t.equal(relative(1_000_000, 1_000_400), 'now')
  t.equal(relative(1_000_000, 1_300_000), '5 min ago')
  t.equal(relative(86_400_000 * 12, 0), 'in 12 d')
})

await t.test('moments are those of UTC for every reader', async t => {
  t.equal(instant(1_795_380_000_000), '2026-11-22 20:40:00 UTC')
  t.equal(day(1_795_380_000_000), '2026-11-22')
})

await t.test('counts, ids and names are short', async t => {
  t.equal(number(2000), '2,000')
  t.equal(count(1, 'node'), '1 node')
  t.equal(count(2000, 'node'), '2,000 nodes')
  t.equal(count(0, 'more ends', 'more end'), '0 more end')
  t.equal(short('4e26e07a-82c5-4d5e'), '4e26e07a')
  t.equal(short('abcdefghi'), 'abcdefghi', 'one character is not worth it')
  t.equal(commonName('O=demo, CN=service intermediate 4c2f'), 'service intermediate 4c2f')
  t.equal(commonName('O=demo'), 'O=demo')
})
