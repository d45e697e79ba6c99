// A stand-in for influxd-meta, the meta node of InfluxDB Enterprise, of the version that SIM_VERSION
// names: its configuration, its two listeners, its raft, what SIGHUP does to it.

import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Server } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createDialer, type Dialer, type GoCall } from '../go/dial.ts'
import { createGoServer, type GoServerOptions, parseListenAddress } from '../go/server.ts'
import {
  type Config,
  durationMsOf,
  formatConfig,
  poolOf,
  textOf,
  valueOf,
} from '../go/toml-config.ts'
import { GoError, type KeyPair } from '../go/x509-key-pair.ts'
import { bodyOf, json } from '../influxdb/http-api.ts'
import {
  clientSettings,
  loadFiles,
  loadPair,
  RELOADS_SINCE,
  rootsOf,
  versionLimits,
} from '../influxdb/listener.ts'
import { isAtLeast } from '../version.ts'
import { createAnnouncements } from './announcements.ts'
import { answerApi, type MetaApi } from './api.ts'
import { checkSecrets, hostnameOf, readMetaConfig } from './config.ts'
import { createRaft, type Raft, RaftMessage, RaftReply, RaftState } from './raft.ts'
import { signToken } from './token.ts'
import { Failure, NO_CLUSTER, parseAs } from './wire.ts'

const version = process.env['SIM_VERSION'] ?? '1.11.8-c1.11.8'
/** From here on the raft port follows https-enabled. */
const RAFT_TLS_SINCE = '1.7.3'
const RAFT_TIMEOUT_MS = 1_000
const TICK_MS = 25

async function main(argv: readonly string[]): Promise<void> {
  const [first = ''] = argv
  const command = first.startsWith('-') || first === '' ? 'run' : first
  const rest = command === first ? argv.slice(1) : argv
  switch (command) {
    case 'version':
      process.stdout.write(`InfluxDB Meta v${version} (git: unknown unknown)\n`)
      return
    case 'config': {
      const file = configFile(rest, 'config')
      if (file !== undefined) process.stderr.write(`Merging with configuration at: ${file}\n`)
      const config = failing('config', () => readMetaConfig(file, process.env, version))
      process.stdout.write(formatConfig(config))
      return
    }
    case 'run':
      return await run(configFile(rest, 'run'))
    default:
      process.stderr.write(`unknown command "${command}"\nRun 'influxd-meta help' for usage\n\n\n`)
      process.exit(1)
  }
}

function configFile(argv: readonly string[], command: string): string | undefined {
  const [flag = '', next] = argv
  if (flag === '') return undefined
  const match = /^--?([\w-]+)(?:=(.*))?$/.exec(flag)
  if (match?.[1] === 'config') return match[2] ?? next
  const problem = `flag provided but not defined: -${match?.[1] ?? flag}`
  process.stderr.write(`${problem}\n${command}: ${problem}\n`)
  process.exit(1)
}

