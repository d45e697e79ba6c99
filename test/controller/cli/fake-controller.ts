// A controller that answers what a test tells it to, over real TLS 1.3, and remembers what it was
// asked. It follows shared/contract/operator-api.ts and nothing of controller/api.

import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdtempSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import {
  type CertificateRequest,
  buildCertificate,
  buildSelfSigned,
} from '../../../shared/pki/certificate.ts'
import { spkiPin } from '../../../shared/pki/pin.ts'
import { closable } from '../../support/closable.ts'

export const TOKEN = 'operator-token-of-the-tests'

export interface Request {
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly body: unknown
  readonly headers: IncomingMessage['headers']
}

export interface Answer {
  readonly status?: number
  readonly body?: unknown
  /** Sent as it is, in place of a JSON body. */
  readonly text?: string
  /** `application/json` when absent. */
  readonly type?: string
}

/** By `METHOD /path` without the query. */
export type Answers = Readonly<
  Record<string, Answer | ((request: Request) => Answer | Promise<Answer>)>
>

export interface FakeController {
  readonly url: string
  readonly caPin: string
  readonly caPem: string
  readonly requests: readonly Request[]
  answer(answers: Answers): void
  close(): Promise<void>
}

export async function startFakeController(
  initial: Answers = {},
  { names = { dns: ['localhost'], ip: ['127.0.0.1'] } } = {},
): Promise<FakeController> {
  const authority = createAuthority()
  const leaf = authority.issue(names)
  const requests: Request[] = []
  let answers = initial
  const server = createServer(
    { key: leaf.key, cert: leaf.chain, minVersion: 'TLSv1.3' },
    (incoming, outgoing) => void serve(incoming, outgoing),
  )
  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse) => {
    const { method = '', url = '' } = incoming
    const hasBody = Number(incoming.headers['content-length'] ?? 0) > 0
    const body: unknown = hasBody ? await json(incoming) : undefined
    const request = { method, path: url, body, headers: incoming.headers }
    requests.push(request)
    // The description of the API is for everybody.
    const isKnown =
      url === '/v1/openapi.json' || incoming.headers.authorization === `Bearer ${TOKEN}`
    const found = answers[`${method} ${url.split('?')[0]}`]
    const {
      status,
      body: content,
      text,
      type = 'application/json',
    } = isKnown
      ? typeof found === 'function'
        ? await found(request)
        : (found ?? refusal(404, 'not-found', 'there is no such thing'))
      : refusal(401, 'token-unknown', 'the token is not known')
    outgoing.writeHead(status ?? 200, { 'content-type': type })
    outgoing.end(text ?? JSON.stringify(content))
  }
  const close = closable(server)
  return {
    url: `https://127.0.0.1:${await listen(server)}`,
    caPin: spkiPin(authority.pem),
    caPem: authority.pem,
    requests,
    answer: more => {
      answers = { ...answers, ...more }
    },
    close,
  }
}

/** Listens on a free port of the loopback address; the port. */
export async function listen(server: Server): Promise<number> {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

export function refusal(
  status: number,
  code: string,
  detail: string,
  extra: Readonly<Record<string, unknown>> = {},
): Answer {
  return { status, body: { type: 'about:blank', title: 'refused', status, code, detail, ...extra } }
}

/** A configuration file with one context for the controller; the path of it. */
export function contextFile(controller: FakeController, token = TOKEN): string {
  const path = join(mkdtempSync(join(tmpdir(), 'tlsfleet-cli-')), 'config.json')
  const context = { url: controller.url, token, ca: [controller.caPem] }
  const config = { version: 1, current: 'test', contexts: { test: context } }
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 })
  return path
}

export function createAuthority() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const nowMs = Math.floor(Date.now() / 1_000) * 1_000
  const dates = { notBeforeMs: nowMs - 3_600_000, notAfterMs: nowMs + 3_600_000 }
  const request = (commonName: string, profile: CertificateRequest['profile']) => ({
    subject: { commonName },
    // Positive: the first byte has no sign bit.
    serial: Buffer.concat([Buffer.from([0x40]), randomBytes(15)]),
    ...dates,
    profile,
  })
  const pem = buildSelfSigned({ ...request('test root', { kind: 'root' }), key: privateKey })
  return {
    pem,
    issue(names: { readonly dns: readonly string[]; readonly ip: readonly string[] }) {
      const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
      const leaf = buildCertificate({
        ...request('test controller', { kind: 'server', names, clientAuth: false }),
        subjectPublicKey: pair.publicKey,
        issuer: { certificatePem: pem, key: privateKey },
      })
      return {
        key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
        chain: `${leaf}${pem}`,
      }
    },
  }
}
