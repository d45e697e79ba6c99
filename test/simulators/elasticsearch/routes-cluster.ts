// What is asked of the cluster and of its nodes.

import { healthOf, isData } from './allocation.ts'
import { catAnswer } from './cat-table.ts'
import { ClusterError, type ClusterState, type NodeInfo } from './cluster-state.ts'
import type { Coordinator } from './coordinator.ts'
import { answerHealth, onlyIndex } from './health.ts'
import type { RestAnswer, RestRequest, Route } from './rest.ts'
import type { ListedCertificate } from './ssl-configuration.ts'
import { isAtLeast } from '../version.ts'
import { durationMs } from './yaml-settings.ts'

export interface ClusterRoutesOptions {
  readonly cluster: string
  readonly self: NodeInfo
  readonly coordinator: Coordinator
  readonly certificates: () => readonly ListedCertificate[]
  /** On every node; by its id, what went wrong there. */
  readonly reloadSecureSettings: (password: string) => Promise<ReadonlyMap<string, string | null>>
}

const MONITOR = { kind: 'cluster', privilege: 'monitor' } as const
const MANAGE = { kind: 'cluster', privilege: 'manage' } as const

export function clusterRoutes(options: ClusterRoutesOptions): readonly Route[] {
  const { coordinator } = options
  const monitored =
    (handle: (request: RestRequest) => RestAnswer | Promise<RestAnswer>) =>
    (request: RestRequest) => {
      request.need(MONITOR)
      return handle(request)
    }
  const get = (
    path: string,
    handle: (request: RestRequest) => RestAnswer | Promise<RestAnswer>,
  ) => ({
    methods: ['GET'],
    path,
    handle: monitored(handle),
  })
  return [
    get('/', () => ({ status: 200, body: banner(options) })),
    get('/_ssl/certificates', () => ({ status: 200, body: listCertificates(options) })),
    get('/_cluster/health', request => answerHealth(request, options)),
    get('/_cluster/health/INDEX', request => answerHealth(request, options)),
    get('/_cluster/settings', request => ({
      status: 200,
      body: shownSettings(coordinator.state(), request.query),
    })),
    {
      methods: ['PUT'],
      path: '/_cluster/settings',
      handle: async request => {
        request.need(MANAGE)
        const body = request.body()
        const [persistent, transient] = [flat(body['persistent']), flat(body['transient'])]
        await coordinator.command(
          { kind: 'settings', persistent, transient },
          masterTimeout(request),
        )
        const shown = shownSettings(coordinator.state(), request.query)
        return { status: 200, body: { acknowledged: true, ...shown } }
      },
    },
    get('/_cluster/state', () => ({ status: 200, body: shownState(options) })),
    get('/_nodes', () => ({ status: 200, body: shownNodes(options, undefined) })),
    get('/_nodes/*', ({ parts }) => ({ status: 200, body: shownNodes(options, parts[0]) })),
    get('/_nodes/*/*', ({ parts }) => ({ status: 200, body: shownNodes(options, parts[0]) })),
    ...['/_nodes/reload_secure_settings', '/_nodes/*/reload_secure_settings'].map(path => ({
      methods: ['POST'],
      path,
      handle: (request: RestRequest) => reloadSecure(request, options),
    })),
    get('/_cat/nodes', request => catNodes(request, options)),
    get('/_cat/master', request => {
      const master = requireMaster(options)
      const { id, name } = master
      const ip = hostOf(master.transportAddress)
      return catAnswer(request, ['id', 'host', 'ip', 'node'], [{ id, host: ip, ip, node: name }])
    }),
    get('/_cat/shards', request => catShards(request, options)),
    get('/_cat/indices', request => catIndices(request, options)),
    get('/_cat/health', request => {
      const { status, number_of_nodes } = healthOf(coordinator.state(), Date.now())
      const row = { cluster: options.cluster, status, 'node.total': String(number_of_nodes) }
      return catAnswer(request, ['cluster', 'status', 'node.total'], [row])
    }),
    get('/_license', () => ({
      status: 200,
      body: { license: { status: 'active', type: 'basic', mode: 'basic' } },
    })),
    get('/_xpack', () => ({
      status: 200,
      body: { features: { security: { available: true, enabled: true } } },
    })),
    {
      methods: ['POST'],
      path: '/_ml/set_upgrade_mode',
      handle: request => {
        request.need({ kind: 'cluster', privilege: 'manage_ml' })
        return { status: 200, body: { acknowledged: true } }
      },
    },
  ]
}

