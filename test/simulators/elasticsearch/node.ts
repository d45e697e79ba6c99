// One node, all parts put together.

import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'
import { isAtLeast } from '../version.ts'
import type { NodeInfo } from './cluster-state.ts'
import { ClusterError } from './cluster-state.ts'
import { type Coordinator, createCoordinator } from './coordinator.ts'
import { Stored } from './coordination-messages.ts'
import { decodeKeystore, hasPassword } from './keystore-format.ts'
import { readKeystoreFile } from './keystore-file.ts'
import type { Log } from './log.ts'
import { bind } from './network.ts'
import { createPeers } from './peers.ts'
import { answerRest, type RestOptions } from './rest.ts'
import { clusterRoutes } from './routes-cluster.ts'
import { documentRoutes } from './routes-documents.ts'
import { securityRoutes } from './routes-security.ts'
import { createRealms } from './security.ts'
import { createShards, type Shards } from './shards.ts'
import { createSslService, type SslContext } from './ssl-service.ts'
import { bootstrapFailures, type Started } from './startup.ts'
import { createListener } from './tls-listener.ts'
import { createTransportServer } from './transport.ts'
import { booleanOf, durationOf, listOf, settingOf } from './yaml-settings.ts'

export interface NodeOptions {
  readonly directory: string
  readonly data: string
  readonly version: string
  readonly name: string
  readonly cluster: string
  readonly started: Started
  readonly log: Log
  readonly elasticPassword: string | undefined
  /** See ShardsOptions. */
  readonly beforeRecovery: () => Promise<void>
}

export interface RunningNode {
  stop(): void
}

/** The checks of a node that others can reach have failed. */
export class BootstrapError extends Error {
  override readonly name = 'BootstrapError'
}

const ROLES = ['data', 'ingest', 'master', 'ml', 'remote_cluster_client', 'transform']
const RELOAD_MS = 5_000
const HTTP_LOGGER = 'o.e.x.s.t.n.SecurityNetty4HttpServerTransport'

