// Nodes of one InfluxDB Enterprise cluster that go from plaintext to TLS or back: all at once, unless an
// operator has them go one by one.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { SchemeChange, ServiceTlsOf, Upstream } from '../../../shared/contract/service.ts'
import { showTable } from '../../simulators/influxdb-meta/show-table.ts'
import {
  applied,
  compiledOn,
  type FakeNode,
  fakeUnit,
  influxdbTls,
  serverTls,
} from './fake-node.ts'

const META_CONFIG = '/etc/influxdb/influxdb-meta.conf'
const DATA_CONFIG = '/etc/influxdb/influxdb.conf'
const SHOW = '/usr/bin/influxd-ctl -bind m1.example.com:8091'
const ENTERPRISE = readFileSync(
  join(import.meta.dirname, 'golden/influxdb-enterprise.conf'),
  'utf8',
).replace('data1.example.com', 'm1.example.com')

const upstream = (service: Upstream['service'], host: string): Upstream => ({
  service,
  names: { dns: [host], ip: [] },
  port: 8091,
  tls: 'on',
  ...(host === 'm1.example.com' ? { isLocal: true } : {}),
})
const PEERS = [
  upstream('influxdb-meta', 'm1.example.com'),
  upstream('influxdb-meta', 'm2.example.com'),
  upstream('influxdb', 'd2.example.com'),
]
const ALONE = [upstream('influxdb-meta', 'm1.example.com'), upstream('influxdb', 'm1.example.com')]

interface Wanted {
  readonly tls?: 'on' | 'off'
  readonly upstreams?: readonly Upstream[]
  readonly schemeChange?: SchemeChange
}

function meta({ tls = 'on', upstreams = PEERS, schemeChange }: Wanted = {}) {
  const standard = serverTls('influxdb-meta', { tls, upstreams: [...upstreams] })
  const options = { ...standard.options, ...(schemeChange && { schemeChange }) }
  return { ...standard, options } satisfies ServiceTlsOf<'influxdb-meta'>
}

function metaNode(more: FakeNode['commands'] = {}, version = '1.11.8-c1.11.8'): FakeNode {
  return {
    unit: fakeUnit({
      unit: 'influxdb-meta.service',
      user: 'influxdb',
      group: 'influxdb',
      execStart: ['/usr/bin/influxd-meta', '-config', META_CONFIG],
    }),
    files: {
      [META_CONFIG]: 'bind-address = ":8091"\nhostname = "m1.example.com"\n[meta]\n',
      '/etc/ssl/certs/ca-certificates.crt': 'others\n',
    },
    commands: { '/usr/bin/influxd-meta version': `InfluxDB Meta v${version}\n`, ...more },
  }
}

function dataNode(version = '1.11.8-c1.11.8'): FakeNode {
  return {
    unit: fakeUnit({
      unit: 'influxdb.service',
      user: 'influxdb',
      execStart: ['/usr/bin/influxd', '-config', DATA_CONFIG],
    }),
    files: { [DATA_CONFIG]: ENTERPRISE, '/etc/ssl/certs/ca-certificates.crt': 'others\n' },
    commands: { '/usr/bin/influxd version': `InfluxDB v${version} (git: x)\n` },
  }
}

function data({
  upstreams = PEERS,
  schemeChange,
  cluster = 'tls-insecure',
}: Omit<Wanted, 'tls'> & {
  readonly cluster?: ServiceTlsOf<'influxdb'>['options']['cluster']
} = {}) {
  const options = { cluster, ...(schemeChange && { schemeChange }) }
  return influxdbTls({ upstreams: [...upstreams], options })
}

const metaReason = (wanted: Wanted, on: FakeNode) => compiledOn(meta(wanted), on).coordinated
const dataReason = (tls: ReturnType<typeof data>, on: FakeNode) => compiledOn(tls, on).coordinated

await t.test('meta nodes with others change sides as a whole, there and back', async t => {
  t.match(metaReason({}, metaNode()), {
    code: 'coordinated-change',
    message:
      /https-enabled of \[meta\] in .* is switched on: .*--together GROUP.*schemeChange: rolling/,
  })
  const on = applied(metaNode(), compiledOn(meta(), metaNode()))
  t.equal(metaReason({}, on), undefined, 'it is there: nothing is switched')
  t.match(metaReason({ tls: 'off' }, on), { message: /is switched off/ })
  t.equal(metaReason({ tls: 'off' }, metaNode()), undefined)
})

await t.test('one by one where that is asked for, alone, or where Raft stays as it is', async t => {
  t.equal(metaReason({ schemeChange: 'rolling' }, metaNode()), undefined)
  t.match(metaReason({ schemeChange: 'together' }, metaNode()), { code: 'coordinated-change' })
  t.equal(metaReason({ upstreams: ALONE }, metaNode()), undefined)
  t.equal(metaReason({}, metaNode({}, '1.7.2-c1.7.2')), undefined)
  t.match(metaReason({}, metaNode({}, '1.7.3-c1.7.3')), { code: 'coordinated-change' })
})

await t.test('the cluster knows better who is in it than the fleet spec', async t => {
  const members = (count: number) => {
    const meta = ['m1.example.com', 'm2.example.com'].slice(0, count).map((host, id) => ({
      id,
      addr: `${host}:8091`,
      httpScheme: 'http',
      tcpAddr: `${host}:8088`,
      version: '1.11.8-c1.11.8',
    }))
    const status = {
      nodeType: 'meta' as const,
      leader: 'm1.example.com:8091',
      httpAddr: 'm1.example.com:8091',
      raftAddr: 'm1.example.com:8089',
      peers: meta.map(({ addr }) => addr),
    }
    return metaNode({ [`${SHOW} show`]: showTable({ data: [], meta }, status, '1.11.8', 'new') })
  }
  t.equal(metaReason({}, members(0)), undefined, 'it has joined none: nobody is lost')
  t.equal(metaReason({}, members(1)), undefined)
  t.match(metaReason({ upstreams: ALONE }, members(2)), { code: 'coordinated-change' })
  const unclear = metaNode({ [`${SHOW} show`]: 'members: 3\n' })
  t.match(metaReason({}, unclear), { code: 'coordinated-change' })
  t.equal(metaReason({ upstreams: ALONE }, unclear), undefined)
})

await t.test('data nodes do so for TLS between them, and for nothing else', async t => {
  t.match(dataReason(data(), dataNode()), {
    code: 'coordinated-change',
    message: /https-enabled of \[cluster\] in .* is switched on/,
  })
  const on = applied(dataNode(), compiledOn(data(), dataNode()))
  t.equal(dataReason(data(), on), undefined)
  t.match(dataReason(data({ cluster: 'off' }), on), { message: /is switched off/ })
  t.equal(dataReason(data({ cluster: 'leave' }), dataNode()), undefined, 'only clients see it')
  t.equal(dataReason(data({ schemeChange: 'rolling' }), dataNode()), undefined)
  t.equal(dataReason(data({ upstreams: ALONE }), dataNode()), undefined)
})
