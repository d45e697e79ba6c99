// Rules, dashboard and documentation against the metrics that there are.

import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import * as z from 'zod/mini'
import { askPromtool } from '../support/metrics-text.ts'
import { PROMTOOL_UNAVAILABLE } from '../support/prometheus.ts'

const ROOT = dirname(dirname(import.meta.dirname))
const EXAMPLES = join(ROOT, 'examples/monitoring')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')

/** As the sources name them. */
const METRICS = new Set(
  globSync('{controller/metrics/*.ts,agent/metrics.ts}', { cwd: ROOT }).flatMap(path =>
    [...read(path).matchAll(/'((?:tlsfleet|process)_[a-z_]+)'/g)].map(match => match[1] ?? ''),
  ),
)
const RULES = read('examples/monitoring/tlsfleet.rules.yml')
const DOCS = read('docs/monitoring.md')

function unknownIn(text: string): readonly string[] {
  return [...text.matchAll(/\btlsfleet_[a-z_]+/g)]
    .map(([name]) => name)
    .filter(name => !METRICS.has(name) && !METRICS.has(name.replace(/_(bucket|sum|count)$/, '')))
}

await t.test('every metric is documented, and nothing else is', async t => {
  t.ok(METRICS.size >= 35, `${METRICS.size} metrics`)
  const documented = [...DOCS.matchAll(/^\| `((?:tlsfleet|process)_[a-z_]+)` \|/gm)].map(
    match => match[1] ?? '',
  )
  t.strictSame(documented.toSorted(), [...METRICS].toSorted())
})

await t.test('every alert is documented, and asks for metrics that there are', async t => {
  const alerts = [...RULES.matchAll(/- alert: (\w+)/g)].map(match => match[1] ?? '')
  const documented = [...DOCS.matchAll(/^\| `(Tlsfleet\w+)` \|/gm)].map(match => match[1] ?? '')
  t.strictSame(documented, alerts)
  t.strictSame(unknownIn(RULES), [])
  const tests = read('examples/monitoring/tlsfleet.rules.test.yml')
  t.strictSame(unknownIn(tests), [])
})

const Dashboard = z.object({
  uid: z.literal('tlsfleet'),
  panels: z.array(
    z.object({
      id: z.int(),
      title: z.string(),
      gridPos: z.object({ x: z.int(), y: z.int(), w: z.int(), h: z.int() }),
      datasource: z.object({ type: z.literal('prometheus'), uid: z.literal('${datasource}') }),
      targets: z.array(z.object({ expr: z.string(), refId: z.string() })),
    }),
  ),
})
const dashboard = Dashboard.parse(JSON.parse(read('examples/monitoring/grafana-dashboard.json')))

await t.test(
  'the dashboard asks for metrics that there are, and its panels do not overlap',
  async t => {
    const { panels } = dashboard
    t.strictSame(unknownIn(JSON.stringify(panels)), [])
    t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from(
        { length: w * h },
        (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`,
      ),
    )
    t.equal(new Set(cells).size, cells.length)
    t.ok(panels.every(({ gridPos: { x, w } }) => x + w <= 24))
  },
)

await t.test(
  'promtool accepts the rules, and they fire when they should',
  { skip: PROMTOOL_UNAVAILABLE },
  async t => {
    const check = askPromtool(['check', 'rules', join(EXAMPLES, 'tlsfleet.rules.yml')])
    t.equal(check.code, 0, check.said)
    const fire = askPromtool(['test', 'rules', join(EXAMPLES, 'tlsfleet.rules.test.yml')])
    t.equal(fire.code, 0, fire.said)
    const config = askPromtool([
      'check',
      'config',
      '--syntax-only',
      join(EXAMPLES, 'prometheus.yml'),
    ])
    t.equal(config.code, 0, config.said)
  },
)

await t.test(
  'promtool accepts every query of the dashboard',
  { skip: PROMTOOL_UNAVAILABLE },
  async t => {
    const rules = dashboard.panels.flatMap(({ id, targets }) =>
      targets.map(({ expr, refId }) => ({ record: `panel_${id}_${refId}`, expr })),
    )
    const file = join(t.testdir({}), 'queries.json')
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
    const { code, said } = askPromtool(['check', 'rules', file])
    t.equal(code, 0, said)
    t.match(said, new RegExp(`${rules.length} rules found`))
  },
)
