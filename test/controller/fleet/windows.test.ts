import t from 'tap'
import { ServiceTls, type ServiceName } from '../../../shared/contract/service.ts'
import type { ServiceReport } from '../../../shared/contract/report.ts'
import { type SwitchedNode, windowsOf } from '../../../controller/fleet/windows.ts'

const SERVER = {
  certificate: {
    issuer: 'internal',
    names: { dns: ['a'], ip: [] },
    lifetimeMs: 2,
    renewBeforeMs: 1,
  },
  trust: [],
}
const SAME = { code: 'served-as-wanted', message: 'as wanted' }
const SWITCHED = { code: 'served-plaintext', message: 'answers without TLS' }
const BACK = { code: 'served-tls', message: 'answers with TLS' }

function node(service: ServiceName, code = SAME, options: object = {}): SwitchedNode {
  const isClient = service === 'telegraf' || service === 'metricbeat'
  const report: ServiceReport = {
    service,
    outcome: 'planned',
    reason: SAME,
    corrective: false,
    activation: 'none',
    activationReason: SAME,
    changes: [],
    served: isClient ? [] : [{ listener: 'https :1', ok: code === SAME, reason: code }],
    notices: [],
    activations: 0,
  }
  const tls = ServiceTls.parse({ service, options, ...(isClient ? {} : SERVER) })
  return { content: { services: [tls] }, services: [report] }
}

/** As of a node that makes its change with the others of its cluster. */
function asWhole({ content, services }: SwitchedNode): SwitchedNode {
  const change = (service: ServiceName) =>
    ({ service, digest: 'a'.repeat(64), disruption: 'coordinated' }) as const
  return {
    content,
    services: services.map(one => ({ ...one, planned: change(one.service) })),
  }
}

const codes = (nodes: readonly SwitchedNode[]) => windowsOf(nodes).map(({ code }) => code)

await t.test(
  'a plan announces what waits for a listener that changes sides, both ways',
  async t => {
    t.strictSame(codes([node('influxdb', SWITCHED), node('telegraf')]), [
      'window-influxdb-telegraf',
    ])
    t.strictSame(codes([node('elasticsearch', BACK), node('kibana'), node('metricbeat')]), [
      'window-elasticsearch-kibana',
      'window-elasticsearch-metricbeat',
    ])
  },
)

await t.test(
  'nothing is announced for a renewal, without clients, or for a single meta node',
  async t => {
    t.strictSame(codes([node('influxdb'), node('telegraf')]), [])
    t.strictSame(codes([node('influxdb', SWITCHED)]), [])
    t.strictSame(codes([node('influxdb-meta', SWITCHED)]), [])
    t.strictSame(codes([node('influxdb-meta', SWITCHED), node('influxdb-meta')]), [
      'window-influxdb-meta-influxdb-meta',
    ])
  },
)

await t.test('copies of shards are not waited for, where there are copies', async t => {
  t.strictSame(codes([node('elasticsearch', SWITCHED)]), [])
  t.strictSame(codes([node('elasticsearch', SWITCHED), node('elasticsearch', SWITCHED)]), [
    'window-elasticsearch-copies',
  ])
})

await t.test('TLS between data nodes is announced where it is managed', async t => {
  t.strictSame(codes([node('influxdb', SWITCHED, { cluster: 'tls' })]), ['window-influxdb-cluster'])
})

await t.test('a plan announces who waits for a certificate that is self-signed', async t => {
  const names = { dns: ['a'], ip: [] }
  const server = node('influxdb', SAME)
  const selfSigned: SwitchedNode = {
    ...server,
    content: {
      services: [
        ServiceTls.parse({
          service: 'influxdb',
          ...SERVER,
          certificate: { ...SERVER.certificate, issuer: 'self-signed' },
        }),
      ],
    },
  }
  const client = (tls: 'on' | 'off'): SwitchedNode => ({
    content: {
      services: [
        ServiceTls.parse({
          service: 'telegraf',
          upstreams: [{ service: 'influxdb', names, port: 8086, tls }],
        }),
      ],
    },
    services: [],
  })
  t.strictSame(codes([selfSigned, client('off')]), ['window-self-signed-influxdb-telegraf'])
  t.strictSame(codes([selfSigned, client('on')]), [])
  t.strictSame(codes([server, client('off')]), [])
})

await t.test('those that change sides as a whole do not lose each other', async t => {
  const metas = [node('influxdb-meta', SWITCHED), node('influxdb-meta', SWITCHED)]
  const data = [1, 2].map(() => node('influxdb', SWITCHED, { cluster: 'tls' }))
  t.strictSame(codes([...metas, ...data]), [
    'window-influxdb-meta-influxdb-meta',
    'window-influxdb-meta-influxdb',
    'window-influxdb-cluster',
  ])
  t.strictSame(codes([...metas.map(asWhole), ...data]), [
    'window-influxdb-meta-influxdb',
    'window-influxdb-cluster',
  ])
  t.strictSame(codes([...metas.map(asWhole), ...data.map(asWhole)]), [
    'window-influxdb-meta-influxdb',
  ])
})
