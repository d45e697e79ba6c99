// The HTTP API of a meta node on 8091.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { GoAnswer, GoCall } from '../go/dial.ts'
import { bodyOf, json } from '../influxdb/http-api.ts'
import type { Announcements } from './announcements.ts'
import type { Raft } from './raft.ts'
import { type Credentials, judge } from './token.ts'
import {
  Announcements as AnnouncementsBody,
  type ClusterData,
  Command,
  Failure,
  JoinAnswer,
  Member,
  type MetaNode,
  NO_CLUSTER,
  parseAs,
  type ShowCluster,
  Status,
} from './wire.ts'

export interface MetaApi {
  readonly version: string
  readonly raftAddr: string
  readonly httpAddr: string
  readonly raft: Raft
  readonly announcements: Announcements
  /** Undefined: authentication is off. */
  readonly credentials: (() => Credentials) | undefined
  readonly scheme: 'http' | 'https'
  /** To other meta nodes, with this one's trust and credentials. */
  readonly callMeta: (call: GoCall) => Promise<GoAnswer>
  /** Reaches a meta node's raft port. */
  readonly reachRaft: (raftAddr: string) => Promise<void>
  readonly dataScheme: 'http' | 'https'
  readonly callData: (call: GoCall) => Promise<GoAnswer>
}

// Who is away refuses at once; who is busy is waited for.
const TIMEOUT_MS = 20_000

export async function answerApi(
  request: IncomingMessage,
  response: ServerResponse,
  api: MetaApi,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost')
  response.setHeader('X-Influxdb-Version', api.version)
  // Not seen on a real one: that /ping, which liveness probes ask, goes without credentials.
  if (api.credentials !== undefined && url.pathname !== '/ping') {
    const judgement = judge(request.headers.authorization, api.credentials(), Date.now())
    if (judgement !== 'allowed') {
      const why = judgement === 'missing' ? MISSING_CREDENTIALS : 'authorization failed'
      return json(response, 401, { error: why })
    }
  }
  try {
    await route(url, request, response, api)
  } catch (error) {
    json(response, 500, { error: error instanceof Error ? error.message : String(error) })
  }
}

const MISSING_CREDENTIALS = 'unable to parse authentication credentials'

async function route(
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
  api: MetaApi,
): Promise<void> {
  const { raft } = api
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /status':
      return json(response, 200, statusOf(api))
    case 'GET /ping':
      if (url.searchParams.has('all')) return await pingAll(response, api)
      return void response.writeHead(200).end(raft.leader())
    case 'GET /peers':
      return json(response, 200, statusOf(api).peers ?? [])
    case 'GET /show-cluster':
      return json(response, 200, showCluster(api))
    case 'GET /data':
      return json(response, 200, { ...raft.data(), users: {} })
    case 'POST /announce': {
      const body = parseAs(AnnouncementsBody, await bodyOf(request))
      if (body === undefined) return json(response, 400, { error: 'not announcements' })
      api.announcements.add(body.announcements, Date.now())
      return void response.writeHead(204).end()
    }
    case 'POST /execute': {
      const command = parseAs(Command, await bodyOf(request))
      if (command === undefined) return json(response, 400, { error: 'not a command' })
      return await asLeader(url, response, api, () => raft.propose(data => execute(data, command)))
    }
    case 'POST /add-meta':
    case 'POST /remove-meta':
    case 'POST /add-data':
    case 'POST /remove-data': {
      const member = parseAs(Member, await bodyOf(request))
      if (member === undefined) return json(response, 400, { error: 'not an address' })
      // The first meta node of a cluster is taken for its founder.
      if (url.pathname === '/add-meta' && raft.data().metas.length === 0) await found(api)
      return await asLeader(url, response, api, () => changeMember(url.pathname, member.addr, api))
    }
    default:
      response.writeHead(404).end('404 page not found\n')
  }
}

/** A follower sends the client to the leader; where there is none it must come again later. */
async function asLeader(
  url: URL,
  response: ServerResponse,
  api: MetaApi,
  run: () => Promise<void>,
): Promise<void> {
  const leader = api.raft.leader()
  if (leader === '') return json(response, 503, { error: 'no leader' })
  if (leader === api.raftAddr) {
    await run()
    return void response.writeHead(204).end()
  }
  const found = api.raft.data().metas.find(({ raftAddr }) => raftAddr === leader)
  if (found === undefined) return json(response, 503, { error: 'no leader' })
  const location = `${api.scheme}://${found.httpAddr}${url.pathname}`
  response.writeHead(307, { Location: location }).end()
}

export function statusOf({ raft, httpAddr, raftAddr }: MetaApi): Status {
  const leader = raft.leader()
  const peers = raft.data().metas.map(node => node.raftAddr)
  return {
    nodeType: 'meta',
    leader,
    httpAddr,
    raftAddr,
    peers: leader === '' || peers.length === 0 ? null : peers,
  }
}

