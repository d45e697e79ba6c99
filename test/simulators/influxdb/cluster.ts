// The Enterprise side of a data node: metadata comes from meta nodes, writes go to the other data nodes
// as well, over the RPC port, and wait in hinted handoff while those do not take them.
//
// Every point is on every data node, so reads are local; that a remote read fails while RPC does not
// match is not shown.

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createDialer, type Dialer } from '../go/dial.ts'
import { createGoServer, parseListenAddress } from '../go/server.ts'
import { durationMsOf, poolOf, textOf, valueOf } from '../go/toml-config.ts'
import { GoError, type KeyPair } from '../go/x509-key-pair.ts'
import { JoinRequest, parseAs, RemoteWrite } from '../influxdb-meta/wire.ts'
import { isAtLeast } from '../version.ts'
import type { Config } from './config.ts'
import { openHintedHandoff } from './hinted-handoff.ts'
import { bodyOf, json, type Store } from './http-api.ts'
import { clientSettings, loadFiles, loadPair, rootsOf, versionLimits } from './listener.ts'
import { createMetaClient } from './meta-client.ts'
import type { Points } from './points.ts'

export interface DataNode {
  readonly store: Store
  /** What a SIGHUP loads anew; nothing changes where it throws. */
  prepareReload(config: Config): () => void
}

export interface DataNodeOptions {
  readonly config: Config
  readonly version: string
  readonly points: Points
  readonly log: (level: 'info' | 'error', message: string) => void
}

// Who is away refuses at once; who is busy is waited for.
const RPC_TIMEOUT_MS = 20_000

/** Opens the RPC port and begins to announce this node. Throws a GoError. */
export async function startDataNode(options: DataNodeOptions): Promise<DataNode> {
  const { config, version, points, log } = options
  const secureRpc = valueOf(config, 'cluster', 'https-enabled') === true
  let loaded = loadCluster(config, version)
  const rpc = createGoServer({
    handler: (request, response) => void answerRpc(request, response),
    tls: secureRpc
      ? () => ({ pair: loaded.pair ?? missing(), ...loaded.clients, ...versionLimits(config) })
      : undefined,
    log: (message, remote) => log('error', `http: TLS handshake error from ${remote}: ${message}`),
  })
  const { host, port } = parseListenAddress(textOf(config, '', 'bind-address'))
  rpc.listen(port, host)
  await once(rpc, 'listening')

  const name = textOf(config, '', 'hostname')
  const tcpAddr = `${name}:${portOf(rpc.address())}`
  const httpAddr = `${name}:${parseListenAddress(textOf(config, 'http', 'bind-address')).port}`
  const authenticated = valueOf(config, 'meta', 'meta-auth-enabled') === true
  const meta = createMetaClient({
    directory: textOf(config, 'meta', 'dir'),
    scheme: valueOf(config, 'meta', 'meta-tls-enabled') === true ? 'https' : 'http',
    dialer: () => loaded.metaDialer,
    secret: authenticated ? textOf(config, 'meta', 'meta-internal-shared-secret') : undefined,
    log: message => log('error', message),
  })
  const refresh = () =>
    meta.refresh({
      kind: 'data',
      addr: tcpAddr,
      httpAddr,
      httpScheme: valueOf(config, 'http', 'https-enabled') === true ? 'https' : 'http',
      version,
      ageMs: 0,
    })
  setInterval(() => void refresh(), durationMsOf(config, '', 'gossip-frequency'))
  void refresh()

  const handoff = openHintedHandoff({
    directory: textOf(config, 'hinted-handoff', 'dir'),
    retryMs: durationMsOf(config, 'hinted-handoff', 'retry-interval'),
    retryMaxMs: durationMsOf(config, 'hinted-handoff', 'retry-max-interval'),
    send: sendTo,
  })

  async function sendTo(node: string, write: RemoteWrite): Promise<void> {
    const url = `${secureRpc ? 'https' : 'http'}://${node}/rpc/write`
    const body = JSON.stringify(write)
    const request = { url, method: 'POST', body, timeoutMs: RPC_TIMEOUT_MS }
    const answer = await loaded.rpcDialer.request(request)
    if (answer.status !== 204) throw new Error(`${url}: ${answer.statusText}`)
  }

  async function answerRpc(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await bodyOf(request)
    if (request.url === '/rpc/join') {
      const joined = parseAs(JoinRequest, body)
      if (joined === undefined) return json(response, 400, { error: 'not a join' })
      meta.join(joined.metas)
      json(response, 200, { httpAddr })
      // Answered first: the meta node counts this one in only now.
      void refresh()
      return
    }
    const write = parseAs(RemoteWrite, body)
    if (write === undefined) return json(response, 400, { error: 'not a write' })
    // A shard comes with what it is a shard of.
    points.create(write.database)
    points.write(write.database, write.lines.join('\n'))
    response.writeHead(204).end()
  }

  const store: Store = {
    createDatabase: database => meta.execute({ createDatabase: database }),
    databases: () => meta.data().databases,
    count: (database, measurement) => points.count(database, measurement),
    write: async (database, text, consistency) => {
      if (!meta.data().databases.includes(database)) {
        return { status: 404, message: `database not found: ${JSON.stringify(database)}` }
      }
      points.create(database)
      const lines = points.write(database, text)
      if (!isTaken(lines)) return lines
      const others = meta.data().dataNodes.filter(node => node.tcpAddr !== tcpAddr)
      const writes = await Promise.all(
        others.map(async ({ tcpAddr: node }) => {
          const write = { database, lines: [...lines] }
          return await sendTo(node, write).then(
            () => true,
            () => {
              handoff.add(node, write)
              return false
            },
          )
        }),
      )
      if (consistency === 'all' && writes.includes(false)) {
        return { status: 500, message: 'write failed: not all nodes took it' }
      }
      return undefined
    },
    statistics: () => {
      const values = { queued: handoff.queued(), ...handoff.counters() }
      return { hh: { name: 'hh', tags: {}, values } }
    },
  }
  return {
    store,
    prepareReload: next => {
      if ((valueOf(next, 'cluster', 'https-enabled') === true) !== secureRpc) {
        throw new GoError('cluster: can not change https-enabled on a running server')
      }
      const reloaded = loadCluster(next, version)
      return () => {
        loaded.metaDialer.close()
        loaded.rpcDialer.close()
        loaded = reloaded
      }
    },
  }
}

