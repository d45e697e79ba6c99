import t from 'tap'
import {
  byLabel,
  byProduct,
  countStates,
  inOrder,
  inWords,
  labelKeys,
  shownStates,
} from '../../../controller/dashboard/page/fleet-summary.ts'
import {
  hasTerm,
  matches,
  parseFilter,
  toggleTerm,
} from '../../../controller/dashboard/page/node-filter.ts'
import { nodeRow, type NodeRow } from '../../../controller/dashboard/page/node-row.ts'
import type { NodeState } from '../../../shared/contract/operator-api.ts'
import type { ServiceReport } from '../../../shared/contract/report.ts'
import { serviceReport } from '../api/fake-agent.ts'

function row(
  name: string,
  state: NodeState,
  labels: Readonly<Record<string, string>> = {},
  services: readonly ServiceReport['service'][] = ['influxdb'],
): NodeRow {
  return nodeRow({
    name,
    labels,
    names: { dns: [`${name}.example.org`], ip: ['192.0.2.7'] },
    state,
    reason: { code: 'some-code', message: 'some message' },
    createdAtMs: 0,
    online: true,
    services: services.map((service, index) => ({
      ...serviceReport(service, 'in-sync'),
      notAfterMs: 1_000 * (index + 1),
    })),
    facts: {},
  })
}

const ROWS = [
  row('n10', 'converged', { role: 'data', site: 'a' }, ['influxdb', 'telegraf']),
  row('n2', 'converged', { role: 'data', site: 'b' }),
  row('n3', 'offline', { role: 'meta', site: 'a' }, ['influxdb-meta']),
  row('n4', 'failed', { role: 'data' }),
]

await t.test('nodes are counted by state, product and label', async t => {
  t.strictSame(
    [...countStates(ROWS)],
    [
      ['converged', 2],
      ['offline', 1],
      ['failed', 1],
    ],
  )
  t.strictSame(
    byProduct(ROWS).map(({ name, term, total }) => [name, term, total]),
    [
      ['influxdb', 'product:influxdb', 3],
      ['influxdb-meta', 'product:influxdb-meta', 1],
      ['telegraf', 'product:telegraf', 1],
    ],
  )
  const [data] = byLabel(ROWS, 'role')
  t.match(data, { name: 'data', term: 'role=data', total: 3 })
  t.equal(data?.states.get('failed'), 1)
  t.strictSame(labelKeys(ROWS), ['role', 'site'], 'the one that most nodes have comes first')
  t.equal(inWords(countStates(ROWS)), '1 failed, 1 offline, 2 converged')
})

await t.test('the four main states are shown at all times, others when there are some', async t => {
  t.strictSame(shownStates(new Map()), ['converged', 'drifting', 'failed', 'offline'])
  t.strictSame(shownStates(new Map([['locked', 1]])), [
    'converged',
    'drifting',
    'failed',
    'offline',
    'locked',
  ])
})

await t.test('what needs somebody stands first, and n2 before n10', async t => {
  t.strictSame(
    inOrder(ROWS).map(({ name }) => name),
    ['n4', 'n3', 'n2', 'n10'],
  )
  t.equal(ROWS[0]?.notAfterMs, 1_000, 'the certificate that ends first counts')
})

await t.test('a filter is words that must all hold', async t => {
  const found = (text: string) =>
    ROWS.filter(one => matches(one, parseFilter(text))).map(({ name }) => name)

  t.strictSame(found(''), ['n10', 'n2', 'n3', 'n4'])
  t.strictSame(found('state:failed state:offline'), ['n3', 'n4'], 'either state')
  t.strictSame(found('product:telegraf'), ['n10'])
  t.strictSame(found('role=data site=a'), ['n10'])
  t.strictSame(found('site!=a'), ['n2', 'n4'], 'a node without the label differs too')
  t.strictSame(found('N3.EXAMPLE'), ['n3'])
  t.strictSame(found('some-code role=meta'), ['n3'])
  t.strictSame(found('nothing-like-it'), [])
})

await t.test('a term is switched on and off, and leaves the others', async t => {
  t.equal(toggleTerm('', 'state:failed'), 'state:failed')
  t.equal(toggleTerm('role=data', 'state:failed'), 'role=data state:failed')
  t.equal(toggleTerm(' role=data  state:failed ', 'state:failed'), 'role=data')
  t.ok(hasTerm('a state:failed', 'state:failed'))
  t.notOk(hasTerm('state:failed-not', 'state:failed'))
})