/** Whether all meta nodes are up and name the same leader. */
async function pingAll(response: ServerResponse, api: MetaApi): Promise<void> {
  const leader = api.raft.leader()
  for (const { httpAddr } of api.raft.data().metas) {
    const url = `${api.scheme}://${httpAddr}/ping`
    const answer = await api.callMeta({ url, timeoutMs: TIMEOUT_MS }).catch(() => undefined)
    if (answer?.body !== leader) {
      return void response.writeHead(500).end('one or more metaservers not up\n')
    }
  }
  response.writeHead(200).end(leader)
}

function showCluster({ raft, announcements }: MetaApi): ShowCluster {
  const nowMs = Date.now()
  const { metas, dataNodes } = raft.data()
  return {
    data: dataNodes.map(({ id, tcpAddr, httpAddr }) => {
      const heard = announcements.of('data', tcpAddr, nowMs)
      return {
        id,
        addr: heard?.httpAddr ?? httpAddr,
        httpScheme: heard?.httpScheme ?? 'http',
        tcpAddr,
        version: heard?.version ?? '',
        labels: {},
      }
    }),
    meta: metas.map(({ id, raftAddr, httpAddr }) => {
      const heard = announcements.of('meta', httpAddr, nowMs)
      return {
        id,
        addr: httpAddr,
        httpScheme: heard?.httpScheme ?? 'http',
        tcpAddr: raftAddr,
        version: heard?.version ?? '',
        labels: {},
      }
    }),
  }
}

function execute(data: ClusterData, { createDatabase, createUser }: Command): ClusterData {
  const databases =
    createDatabase === undefined || data.databases.includes(createDatabase)
      ? data.databases
      : [...data.databases, createDatabase]
  const users =
    createUser === undefined
      ? data.users
      : { ...data.users, [createUser.name]: createUser.password }
  return { ...data, databases, users }
}

const ELECTED_WITHIN_MS = 10_000
const POLL_MS = 20

async function found({ raft, raftAddr, httpAddr }: MetaApi): Promise<void> {
  raft.bootstrap({ ...NO_CLUSTER, nextId: 2, metas: [{ id: 1, raftAddr, httpAddr }] })
  for (
    let waitedMs = 0;
    raft.leader() === '' && waitedMs < ELECTED_WITHIN_MS;
    waitedMs += POLL_MS
  ) {
    await new Promise(resolve => setTimeout(resolve, POLL_MS))
  }
}

async function changeMember(path: string, addr: string, api: MetaApi): Promise<void> {
  const { raft } = api
  switch (path) {
    case '/add-meta': {
      if (raft.data().metas.some(({ httpAddr }) => httpAddr === addr)) return
      const node = await newMeta(addr, api)
      return await raft.propose(data => ({
        ...data,
        nextId: data.nextId + 1,
        metas: [...data.metas, { ...node, id: data.nextId }],
      }))
    }
    case '/remove-meta':
      return await raft.propose(data => ({
        ...data,
        metas: data.metas.filter(({ httpAddr }) => httpAddr !== addr),
      }))
    case '/add-data': {
      if (raft.data().dataNodes.some(({ tcpAddr }) => tcpAddr === addr)) return
      const httpAddr = await newDataNode(addr, api)
      return await raft.propose(data => ({
        ...data,
        nextId: data.nextId + 1,
        dataNodes: [...data.dataNodes, { id: data.nextId, tcpAddr: addr, httpAddr }],
      }))
    }
    default:
      return await raft.propose(data => ({
        ...data,
        dataNodes: data.dataNodes.filter(({ tcpAddr }) => tcpAddr !== addr),
      }))
  }
}

/** One that cannot be reached on both ports, or has a cluster already, is not taken in. */
async function newMeta(addr: string, api: MetaApi): Promise<Omit<MetaNode, 'id'>> {
  const url = `${api.scheme}://${addr}/status`
  const answer = await api.callMeta({ url, timeoutMs: TIMEOUT_MS })
  const status = parseAs(Status, answer.body)
  if (answer.status !== 200 || status === undefined) {
    throw new Error(`Get ${JSON.stringify(url)}: ${answer.statusText}: ${answer.body.trim()}`)
  }
  if (status.leader !== '') throw new Error(`${addr} is a member of a cluster already`)
  await api.reachRaft(status.raftAddr)
  return { httpAddr: addr, raftAddr: status.raftAddr }
}

/** The data node is told where the meta nodes are. */
async function newDataNode(addr: string, api: MetaApi): Promise<string> {
  const url = `${api.dataScheme}://${addr}/rpc/join`
  const metas = api.raft.data().metas.map(({ httpAddr }) => httpAddr)
  const body = JSON.stringify({ metas })
  const answer = await api.callData({ url, method: 'POST', body, timeoutMs: TIMEOUT_MS })
  const joined = parseAs(JoinAnswer, answer.body)
  if (joined === undefined) {
    const why = parseAs(Failure, answer.body)?.error ?? answer.body.trim()
    throw new Error(`Post ${JSON.stringify(url)}: ${answer.statusText}: ${why}`)
  }
  return joined.httpAddr
}
