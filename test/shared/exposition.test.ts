// The text format: what is written is what a strict reader and promtool take.

import t from 'tap'
import {
  createCounter,
  createHistogram,
  exposition,
  gauge,
  single,
} from '../../shared/exposition.ts'
import { lint, readMetrics, valueOf } from '../support/metrics-text.ts'
import { PROMTOOL_UNAVAILABLE } from '../support/prometheus.ts'

await t.test('labels and helps are escaped, families without samples left out', async t => {
  const text = exposition([
    gauge('a_bytes', 'Back\\slash and\nline.', [
      { labels: { path: 'C:\\x "y"\nz' }, value: 1.5 },
      { labels: {}, value: Infinity },
    ]),
    gauge('b', 'Nothing.', []),
    single('counter', 'c_total', 'One.', 3),
    single('gauge', 'd', 'Unknown.', undefined),
  ])

  t.equal(
    text,
    '# HELP a_bytes Back\\\\slash and\\nline.\n# TYPE a_bytes gauge\n' +
      'a_bytes{path="C:\\\\x \\"y\\"\\nz"} 1.5\na_bytes +Inf\n' +
      '# HELP c_total One.\n# TYPE c_total counter\nc_total 3\n',
  )
  lint(t, text)
})

await t.test('counters and histograms add up for each set of labels', async t => {
  const counter = createCounter('x_total', 'Things.')
  counter.add({ of: 'a' })
  counter.add({ of: 'b' }, 5)
  counter.add({ of: 'a' })
  const histogram = createHistogram('y_seconds', 'Times.', [0.1, 1])
  for (const value of [0.05, 0.1, 0.5, 7]) histogram.observe({ of: 'a' }, value)
  const text = exposition([counter.family(), histogram.family()])

  t.equal(valueOf(text, 'x_total{of="a"}'), 2)
  t.equal(valueOf(text, 'x_total{of="b"}'), 5)
  const buckets = ['0.1', '1', '+Inf'].map(le =>
    valueOf(text, `y_seconds_bucket{of="a",le="${le}"}`),
  )
  t.strictSame(buckets, [2, 3, 4])
  t.equal(valueOf(text, 'y_seconds_sum{of="a"}'), 7.65)
  t.equal(valueOf(text, 'y_seconds_count{of="a"}'), 4)
  lint(t, text)
})

await t.test('the reader of the tests refuses what a scraper might', async t => {
  const head = '# HELP a A.\n# TYPE a gauge\n'
  for (const wrong of [
    'a 1',
    'a 1\n',
    `${head}a 1\na 1\n`,
    `${head}b 1\n`,
    `${head}a x\n`,
    `${head}a{b=c} 1\n`,
    head,
  ])
    t.throws(() => readMetrics(wrong), JSON.stringify(wrong))
})

await t.test('promtool can be asked', { skip: PROMTOOL_UNAVAILABLE }, async () => {})