interface Loaded {
  readonly pair: KeyPair | undefined
  readonly clients: ReturnType<typeof clientSettings>
  readonly rpcDialer: Dialer
  readonly metaDialer: Dialer
}

/** Whatever [cluster] and [meta] name, read now. Throws a GoError. */
function loadCluster(config: Config, version: string): Loaded {
  const secure = valueOf(config, 'cluster', 'https-enabled') === true
  const pair = secure ? loadPair(config, 'cluster', version) : undefined
  const rpcClient = clientPair(config, version, ['cluster', 'https-client']) ?? pair
  const metaClient = clientPair(config, version, ['meta', 'meta-client'])
  return {
    pair,
    clients: clientSettings(config, 'cluster'),
    rpcDialer: createDialer({
      insecureSkipVerify: valueOf(config, 'cluster', 'https-insecure-tls') === true,
      ...trust(config, 'cluster', 'https-root-ca'),
      ...(rpcClient === undefined ? {} : { pair: rpcClient }),
    }),
    metaDialer: createDialer({
      insecureSkipVerify: valueOf(config, 'meta', 'meta-insecure-tls') === true,
      ...trust(config, 'meta', 'meta-root-ca'),
      ...(metaClient === undefined ? {} : { pair: metaClient }),
    }),
  }
}

/** From 1.13 on: the certificate that this node shows to those it dials. */
function clientPair(
  config: Config,
  version: string,
  [table, prefix]: readonly [string, string],
): KeyPair | undefined {
  const certFile = textOf(config, table, `${prefix}-certificate`)
  if (certFile === '' || !isAtLeast(version, '1.13.0')) return undefined
  const keyFile = textOf(config, table, `${prefix}-private-key`) || certFile
  const lax = table === 'meta' ? 'meta-insecure-certificate' : 'https-insecure-certificate'
  return loadFiles({ certFile, keyFile, insecure: valueOf(config, table, lax) === true, version })
}

function trust(config: Config, table: string, key: string): { readonly roots?: readonly string[] } {
  const pool = poolOf(config, table, key)
  return pool === undefined ? {} : { roots: rootsOf(pool) }
}

function isTaken(result: ReturnType<Points['write']>): result is readonly string[] {
  return Array.isArray(result)
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === 'object' && address !== null ? address.port : 0
}

function missing(): never {
  throw new GoError('TLS certificate is nil')
}
