// A real controller on loopback, and clients of its three listeners: the operator's and an agent's.

import { createPrivateKey, type KeyObject, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import type { Test } from 'tap'
import type * as z from 'zod/mini'
import { parseEnrollAnswer } from '../../../shared/contract/agent-api.ts'
import { NodeAdded } from '../../../shared/contract/operator-api.ts'
import { ENROLL_ROUTES } from '../../../shared/contract/protocol.ts'
import { type Clock, systemClock } from '../../../shared/clock.ts'
import { createLogger } from '../../../shared/log.ts'
import { parseToken } from '../../../shared/pki/enrollment-token.ts'
import { generateKey } from '../../../shared/pki/keys.ts'
import { signProof } from '../../../shared/pki/proof.ts'
import { Secret } from '../../../shared/secret.ts'
import {
  type Controller,
  type ControllerConfig,
  createController,
} from '../../../controller/controller.ts'
import { addCredential } from '../../../controller/credentials.ts'
import { initController } from '../../../controller/init.ts'
import { lintIssued } from '../../support/lint-issued.ts'

export interface Running {
  readonly controller: Controller
  readonly dataDir: string
  readonly adminToken: string
  readonly operatorToken: string
  readonly viewerToken: string
  readonly approverToken: string
  readonly passphrase: Secret
  /** Everything that was logged. */
  readonly log: string[]
  /** Moves the controller's wall clock. */
  readonly advance: (ms: number) => void
  /** Moves the clock by which it knows how long it has heard nothing of somebody. */
  readonly elapse: (ms: number) => void
  /** How many wait at it for just this long. */
  readonly waiting: (ms: number) => number
  /** Ends their waits, as if the time had passed. */
  readonly endWaits: (ms: number) => void
  /** Stops the controller and starts another one on the same data. */
  restart(): Promise<Running>
}

const LOOPBACK = { host: '127.0.0.1', port: 0 }

export async function startController(
  t: Test,
  more: Pick<
    ControllerConfig,
    'acme' | 'publicRoots' | 'metricsListen' | 'webhooks' | 'operatorCa'
  > = {},
  /** Does something with its data before it starts. */
  prepare: (dataDir: string) => Promise<void> = async () => {},
): Promise<Running> {
  const directory = mkdtempSync(join(tmpdir(), 'tlsfleet-'))
  const dataDir = join(directory, 'data')
  const passphrase = new Secret('correct horse battery staple')
  const { adminToken } = await initController({
    dataDir,
    fleet: 'demo',
    passphrase,
    nowMs: Date.now(),
    random: randomBytes,
  })
  const token = async (role: 'viewer' | 'operator' | 'approver') =>
    (
      await addCredential({ dataDir, name: role, role, nowMs: Date.now(), random: randomBytes })
    ).reveal()
  const [viewerToken, operatorToken] = [await token('viewer'), await token('operator')]
  const approverToken = await token('approver')
  const log: string[] = []
  let aheadMs = 0
  let elapsedMs = 0
  const waits = new Set<{ readonly ms: number; readonly over: AbortController }>()
  const clock: Clock = {
    now: () => Date.now() + aheadMs,
    monotonic: () => systemClock.monotonic() + elapsedMs,
    sleep(ms, signal) {
      const wait = { ms, over: new AbortController() }
      waits.add(wait)
      const ends = signal === undefined ? [wait.over.signal] : [wait.over.signal, signal]
      return systemClock.sleep(ms, AbortSignal.any(ends)).finally(() => waits.delete(wait))
    },
  }
  const waitsOf = (ms: number) => [...waits].filter(wait => wait.ms === ms)
  const start = () =>
    createController({
      ...more,
      dataDir,
      passphrase,
      listen: { operator: LOOPBACK, agent: LOOPBACK, enroll: LOOPBACK },
      publicNames: ['localhost'],
      clock,
      log: createLogger({
        name: 'test',
        level: 'debug',
        destination: { write: line => log.push(line) },
      }),
    })
  await prepare(dataDir)
  let controller = await start()
  t.teardown(async () => {
    await controller.close()
    const findings = lintIssued(dataDir)
    rmSync(directory, { recursive: true })
    if (findings.length > 0) throw new Error(`was issued here: ${findings.join('; ')}`)
  })
  const running: Running = {
    controller,
    dataDir,
    adminToken: adminToken.reveal(),
    viewerToken,
    operatorToken,
    approverToken,
    passphrase,
    log,
    advance: ms => {
      aheadMs += ms
    },
    elapse: ms => {
      elapsedMs += ms
    },
    waiting: ms => waitsOf(ms).length,
    endWaits: ms => waitsOf(ms).forEach(({ over }) => over.abort()),
    async restart() {
      await controller.close()
      controller = await start()
      return { ...running, controller }
    },
  }
  return running
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly body: unknown
}

export interface Call {
  readonly url: string
  readonly method?: string
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly tls: ConnectionOptions
  readonly agent?: Agent
}

/** One request. Rejects when there is no HTTP answer. */
export function call({
  url,
  method = 'GET',
  body,
  headers = {},
  tls,
  agent,
}: Call): Promise<Answer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      {
        method,
        agent: agent ?? new Agent({ keepAlive: false }),
        ...tls,
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
      },
      response => {
        let received = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          received += chunk
        })
        response.on('error', reject)
        response.on('end', () => {
          const { statusCode: status = 0, headers: answered } = response
          resolve({ status, headers: answered, text: received, body: parseOrNone(received) })
        })
      },
    )
    sent.on('error', reject)
    sent.end(text)
  })
}