function banner({ self, cluster, coordinator }: ClusterRoutesOptions): unknown {
  return {
    name: self.name,
    cluster_name: cluster,
    cluster_uuid: coordinator.state().clusterUuid,
    version: {
      number: self.version,
      build_flavor: 'default',
      build_type: 'deb',
      build_hash: 'unknown',
      build_date: '1970-01-01T00:00:00Z',
      build_snapshot: false,
      lucene_version: isAtLeast(self.version, '9.0.0') ? '10.0.0' : '9.0.0',
      minimum_wire_compatibility_version: '7.17.0',
      minimum_index_compatibility_version: '7.0.0',
    },
    tagline: 'You Know, for Search',
  }
}

/** Of this node, as they are on disk now. */
function listCertificates({ certificates, self }: ClusterRoutesOptions): unknown {
  return certificates().map(({ path, format, alias, certificate, hasPrivateKey }) => ({
    path,
    format,
    alias,
    subject_dn: dn(certificate.subject),
    serial_number: certificate.serialNumber.toLowerCase(),
    has_private_key: hasPrivateKey,
    expiry: new Date(certificate.validTo).toISOString(),
    ...(isAtLeast(self.version, '8.4.0') ? { issuer: dn(certificate.issuer) } : {}),
  }))
}

/** Java writes the last part first. */
function dn(text: string): string {
  return text.split('\n').toReversed().join(', ')
}

function shownNodes(
  { self, cluster, coordinator }: ClusterRoutesOptions,
  filter: string | undefined,
): unknown {
  const master = coordinator.master()
  const wanted = (node: NodeInfo) => {
    if (filter === undefined || filter === '_all') return true
    if (filter === '_local') return node.id === self.id
    if (filter === '_master') return node.id === master?.id
    const names = filter.split(',')
    // `/_nodes/http` asks for a part of what is known of every node.
    const metric = /^(http|transport|settings|os|process|jvm|plugins|_none)$/.test(filter)
    return metric || names.includes(node.id) || names.includes(node.name)
  }
  const all = coordinator.state().nodes
  const nodes = (all.length === 0 ? [self] : all).filter(wanted)
  return {
    _nodes: { total: nodes.length, successful: nodes.length, failed: 0 },
    cluster_name: cluster,
    nodes: Object.fromEntries(
      nodes.map(node => [
        node.id,
        {
          name: node.name,
          transport_address: node.transportAddress,
          host: hostOf(node.transportAddress),
          ip: hostOf(node.transportAddress),
          version: node.version,
          roles: node.roles,
          http: { bound_address: [node.httpAddress], publish_address: node.httpAddress },
        },
      ]),
    ),
  }
}

async function reloadSecure(
  request: RestRequest,
  { cluster, coordinator, reloadSecureSettings }: ClusterRoutesOptions,
): Promise<RestAnswer> {
  request.need(MANAGE)
  const password = request.body()['secure_settings_password']
  const outcomes = await reloadSecureSettings(typeof password === 'string' ? password : '')
  const nameOf = (id: string) => coordinator.state().nodes.find(node => node.id === id)?.name ?? id
  const nodes = [...outcomes].map(([id, reason]) => [
    id,
    {
      name: nameOf(id),
      ...(reason === null ? {} : { reload_exception: { type: 'security_exception', reason } }),
    },
  ])
  const total = outcomes.size
  return {
    status: 200,
    body: {
      _nodes: { total, successful: total, failed: 0 },
      cluster_name: cluster,
      nodes: Object.fromEntries(nodes),
    },
  }
}

