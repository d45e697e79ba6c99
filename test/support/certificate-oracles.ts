// What the programs of this world say of a certificate: OpenSSL, Node, Java and Go, and we ourselves.
// Each gets the same bytes, the same trust and the same name, and answers with a handshake where it
// can. All questions of a test are asked together: one JVM, one Prometheus.

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type Server, createServer } from 'node:https'
import { type Server as NetServer, isIP } from 'node:net'
import { join } from 'node:path'
import {
  type TLSSocket,
  checkServerIdentity,
  connect,
  createServer as createTlsServer,
} from 'node:tls'
import type { Test } from 'tap'
import { checkPair } from '../../shared/pki/pair.ts'
import { pathReasons } from '../../shared/pki/path.ts'
import { parseCertificate, splitPemCertificates } from '../../shared/pki/pem.ts'
import { createOpenssl } from '../shared/pki/support.ts'
import { type Pair, startGoOracle } from './go-oracle.ts'
import { type Oracle, withOracle } from './java/oracle.ts'
import { PROMETHEUS_UNAVAILABLE } from './prometheus.ts'

export const ORACLES = ['ours', 'openssl', 'node', 'java', 'go'] as const
export type OracleName = (typeof ORACLES)[number]

/** `accepted`, or why not. */
export type Opinions = Readonly<Record<OracleName, string>>

export interface ServerQuestion extends Pair {
  readonly title: string
  readonly trust: readonly string[]
  /** The name or address that a client looks for. */
  readonly host: string
}

export interface ClientQuestion extends Pair {
  readonly title: string
  readonly trust: readonly string[]
}

export interface Questions {
  readonly servers: readonly ServerQuestion[]
  readonly clients: readonly ClientQuestion[]
  /** A server and a client that are beyond doubt, for the talk with Prometheus. */
  readonly own: Pair & { readonly trust: readonly string[] }
  readonly asker: ClientQuestion
}

/** Asks everyone. Without Java or Go the test is skipped with that reason; in CI it fails. */
export async function withOpinions(
  t: Test,
  questions: Questions,
  body: (opinions: ReadonlyMap<string, Opinions>) => Promise<void> | void,
): Promise<void> {
  if (PROMETHEUS_UNAVAILABLE !== false) return t.plan(0, PROMETHEUS_UNAVAILABLE)
  await withOracle(t, async java => {
    const servers = await Promise.all(questions.servers.map(listen))
    try {
      await body(
        new Map([
          ...(await askAboutServers(questions, servers, java)),
          ...(await askAboutClients(questions, java)),
        ]),
      )
    } finally {
      for (const server of servers) server.closeAllConnections()
      await Promise.all(servers.map(close))
    }
  })
}

async function askGoAboutServers(
  { servers: questions, own, asker }: Questions,
  servers: readonly Server[],
  directory: string,
): Promise<readonly string[]> {
  const go = await startGoOracle({
    directory,
    servers: questions.map(({ host, trust }, index) => ({
      port: portOf(servers[index]),
      host,
      trustPem: trust.join(''),
    })),
    own: { ...own, trustPem: own.trust.join('') },
    clientTrustPem: asker.trust.join(''),
  })
  try {
    return await go.servers(asker)
  } finally {
    await go.close()
  }
}

/** One Prometheus for each trust. */
async function askGoAboutClients(
  { clients, own }: Questions,
  directory: string,
): Promise<ReadonlyMap<string, string>> {
  const answers = new Map<string, string>()
  const groups = Map.groupBy(clients, ({ trust }) => trust.join(''))
  for (const [clientTrustPem, group] of groups) {
    const go = await startGoOracle({
      directory,
      servers: [],
      own: { ...own, trustPem: own.trust.join('') },
      clientTrustPem,
    })
    try {
      for (const question of group) answers.set(question.title, await go.client(question))
    } finally {
      await go.close()
    }
  }
  return answers
}

async function askAboutServers(
  questions: Questions,
  servers: readonly Server[],
  java: Oracle,
): Promise<readonly (readonly [string, Opinions])[]> {
  const answers: (readonly [string, Opinions])[] = []
  const ofGo = await askGoAboutServers(questions, servers, java.directory)
  const openssl = createOpenssl()
  for (const [index, question] of questions.servers.entries()) {
    const port = portOf(servers[index])
    const trust = join(java.directory, `java-${index}.pem`)
    writeFileSync(trust, question.trust.join(''), { mode: 0o600 })
    const [verdict = '', ...rest] = await java.ask('connect', question.host, String(port), trust)
    answers.push([
      question.title,
      {
        ours: ourOpinion(question, 'server'),
        openssl: opensslOpinion(openssl, question),
        node: await nodeOpinion(question, port),
        java: verdict === 'accepted' ? verdict : `${verdict} ${rest.join(' ')}`,
        go: ofGo[index] ?? 'was not asked',
      },
    ])
  }
  openssl.remove()
  return answers
}