function parseOrNone(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // An empty answer, such as 204.
    return undefined
  }
}

export type Operator = (method: string, path: string, body?: unknown) => Promise<Answer>

export function operatorOf({ controller, adminToken }: Running, token = adminToken): Operator {
  return (method, path, body) =>
    call({
      url: `${controller.urls.operator}${path}`,
      method,
      body,
      headers: { authorization: `Bearer ${token}` },
      tls: { ca: controller.identityRoot },
    })
}

/** Adds a node and gives its enrolment token. */
export async function addNode(
  operator: Operator,
  name: string,
  labels = {},
  ip = '10.1.2.3',
): Promise<string> {
  const names = { dns: [`${name}.example.org`], ip: [ip] }
  const answer = await operator('POST', '/v1/nodes', { name, labels, names })
  if (answer.status !== 201) throw new Error(`${answer.status}: ${answer.text}`)
  return NodeAdded.parse(answer.body).enrollment.token
}

export interface Key {
  readonly privateKey: KeyObject
  readonly privateKeyPem: string
  readonly publicKeyPem: string
}

export async function newKey(type: Parameters<typeof generateKey>[0] = 'ec-p256'): Promise<Key> {
  const { privateKeyPem, publicKeyPem } = await generateKey(type)
  const pem = privateKeyPem.reveal()
  return { privateKey: createPrivateKey(pem), privateKeyPem: pem, publicKeyPem }
}

export async function enroll(
  { controller }: Running,
  token: string,
  key: Key,
  change: { readonly secret?: string; readonly proofKey?: KeyObject } = {},
): Promise<Answer> {
  const { id, secret } = parseToken(token)
  return call({
    url: `${controller.urls.enroll}${ENROLL_ROUTES.enroll}`,
    method: 'POST',
    body: {
      tokenId: id,
      tokenSecret: change.secret ?? secret.reveal(),
      publicKey: key.publicKeyPem,
      proof: signProof({
        purpose: 'enroll',
        context: [id],
        key: change.proofKey ?? key.privateKey,
      }),
      facts: { os: 'test' },
    },
    tls: { ca: controller.identityRoot },
  })
}

export interface AgentClient {
  readonly node: string
  readonly key: Key
  readonly certificateChain: string
  get(path: string): Promise<Answer>
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>
  close(): void
}

export function agentClient(
  { controller }: Running,
  identity: { readonly node: string; readonly key: Key; readonly certificateChain: string },
): AgentClient {
  const agent = new Agent({ keepAlive: true, maxSockets: 2 })
  const tls = {
    ca: controller.identityRoot,
    cert: identity.certificateChain,
    key: identity.key.privateKeyPem,
  }
  const url = (path: string) => `${controller.urls.agent}${path}`
  return {
    ...identity,
    get: path => call({ url: url(path), tls, agent }),
    post: (path, body, headers = {}) =>
      call({ url: url(path), method: 'POST', body, headers, tls, agent }),
    close: () => agent.destroy(),
  }
}

/** Adds the node, enrols it, and gives a client with its identity. */
export async function joinFleet(
  running: Running,
  operator: Operator,
  name: string,
  labels = {},
  ip?: string,
): Promise<AgentClient> {
  const token = await addNode(operator, name, labels, ip)
  const key = await newKey()
  const answer = await enroll(running, token, key)
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.text}`)
  const { certificateChain, node } = parseEnrollAnswer(answer.body)
  return agentClient(running, { node, key, certificateChain })
}

export function parsed<T>(schema: z.ZodMiniType<T>, answer: Answer): T {
  if (answer.status >= 300) throw new Error(`${answer.status}: ${answer.text}`)
  return schema.parse(answer.body)
}

export function codeOf(answer: Answer): unknown {
  return typeof answer.body === 'object' && answer.body !== null && 'code' in answer.body
    ? answer.body.code
    : undefined
}