function catNodes(request: RestRequest, options: ClusterRoutesOptions): RestAnswer {
  const master = requireMaster(options)
  const rows = options.coordinator.state().nodes.map(node => ({
    ip: hostOf(node.transportAddress),
    'heap.percent': '10',
    'ram.percent': '50',
    cpu: '1',
    'node.role': node.roles
      .map(role => role.slice(0, 1))
      .toSorted((a, b) => a.localeCompare(b))
      .join(''),
    master: node.id === master.id ? '*' : '-',
    name: node.name,
    id: node.id.slice(0, 4),
    version: node.version,
    http_address: node.httpAddress,
  }))
  const columns = ['ip', 'heap.percent', 'ram.percent', 'cpu', 'node.role', 'master', 'name']
  return catAnswer(request, columns, rows)
}

function catShards(request: RestRequest, options: ClusterRoutesOptions): RestAnswer {
  const { indices, nodes } = options.coordinator.state()
  const rows = Object.entries(indices).flatMap(([index, { copies }]) =>
    copies.map(copy => {
      const node = nodes.find(({ id }) => id === copy.node)
      return {
        index,
        shard: '0',
        prirep: copy.primary ? 'p' : 'r',
        state: copy.state,
        ip: node === undefined ? null : hostOf(node.transportAddress),
        node: node?.name ?? null,
      }
    }),
  )
  return catAnswer(request, ['index', 'shard', 'prirep', 'state', 'ip', 'node'], rows)
}

function catIndices(request: RestRequest, { coordinator }: ClusterRoutesOptions): RestAnswer {
  const state = coordinator.state()
  const rows = Object.entries(state.indices).map(([index, { uuid, replicas }]) => ({
    health: healthOf(onlyIndex(state, index), Date.now()).status,
    status: 'open',
    index,
    uuid,
    pri: '1',
    rep: String(replicas),
  }))
  return catAnswer(request, ['health', 'status', 'index', 'uuid', 'pri', 'rep'], rows)
}

function shownState({ cluster, coordinator }: ClusterRoutesOptions): unknown {
  const state = coordinator.state()
  return {
    cluster_name: cluster,
    cluster_uuid: state.clusterUuid,
    version: state.version,
    master_node: coordinator.master()?.id ?? null,
    nodes: Object.fromEntries(
      state.nodes.map(node => [
        node.id,
        { name: node.name, transport_address: node.transportAddress, roles: node.roles },
      ]),
    ),
    routing_table: {
      indices: Object.fromEntries(
        Object.entries(state.indices).map(([name, { copies }]) => [
          name,
          {
            shards: {
              0: copies.map(({ state, primary, node }) => ({
                state,
                primary,
                node,
                shard: 0,
                index: name,
              })),
            },
          },
        ]),
      ),
    },
    data_nodes: state.nodes.filter(isData).length,
  }
}

function shownSettings(
  { persistent, transient }: ClusterState,
  query: URLSearchParams,
): { readonly persistent: unknown; readonly transient: unknown } {
  const shape = query.get('flat_settings') === 'true' ? (found: unknown) => found : nested
  return { persistent: shape(persistent), transient: shape(transient) }
}

function nested(settings: unknown): unknown {
  const root: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(flat(settings))) {
    const words = name.split('.')
    const last = words.pop() ?? ''
    let here = root
    for (const word of words) {
      const inside = here[word]
      const next: Record<string, unknown> = isRecord(inside) ? inside : {}
      here[word] = next
      here = next
    }
    here[last] = value
  }
  return root
}

/** Nested or flat, null where a setting is to be removed. */
export function flat(value: unknown, prefix = ''): Record<string, string | null> {
  if (!isRecord(value)) return {}
  const found: Record<string, string | null> = {}
  for (const [key, inside] of Object.entries(value)) {
    if (isRecord(inside)) Object.assign(found, flat(inside, `${prefix}${key}.`))
    else found[`${prefix}${key}`] = textOf(inside)
  }
  return found
}

function textOf(value: unknown): string | null {
  if (value === null) return null
  return typeof value === 'string' ? value : JSON.stringify(value)
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

export function masterTimeout({ query }: RestRequest): number {
  return durationMs(query.get('master_timeout') ?? '30s') ?? 30_000
}

function requireMaster({ coordinator }: ClusterRoutesOptions): NodeInfo {
  const master = coordinator.master()
  if (master === undefined) throw noMaster()
  return master
}

function noMaster(): ClusterError {
  return new ClusterError('master_not_discovered_exception', 503, 'null')
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':'))
}