async function askAboutClients(
  questions: Questions,
  java: Oracle,
): Promise<readonly (readonly [string, Opinions])[]> {
  const answers: (readonly [string, Opinions])[] = []
  const ofGo = await askGoAboutClients(questions, java.directory)
  const openssl = createOpenssl()
  for (const [index, question] of questions.clients.entries()) {
    const chain = join(java.directory, `client-${index}.pem`)
    const trust = join(java.directory, `client-trust-${index}.pem`)
    writeFileSync(chain, question.chainPem, { mode: 0o600 })
    writeFileSync(trust, question.trust.join(''), { mode: 0o600 })
    const [verdict = '', ...rest] = await java.ask('client', chain, trust)
    answers.push([
      question.title,
      {
        ours: ourOpinion(question, 'client'),
        openssl: opensslOpinion(openssl, question),
        node: await nodeOpinionOfClient(question, questions.own),
        java: verdict === 'accepted' ? verdict : `${verdict} ${rest.join(' ')}`,
        go: ofGo.get(question.title) ?? 'was not asked',
      },
    ])
  }
  openssl.remove()
  return answers
}

function ourOpinion(
  question: ServerQuestion | ClientQuestion,
  purpose: 'server' | 'client',
): string {
  const [leafPem = '', ...others] = splitPemCertificates(question.chainPem)
  const leaf = parseCertificate(leafPem)
  const names = 'host' in question ? namesOf(question.host) : { dns: [], ip: [] }
  const purposes = [purpose]
  const nowMs = Date.now()
  const reasons = [
    ...checkPair({ certificatePem: leafPem, keyPem: question.keyPem, names, purposes, nowMs }),
    ...pathReasons({
      leaf,
      intermediates: others.map(parseCertificate),
      trust: question.trust.map(parseCertificate),
      purposes,
      nowMs,
    }),
  ]
  return reasons.length === 0 ? 'accepted' : reasons.map(({ code }) => code).join(' ')
}

function namesOf(host: string) {
  return isIP(host) === 0 ? { dns: [host], ip: [] } : { dns: [], ip: [host] }
}

function opensslOpinion(
  openssl: ReturnType<typeof createOpenssl>,
  question: ServerQuestion | ClientQuestion,
): string {
  const [leaf = '', ...rest] = splitPemCertificates(question.chainPem)
  const output = openssl.verify({
    leaf,
    ...(rest.length === 0 ? {} : { intermediates: rest.join('') }),
    roots: question.trust.join(''),
    nowMs: Date.now(),
    more: 'host' in question ? serverOptions(question.host) : ['-purpose', 'sslclient'],
  })
  if (output === 'OK') return 'accepted'
  return /error \d+ at .*/.exec(output)?.[0] ?? output
}

function serverOptions(host: string): readonly string[] {
  const option = isIP(host) === 0 ? '-verify_hostname' : '-verify_ip'
  return ['-purpose', 'sslserver', option, host]
}

async function nodeOpinion({ host, trust }: ServerQuestion, port: number): Promise<string> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    ca: [...trust],
    ...(isIP(host) === 0 ? { servername: host } : {}),
    checkServerIdentity: (_, peer) => checkServerIdentity(host, peer),
  })
  try {
    await once(socket, 'secureConnect')
    return 'accepted'
  } catch (error) {
    return errorText(error)
  } finally {
    socket.destroy()
  }
}

// Only the server knows what it thinks of a client: in TLS 1.3 the client is done before.
async function nodeOpinionOfClient(
  { chainPem, keyPem, trust }: ClientQuestion,
  own: Questions['own'],
): Promise<string> {
  const server = createTlsServer({
    cert: own.chainPem,
    key: own.keyPem,
    ca: [...trust],
    requestCert: true,
    rejectUnauthorized: false,
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connect({
    host: '127.0.0.1',
    port: portOf(server),
    ca: [...own.trust],
    cert: chainPem,
    key: keyPem,
    checkServerIdentity: () => undefined,
  })
  try {
    const [accepted] = await Promise.all([
      new Promise<TLSSocket>(resolve => server.once('secureConnection', resolve)),
      once(socket, 'secureConnect'),
    ])
    const text = accepted.authorized ? 'accepted' : errorText(accepted.authorizationError)
    accepted.destroy()
    return text
  } finally {
    socket.destroy()
    await close(server)
  }
}

function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return 'code' in error ? `${String(error.code)}: ${error.message}` : error.message
}

async function listen({ chainPem, keyPem }: Pair): Promise<Server> {
  const server = createServer({ cert: chainPem, key: keyPem }, (_, response) => {
    response.setHeader('content-type', 'text/plain; version=0.0.4')
    response.end('answered 1\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return server
}

async function close(server: Pick<NetServer, 'close'>): Promise<void> {
  await new Promise(resolve => server.close(resolve))
}

function portOf(server: Pick<NetServer, 'address'> | undefined): number {
  const address = server?.address()
  if (typeof address !== 'object' || address === null) throw new Error('server has no port')
  return address.port
}