async function run(file: string | undefined): Promise<void> {
  const config = failing('run', () => readMetaConfig(file, process.env, version))
  failing('run', () => checkSecrets(config))
  log('info', `InfluxDB Meta starting, version ${version}`)
  const secure = isSecure(config)
  const secureRaft = secure && isAtLeast(version, RAFT_TLS_SINCE)
  // What a SIGHUP of a new enough version puts another in the place of.
  let loaded = failing('run: open server: open service', () => loadTls(config))

  const name = hostnameOf(config, hostname())
  const http = failing('run', () => parseListenAddress(textOf(config, 'meta', 'http-bind-address')))
  const raftBind = failing('run', () => parseListenAddress(textOf(config, 'meta', 'bind-address')))
  const [httpAddr, raftAddr] = [`${name}:${http.port}`, `${name}:${raftBind.port}`]
  const raft = openRaft(config, raftAddr, {
    scheme: secureRaft ? 'https' : 'http',
    dialer: () => loaded.metaDialer,
  })
  const announcements = createAnnouncements(durationMsOf(config, 'meta', 'announcement-expiration'))
  const api: MetaApi = {
    version,
    raftAddr,
    httpAddr,
    raft,
    announcements,
    credentials:
      valueOf(config, 'meta', 'auth-enabled') === true
        ? () => ({
            secrets: secretsOf(config).filter(secret => secret !== ''),
            users: raft.data().users,
          })
        : undefined,
    scheme: secure ? 'https' : 'http',
    callMeta: call => loaded.metaDialer.request(authorised(config, call)),
    reachRaft: async peer => {
      const url = `${secureRaft ? 'https' : 'http'}://${peer}/raft`
      await callRaft(loaded.metaDialer, url, { kind: 'hello', from: raftAddr })
    },
    dataScheme: valueOf(config, 'meta', 'data-use-tls') === true ? 'https' : 'http',
    callData: call => loaded.dataDialer.request(call),
  }
  const tls = () => ({ ...loaded.served, ...versionLimits(config) })
  await listen(raftBind, secureRaft ? tls : undefined, (request, response) =>
    answerRaft(request, response, raft),
  )
  await listen(http, secure ? tls : undefined, (request, response) =>
    answerApi(request, response, api),
  )
  setInterval(() => raft.tick(), TICK_MS)
  startGossip(config, api)
  handleSignals(() => {
    const next = readMetaConfig(file, process.env, version)
    if (isSecure(next) !== secure) {
      throw new GoError('meta: can not change https-enabled on a running server')
    }
    const reloaded = loadTls(next)
    loaded.metaDialer.close()
    loaded.dataDialer.close()
    loaded = reloaded
  })
  log('info', `Listening on HTTP, addr=${httpAddr} https=${secure} raft=${raftAddr}`)
  log('info', 'Listening for signals')
}

/** Below 1.12.3 nothing handles SIGHUP, so it ends the process. */
function handleSignals(reload: () => void): void {
  process.on('SIGTERM', () => {
    log('info', 'Signal received, initializing clean shutdown...')
    // The real one gives open requests up to 30 s; these are over at once.
    process.exit(0)
  })
  if (!isAtLeast(version, RELOADS_SINCE)) return
  process.on('SIGHUP', () => {
    try {
      reload()
      log('info', 'Successfully loaded TLS certificate')
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      log('error', `Error reloading configuration, no changes applied: ${why}`)
    }
  })
}

interface Loaded {
  readonly served: { readonly pair: KeyPair } & ReturnType<typeof clientSettings>
  readonly metaDialer: Dialer
  readonly dataDialer: Dialer
}

/** Everything that certificates go into, read from disk now. Throws a GoError. */
function loadTls(config: Config): Loaded {
  const pair = isSecure(config) ? loadPair(config, 'meta', version) : undefined
  const roots = poolOf(config, 'meta', 'https-root-ca')
  const shown = clientPair(config) ?? pair
  const common = {
    ...(roots === undefined ? {} : { roots: rootsOf(roots) }),
    // Before 1.13 a meta node shows no certificate to whom it dials.
    ...(shown === undefined || !isAtLeast(version, '1.13.0') ? {} : { pair: shown }),
  }
  const insecure = (key: string) => ({ insecureSkipVerify: valueOf(config, 'meta', key) === true })
  return {
    served: { pair: pair ?? { certPem: '', keyPem: '' }, ...clientSettings(config, 'meta') },
    metaDialer: createDialer({ ...common, ...insecure('https-insecure-tls') }),
    dataDialer: createDialer({ ...common, ...insecure('data-insecure-tls') }),
  }
}

function clientPair(config: Config): KeyPair | undefined {
  const certFile = textOf(config, 'meta', 'https-client-certificate')
  if (certFile === '') return undefined
  const keyFile = textOf(config, 'meta', 'https-client-private-key') || certFile
  const insecure = valueOf(config, 'meta', 'https-insecure-certificate') === true
  return loadFiles({ certFile, keyFile, insecure, version })
}