/** Resolves when it listens; whether it finds a cluster is another matter. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { directory, data, version, log, started } = options
  const { settings, secure, security, fips } = started
  const files = { directory, fips }
  const ssl = createSslService({ settings, secure, files, version, log })
  const stateFile = join(data, '_state', 'coordination.json')
  mkdirSync(join(data, '_state'), { recursive: true })

  // Without security the ports are plain, whatever the settings of TLS say.
  const tls = (prefix: 'xpack.security.http.ssl' | 'xpack.security.transport.ssl') => {
    const context = ssl.context(prefix)
    return security && context.configuration.enabled ? context : undefined
  }
  const transportTls = tls('xpack.security.transport.ssl')
  // The port is bound first, because a node is known by its address.
  const parts: { coordinator?: Coordinator; shards?: Shards } = {}
  const transport = createTransportServer({
    ssl: transportTls,
    log,
    handler: async (action, body) => {
      const { coordinator, shards } = parts
      if (coordinator === undefined || shards === undefined) throw notReady()
      if (action === 'reload-secure-settings') return reloadSecure(directory, body)
      const ofShards = ['write', 'replicate', 'recover', 'read'].includes(action)
      return await (ofShards ? shards : coordinator).handle(action, body)
    },
  })
  const boundTransport = await bind(transport, 'transport', settings)
  const failures = bootstrapFailures(started, {
    loopback: boundTransport.loopback,
    version,
  })
  if (failures.length > 0) throw new BootstrapError(describeFailures(failures))

  const http = httpServer(tls('xpack.security.http.ssl'), log)
  const boundHttp = await bind(http.listener, 'http', settings)
  log('INFO', 'o.e.t.TransportService', `publish_address {${boundTransport.publishAddress}}`)
  log('INFO', 'o.e.h.AbstractHttpServerTransport', `publish_address {${boundHttp.publishAddress}}`)

  const self: NodeInfo = {
    id: nodeId(data),
    ephemeralId: randomUUID(),
    name: options.name,
    roles: [...(listOf(settings, 'node.roles') ?? ROLES)],
    version,
    transportAddress: boundTransport.publishAddress,
    httpAddress: boundHttp.publishAddress,
  }
  const peers = createPeers({
    cluster: options.cluster,
    self,
    ssl: transportTls,
    log,
    onLost: () => parts.coordinator?.wake(),
  })
  const shards = createShards({
    self,
    data,
    peers,
    log,
    beforeRecovery: options.beforeRecovery,
    coordinator: () => {
      if (parts.coordinator === undefined) throw notReady()
      return parts.coordinator
    },
  })
  const coordinator = createCoordinator({
    self,
    peers,
    log,
    ...discovery(options, boundTransport.port),
    stored: existsSync(stateFile)
      ? Stored.parse(JSON.parse(readFileSync(stateFile, 'utf8')))
      : undefined,
    persist: stored => replaceFile(stateFile, JSON.stringify(stored)),
    enableByDefault: settingOf(settings, 'cluster.routing.allocation.enable'),
    newClusterUuid: randomUUID,
    onApplied: state => shards.onState(state),
  })
  Object.assign(parts, { coordinator, shards })
  http.serve({
    routes: [
      ...clusterRoutes({
        cluster: options.cluster,
        self,
        coordinator,
        certificates: () => ssl.certificates(),
        reloadSecureSettings: async password => {
          const outcomes = new Map([[self.id, reloadSecure(directory, password)]])
          const others = coordinator.state().nodes.filter(({ id }) => id !== self.id)
          if (password !== '' && transportTls === undefined && others.length > 0) {
            throw new ClusterError(
              'illegal_argument_exception',
              400,
              'Secure settings cannot be updated cluster wide when TLS for the transport layer is not enabled. Enable TLS or use the API with a `_local` filter on each node.',
            )
          }
          for (const { id } of others) {
            const answer = await peers
              .get(id)
              ?.connection.request('reload-secure-settings', password)
            outcomes.set(id, typeof answer === 'string' ? answer : null)
          }
          return outcomes
        },
      }),
      ...securityRoutes(coordinator),
      ...documentRoutes({ coordinator, shards }),
    ],
    realms: security
      ? createRealms({ secure, elasticPassword: options.elasticPassword })
      : undefined,
    state: () => coordinator.state(),
    challenges: [
      'Basic realm="security" charset="UTF-8"',
      // Not confirmed by the facts: a client must find its own scheme among several.
      ...(isAtLeast(version, '8.0.0') ? ['ApiKey'] : []),
    ],
  })

  const timer = booleanOf(settings, 'resource.reload.enabled', true)
    ? setInterval(
        () => ssl.check(),
        durationOf(settings, 'resource.reload.interval.high', RELOAD_MS),
      )
    : undefined
  coordinator.start()
  log('INFO', 'o.e.n.Node', 'started')
  return {
    stop: () => {
      clearInterval(timer)
      coordinator.stop()
      peers.close()
      transport.close()
      http.listener.close()
    },
  }
}

function httpServer(
  ssl: SslContext | undefined,
  log: Log,
): { readonly listener: Server; readonly serve: (options: RestOptions) => void } {
  let options: RestOptions | undefined
  const http = createHttpServer((request, response) => {
    if (options === undefined) response.writeHead(503).end()
    else void answerRest(request, response, options)
  })
  // A client may keep a connection, and see an old certificate, for as long as it likes.
  http.keepAliveTimeout = 0
  const channel = (socket: Socket) =>
    `Netty4HttpChannel{localAddress=/${socket.localAddress}:${socket.localPort}, remoteAddress=/${socket.remoteAddress}:${socket.remotePort}}`
  const listener = createListener({
    ssl,
    onConnection: socket => http.emit('connection', socket),
    onPlaintext: socket =>
      log(
        'WARN',
        HTTP_LOGGER,
        `received plaintext http traffic on an https channel, closing connection ${channel(socket)}`,
      ),
    onTlsError: (message, socket) =>
      log(
        'WARN',
        HTTP_LOGGER,
        `caught exception while handling client http traffic, closing connection ${channel(socket)}: ${message}`,
      ),
  })
  return {
    listener,
    serve: given => {
      options = given
    },
  }
}

/** Without any setting a node makes a cluster of its own. */
function discovery(
  { started: { settings }, name }: NodeOptions,
  port: number,
): { readonly seeds: readonly string[]; readonly initialMasters: readonly string[] } {
  const hosts = listOf(settings, 'discovery.seed_hosts')
  const masters = listOf(settings, 'cluster.initial_master_nodes')
  const single = settingOf(settings, 'discovery.type') === 'single-node'
  const configured = hosts !== undefined || masters !== undefined
  if (single || !configured) return { seeds: [], initialMasters: [name] }
  // A seed without a port has the first one of the range.
  const first = (settingOf(settings, 'transport.port') ?? '9300').split('-')[0] ?? String(port)
  const seeds = (hosts ?? ['127.0.0.1']).map(host =>
    /:\d+$/.test(host) ? host : `${host}:${first}`,
  )
  return { seeds, initialMasters: masters ?? [] }
}

/** Null, or why the keystore cannot be read; nothing of what is in it concerns TLS. */
function reloadSecure(directory: string, password: unknown): string | null {
  try {
    const bytes = readKeystoreFile(directory)
    if (bytes === undefined) return 'Keystore is missing'
    decodeKeystore(bytes, hasPassword(bytes) && typeof password === 'string' ? password : '')
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function nodeId(data: string): string {
  const file = join(data, '_state', 'node-id')
  if (!existsSync(file)) replaceFile(file, randomUUID().replaceAll('-', '').slice(0, 22))
  return readFileSync(file, 'utf8')
}

function replaceFile(file: string, contents: string): void {
  writeFileSync(`${file}.tmp`, contents)
  renameSync(`${file}.tmp`, file)
}

function describeFailures(failures: readonly string[]): string {
  const count = failures.length
  const lines = failures.map(
    (failure, i) => `bootstrap check failure [${i + 1}] of [${count}]: ${failure}`,
  )
  return [
    `[${count}] bootstrap checks failed. You must address the points described in the following [${count}] lines before starting Elasticsearch.`,
    ...lines,
  ].join('\n')
}

function notReady(): ClusterError {
  return new ClusterError('node_not_ready_exception', 503, 'the node is starting')
}
