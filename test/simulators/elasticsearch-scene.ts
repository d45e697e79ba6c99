// Nodes of the Elasticsearch simulator for tests: a configuration directory each, real processes.

import { execFileSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request as requestHttp } from 'node:http'
import { type Agent, request as requestHttps } from 'node:https'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type Outcome, runCommand } from '../lab/command.ts'
import { until } from '../lab/until.ts'
import { freePort } from '../sandbox/sandbox.ts'
import type { TestCa, TestCertificate } from './certificates.ts'
import { type Daemon, startDaemon, untilPrinted } from './daemon.ts'
import { type NewEntry, writeP12 } from './elasticsearch/p12-writer.ts'
import { encodeKeystore } from './elasticsearch/keystore-format.ts'

const PROGRAM = join(import.meta.dirname, 'elasticsearch/elasticsearch-sim.ts')
const KEYSTORE = join(import.meta.dirname, 'elasticsearch/elasticsearch-keystore-sim.ts')
export const PASSWORD = 'changeme'
export const HTTP = 'xpack.security.http.ssl'
export const TRANSPORT = 'xpack.security.transport.ssl'

export interface SceneNode {
  readonly name: string
  /** ES_PATH_CONF */
  readonly directory: string
  readonly port: number
  readonly transportPort: number
  /** elasticsearch.yml: what every node needs, then this. */
  configure(yml: string): void
  secrets(values: Readonly<Record<string, string>>): void
  start(options?: StartOptions): Daemon
  readonly keystore: (
    argv: readonly string[],
    input?: string,
    env?: NodeJS.ProcessEnv,
  ) => Promise<Outcome>
  /** As user `elastic`, unless told otherwise. */
  ask(path: string, options?: AskOptions): Promise<Answer>
}

export interface StartOptions {
  readonly version?: string
  readonly env?: Readonly<Record<string, string>>
  readonly argv?: readonly string[]
}

export interface AskOptions {
  readonly method?: string
  readonly body?: unknown
  /** PEM; given: over TLS. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** `user:password`; empty: none. */
  readonly as?: string
  readonly agent?: Agent
}

export interface Answer {
  readonly status: number
  readonly text: string
  /** Of JSON; undefined for other texts. */
  readonly json: unknown
  readonly challenges: readonly string[]
}

export async function createNode(t: Test, directory: string, name = 'n1'): Promise<SceneNode> {
  const root = join(directory, name)
  const conf = join(root, 'conf')
  mkdirSync(join(conf, 'certs'), { recursive: true })
  const [port, transportPort] = [await freePort(), await freePort()]
  const base = `node.name: ${name}
path.data: ${join(root, 'data')}
http.port: ${port}
transport.port: ${transportPort}
resource.reload.interval.high: 50ms
`
  const secrets = (values: Readonly<Record<string, string>>) => {
    const all = { 'keystore.seed': 'seed-of-tests', 'bootstrap.password': PASSWORD, ...values }
    const entries = new Map(Object.entries(all).map(([key, value]) => [key, Buffer.from(value)]))
    writeFileSync(
      join(conf, 'elasticsearch.keystore'),
      encodeKeystore(entries, { format: 4, password: '' }),
    )
  }
  secrets({})
  return {
    name,
    directory: conf,
    port,
    transportPort,
    configure: yml => writeFileSync(join(conf, 'elasticsearch.yml'), `${base}${yml}`),
    secrets,
    start: ({ version = '8.13.0', env = {}, argv = [] } = {}) => {
      const daemon = startDaemon({
        argv: [process.execPath, PROGRAM, '--version', version, ...argv],
        env: { ES_PATH_CONF: conf, ...env },
      })
      t.teardown(() => {
        daemon.signal('SIGKILL')
        return daemon.ended
      })
      return daemon
    },
    keystore: (argv, input = '', env = {}) =>
      runCommand(process.execPath, [KEYSTORE, ...argv], {
        input,
        // The key of the newest format takes long by design.
        env: { ...process.env, ES_PATH_CONF: conf, SIM_VERSION: '8.13.0', ...env },
      }),
    ask: (path, options = {}) => ask(port, path, options),
  }
}

function ask(port: number, path: string, options: AskOptions): Promise<Answer> {
  const { method = 'GET', body, ca, as = `elastic:${PASSWORD}`, agent, ...tls } = options
  const headers = as === '' ? {} : { authorization: `Basic ${Buffer.from(as).toString('base64')}` }
  return new Promise((resolve, reject) => {
    const request = (ca === undefined ? requestHttp : requestHttps)(
      {
        host: '127.0.0.1',
        servername: 'localhost',
        port,
        path,
        method,
        headers,
        agent: agent ?? false,
        ...(ca === undefined ? {} : { ca }),
        ...tls,
      },
      response => {
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => {
          const json: unknown = /^[{[]/.test(text) ? JSON.parse(text) : undefined
          const challenges = response.rawHeaders.filter(
            (_value, i, all) => i % 2 === 1 && all[i - 1] === 'WWW-Authenticate',
          )
          resolve({ status: response.statusCode ?? 0, text, json, challenges })
        })
      },
    )
    request.on('error', reject)
    request.end(
      body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    )
  })
}

/** Listens; whether there is a cluster is another matter. */
export async function untilUp(daemon: Daemon): Promise<void> {
  await untilPrinted(daemon, /\] started\n/)
}

export async function untilHealth(
  node: SceneNode,
  status: 'green' | 'yellow' | 'red',
  options: AskOptions & { readonly nodes?: number } = {},
): Promise<void> {
  const { nodes, ...asking } = options
  const wanted = new RegExp(
    `"status":"${status}"${nodes === undefined ? '' : `.*"number_of_nodes":${nodes},`}`,
  )
  await until(
    async () => wanted.test((await node.ask('/_cluster/health?timeout=1s', asking)).text),
    {
      what: `${node.name} says ${status} with ${nodes ?? 'its'} nodes`,
      everyMs: 100,
    },
  )
}

export function keyEntry(
  alias: string,
  leaf: TestCertificate,
  ...chain: readonly TestCa[]
): NewEntry {
  return {
    kind: 'key',
    alias,
    key: createPrivateKey(leaf.keyPem),
    chain: [leaf, ...chain].map(({ certPem }) => new X509Certificate(certPem)),
  }
}

export function trustedEntry(alias: string, { certPem }: TestCertificate): NewEntry {
  return { kind: 'trusted', alias, certificate: new X509Certificate(certPem) }
}

/** Nodes are client and server of each other; the certificate says nothing of its use. */
export function issueForBoth(ca: TestCa, name: string, names: string): TestCertificate {
  const [certFile, keyFile] = [join(ca.directory, `${name}.crt`), join(ca.directory, `${name}.key`)]
  const extensions = ['basicConstraints=CA:FALSE', `subjectAltName=${names}`]
  const request = ['req', '-x509', '-batch', '-days', '10', '-subj', `/CN=${name}`]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const files = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-keyout', keyFile, '-out', certFile]
  const more = extensions.flatMap(extension => ['-addext', extension])
  execFileSync('openssl', [...request, ...key, ...files, ...more], { stdio: 'pipe' })
  const [certPem, keyPem] = [readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8')]
  return { certFile, keyFile, certPem, keyPem }
}

/** Few iterations: what is tested is not how long a password takes. */
export function p12(entries: readonly NewEntry[], password = 'store-password'): Buffer {
  return writeP12(entries, { password, iterations: 10 })
}

export function readBytes(node: SceneNode, name: string): Buffer {
  return readFileSync(join(node.directory, name))
}
