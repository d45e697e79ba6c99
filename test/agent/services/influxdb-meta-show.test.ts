// What `influxd-ctl show` tells a meta node's driver, in both of its layouts.

import t from 'tap'
import type { Reason } from '../../../shared/contract/schema.ts'
import { readShow } from '../../../agent/services/influxdb-meta/show.ts'
import { showTable } from '../../simulators/influxdb-meta/show-table.ts'
import { compiledOn, type FakeNode, fakeUnit, look, serverTls } from './fake-node.ts'

const CONFIG = '/etc/influxdb/influxdb-meta.conf'
const TLS = '  https-enabled = true\n'
const SHOW = '/usr/bin/influxd-ctl -bind m1.example.com:8091'

const member = (id: number, host: string, port: number, version: string) => ({
  id,
  addr: `${host}:${port}`,
  httpScheme: 'https',
  tcpAddr: `${host}:8088`,
  version,
})
const CLUSTER = {
  data: [member(4, 'd1.example.com', 8086, '1.11.8-c1.11.8'), member(5, 'd2', 8086, '')],
  meta: [
    member(1, 'm1.example.com', 8091, '1.11.8-c1.11.8'),
    member(2, 'm2.example.com', 8091, '1.11.8-c1.11.8'),
  ],
}
const STATUS = {
  nodeType: 'meta',
  leader: 'm1.example.com:8091',
  httpAddr: 'm1.example.com:8091',
  raftAddr: 'm1.example.com:8089',
  peers: ['m1.example.com:8089', 'm2.example.com:8089'],
} as const

const shown = (layout: 'old' | 'new', cluster = CLUSTER) =>
  showTable(cluster, { ...STATUS, peers: [...STATUS.peers] }, '1.11.8', layout)

function node(meta: string, commands: FakeNode['commands'] = {}): FakeNode {
  const config = `bind-address = ":8091"\nhostname = "m1.example.com"\n[meta]\n${meta}`
  return {
    unit: fakeUnit({
      unit: 'influxdb-meta.service',
      user: 'influxdb',
      group: 'influxdb',
      execStart: ['/usr/bin/influxd-meta', '-config', CONFIG],
    }),
    files: { [CONFIG]: config, '/etc/ssl/certs/ca-certificates.crt': 'others\n' },
    commands: { '/usr/bin/influxd-meta version': 'InfluxDB Meta v1.11.8-c1.11.8\n', ...commands },
  }
}

const notices = (on: FakeNode): readonly Reason[] =>
  compiledOn(serverTls('influxdb-meta'), on).notices
const asked = (meta: string): readonly string[] =>
  look(serverTls('influxdb-meta'), node(meta))
    .inputs.flatMap(input => (input.kind === 'command' ? [input.argv.join(' ')] : []))
    .filter(argv => argv.includes('influxd-ctl'))

await t.test('the tables are read by their headers, in both layouts', async t => {
  for (const layout of ['old', 'new'] as const)
    t.strictSame(
      readShow(shown(layout)).map(({ kind, address, version }) => [kind, address, version]),
      [
        [
          'data',
          layout === 'new' ? 'd1.example.com:8086' : 'd1.example.com:8088',
          '1.11.8-c1.11.8',
        ],
        ['data', layout === 'new' ? 'd2:8086' : 'd2:8088', ''],
        ['meta', 'm1.example.com:8091', '1.11.8-c1.11.8'],
        ['meta', 'm2.example.com:8091', '1.11.8-c1.11.8'],
      ],
      layout,
    )
  t.strictSame(readShow(''), [])
  t.strictSame(readShow('Error: authorization failed.\n'), [])
  t.strictSame(
    readShow(
      'Meta Nodes\n==========\nVersion  Labels          HTTP Address\n1.9  {"a": "b c"}  m1:8091\n',
    ),
    [],
    'a row that is not aligned with its header is passed over',
  )
  t.strictSame(
    readShow(
      'Meta Nodes\n==========\nVersion  Labels          HTTP Address\n1.9      {"a": "b  c"}   m1:8091\n',
    ),
    [{ kind: 'meta', address: 'm1:8091', version: '1.9' }],
    'columns may be others, and labels hold blanks',
  )
})

await t.test('it is asked as the running configuration wants it', async t => {
  t.strictSame(asked(''), [`${SHOW} show`])
  t.strictSame(asked(TLS), [`${SHOW} -bind-tls show`])
  t.strictSame(asked(`${TLS}  https-insecure-tls = true\n`), [`${SHOW} -bind-tls -k show`])
  t.strictSame(asked(`${TLS}  auth-enabled = true\n`), [], 'without credentials it is refused')
})

await t.test('members that the meta nodes hear nothing of are told', async t => {
  for (const layout of ['old', 'new'] as const) {
    const on = node(TLS, { [`${SHOW} -bind-tls show`]: shown(layout) })
    t.match(notices(on), [{ code: 'member-without-version', message: /data node d2:80/ }], layout)
  }
  const whole = { ...CLUSTER, data: CLUSTER.data.slice(0, 1) }
  t.strictSame(notices(node(TLS, { [`${SHOW} -bind-tls show`]: shown('new', whole) })), [])
  const others = { ...whole, meta: CLUSTER.meta.slice(1) }
  t.match(notices(node(TLS, { [`${SHOW} -bind-tls show`]: shown('new', others) })), [
    { code: 'member-not-listed', message: /m2\.example\.com:8091/ },
  ])
})

await t.test('a node without the program, or without an answer, is told nothing', async t => {
  t.strictSame(notices(node(TLS)), [])
})
