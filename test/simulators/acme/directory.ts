// A small ACME directory for the faults that a real one does not make on demand. It validates nothing
// and believes every signature: that a client does these right, Pebble shows.

import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { closable } from '../../support/closable.ts'
import { createCa, issue } from '../certificates.ts'

export type Endpoint =
  | 'directory'
  | 'newNonce'
  | 'newAccount'
  | 'newOrder'
  | 'order'
  | 'finalize'
  | 'certificate'

/** An answer in place of the right one. */
export interface Fault {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Text as it is, anything else as JSON. */
  readonly body?: unknown
}

export interface FakeDirectory {
  readonly url: string
  readonly caFile: string
  /** PEM of the CA that signs; also that of the directory's own TLS. */
  readonly root: string
  /** The next answers of an endpoint; `Infinity` times until it is told otherwise. */
  fail(endpoint: Endpoint, fault: Fault, times?: number): void
  heal(endpoint: Endpoint): void
  /** Requests so far. */
  count(endpoint: Endpoint): number
  close(): Promise<void>
}

export function acmeProblem(type: string, detail: string, status = 400): Fault {
  return {
    status,
    headers: { 'content-type': 'application/problem+json' },
    body: { type: `urn:ietf:params:acme:error:${type}`, detail },
  }
}

interface State {
  readonly scratch: string
  readonly base: () => string
  readonly names: Map<string, unknown>
  readonly chains: Map<string, string>
  readonly sign: (csr: Buffer) => string
}

export async function startFakeDirectory(scratch: string): Promise<FakeDirectory> {
  const ca = createCa(scratch, 'fake-ca')
  const tls = issue(ca, 'fake-directory')
  const faults = new Map<Endpoint, { readonly fault: Fault; left: number }>()
  const counts = new Map<Endpoint, number>()
  let base = ''
  const state: State = {
    scratch,
    base: () => base,
    names: new Map(),
    chains: new Map(),
    sign: csr => signCsr(scratch, ca, csr),
  }
  const server = createServer({ cert: tls.certPem, key: tls.keyPem }, (request, response) => {
    void readBody(request).then(text => {
      const [, endpointName = '', id = ''] = (request.url ?? '').split('/')
      const endpoint = ENDPOINTS.find(one => one === endpointName) ?? 'directory'
      counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1)
      response.setHeader(
        'replay-nonce',
        `nonce-${counts.size}-${Math.random().toString(36).slice(2)}`,
      )
      const planned = faults.get(endpoint)
      if (planned === undefined || planned.left <= 0)
        return answer(state, endpoint, id, text, response)
      planned.left--
      return misbehave(planned.fault, response)
    })
  })
  const close = closable(server)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  base = `https://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  return {
    url: `${base}/directory`,
    caFile: ca.certFile,
    root: ca.certPem,
    fail: (endpoint, fault, times = 1) => void faults.set(endpoint, { fault, left: times }),
    heal: endpoint => void faults.delete(endpoint),
    count: endpoint => counts.get(endpoint) ?? 0,
    close,
  }
}

const ENDPOINTS = [
  'directory',
  'newNonce',
  'newAccount',
  'newOrder',
  'order',
  'finalize',
  'certificate',
] as const

function misbehave({ status = 200, headers = {}, body = '' }: Fault, response: ServerResponse) {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text)
}

function answer(
  state: State,
  endpoint: Endpoint,
  id: string,
  text: string,
  response: ServerResponse,
): void {
  const base = state.base()
  const json = (status: number, body: unknown, headers = {}) =>
    response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(JSON.stringify(body))
  switch (endpoint) {
    case 'directory':
      json(200, {
        newNonce: `${base}/newNonce`,
        newAccount: `${base}/newAccount`,
        newOrder: `${base}/newOrder`,
      })
      return
    case 'newNonce':
      response.writeHead(200).end()
      return
    case 'newAccount':
      json(201, { status: 'valid' }, { location: `${base}/account/1` })
      return
    case 'newOrder': {
      const order = String(state.names.size + 1)
      state.names.set(order, payloadOf(text)['identifiers'])
      json(201, orderOf(state, order), { location: `${base}/order/${order}` })
      return
    }
    case 'order':
      json(200, orderOf(state, id))
      return
    case 'finalize':
      state.chains.set(id, state.sign(Buffer.from(String(payloadOf(text)['csr']), 'base64url')))
      json(200, orderOf(state, id))
      return
    case 'certificate':
      response
        .writeHead(200, { 'content-type': 'application/pem-certificate-chain' })
        .end(state.chains.get(id))
      return
  }
}

function orderOf({ base, names, chains }: State, id: string) {
  const isSigned = chains.has(id)
  return {
    status: isSigned ? 'valid' : 'ready',
    identifiers: names.get(id),
    authorizations: [],
    finalize: `${base()}/finalize/${id}`,
    ...(isSigned ? { certificate: `${base()}/certificate/${id}` } : {}),
  }
}

function payloadOf(text: string): Readonly<Record<string, unknown>> {
  const jws: { readonly payload: string } = JSON.parse(text)
  const payload: Readonly<Record<string, unknown>> = JSON.parse(
    Buffer.from(jws.payload, 'base64url').toString('utf8'),
  )
  return payload
}

/** Leaf and CA, PEM. */
export function signCsr(
  scratch: string,
  ca: { readonly certFile: string; readonly keyFile: string },
  csr: Buffer,
): string {
  const file = join(scratch, 'request.der')
  writeFileSync(file, csr)
  const signer = ['-CA', ca.certFile, '-CAkey', ca.keyFile, '-days', '80']
  const extensions = join(scratch, 'extensions')
  writeFileSync(
    extensions,
    'basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature\n',
  )
  const leaf = execFileSync(
    'openssl',
    [
      'x509',
      '-req',
      '-inform',
      'DER',
      '-in',
      file,
      ...signer,
      '-copy_extensions',
      'copy',
      '-extfile',
      extensions,
    ],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  )
  return leaf + readFileSync(ca.certFile, 'utf8')
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = ''
  request.setEncoding('utf8')
  for await (const chunk of request) text += String(chunk)
  return text
}