function openRaft(
  config: Config,
  self: string,
  { scheme, dialer }: { readonly scheme: string; readonly dialer: () => Dialer },
): Raft {
  const directory = textOf(config, 'meta', 'dir')
  const file = join(directory, 'simulated-raft.json')
  const entry = { term: 0, index: 0, data: NO_CLUSTER }
  const initial = { term: 0, votedFor: '', entry, committed: NO_CLUSTER }
  return createRaft({
    self,
    heartbeatTimeoutMs: durationMsOf(config, 'meta', 'heartbeat-timeout'),
    electionTimeoutMs: durationMsOf(config, 'meta', 'election-timeout'),
    leaderLeaseTimeoutMs: durationMsOf(config, 'meta', 'leader-lease-timeout'),
    initial: existsSync(file)
      ? (parseAs(RaftState, readFileSync(file, 'utf8')) ?? initial)
      : initial,
    save: state => {
      mkdirSync(directory, { recursive: true })
      writeFileSync(`${file}.tmp`, JSON.stringify(state))
      renameSync(`${file}.tmp`, file)
    },
    call: (peer, message) => callRaft(dialer(), `${scheme}://${peer}/raft`, message),
    nowMs: () => performance.now(),
    random: Math.random,
    log: message => log('info', `raft: ${message}`),
  })
}

async function callRaft(dialer: Dialer, url: string, message: RaftMessage): Promise<RaftReply> {
  const body = JSON.stringify(message)
  const answer = await dialer.request({ url, method: 'POST', body, timeoutMs: RAFT_TIMEOUT_MS })
  const reply = parseAs(RaftReply, answer.body)
  if (reply === undefined) {
    throw new Error(
      `Post ${JSON.stringify(url)}: ${parseAs(Failure, answer.body)?.error ?? answer.body.trim()}`,
    )
  }
  return reply
}

async function answerRaft(
  request: IncomingMessage,
  response: ServerResponse,
  raft: Raft,
): Promise<void> {
  const message = parseAs(RaftMessage, await bodyOf(request))
  if (message === undefined) json(response, 400, { error: 'not a message of raft' })
  else json(response, 200, await raft.receive(message))
}

/** To all other meta nodes, what this one has heard, itself included. */
function startGossip(config: Config, api: MetaApi): void {
  const gossip = () => {
    const self = {
      kind: 'meta',
      addr: api.httpAddr,
      httpAddr: api.httpAddr,
      httpScheme: api.scheme,
      version,
      ageMs: 0,
    } as const
    api.announcements.add([self], Date.now())
    const body = JSON.stringify({ announcements: api.announcements.known(Date.now()) })
    for (const { httpAddr } of api.raft.data().metas) {
      if (httpAddr === api.httpAddr) continue
      const url = `${api.scheme}://${httpAddr}/announce`
      const call = { url, method: 'POST', body, timeoutMs: RAFT_TIMEOUT_MS }
      // Who cannot be reached hears it from another, or later.
      api.callMeta(call).catch(() => {})
    }
  }
  setInterval(gossip, durationMsOf(config, 'meta', 'gossip-frequency'))
  gossip()
}

function authorised(config: Config, call: GoCall): GoCall {
  if (valueOf(config, 'meta', 'auth-enabled') !== true) return call
  const secret = secretsOf(config).findLast(known => known !== '') ?? ''
  const token = signToken(secret, 'meta', Date.now())
  return { ...call, headers: { ...call.headers, Authorization: `Bearer ${token}` } }
}

/** The public one, and the one among nodes. */
function secretsOf(config: Config): readonly string[] {
  return [textOf(config, 'meta', 'shared-secret'), textOf(config, 'meta', 'internal-shared-secret')]
}

function isSecure(config: Config): boolean {
  return valueOf(config, 'meta', 'https-enabled') === true
}

async function listen(
  { host, port }: ReturnType<typeof parseListenAddress>,
  tls: GoServerOptions['tls'],
  handler: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
): Promise<Server> {
  const server = createGoServer({
    handler: (request, response) => void handler(request, response),
    tls,
    log: (message, remote) => log('error', `http: TLS handshake error from ${remote}: ${message}`),
  })
  server.once('error', error => {
    process.stderr.write(`run: open server: open service: listen tcp: ${error.message}\n`)
    process.exit(1)
  })
  server.listen(port, host)
  await once(server, 'listening')
  return server
}

function failing<T>(what: string, run: () => T): T {
  try {
    return run()
  } catch (error) {
    if (!(error instanceof GoError)) throw error
    process.stderr.write(`${what}: ${error.message}\n`)
    process.exit(1)
  }
}

function log(level: 'info' | 'error', message: string): void {
  process.stderr.write(
    `ts=${new Date().toISOString()} lvl=${level} msg=${JSON.stringify(message)}\n`,
  )
}

await main(process.argv.slice(2))
