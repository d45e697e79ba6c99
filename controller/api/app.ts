// What the three listeners have in common: limits, timeouts, strict bodies, policies, errors.

import { constants } from 'node:crypto'
import { fastify } from 'fastify'
import {
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import { PROTOCOL_HEADER, PROTOCOL_VERSION } from '../../shared/contract/protocol.ts'
import { OperationalError } from '../../shared/errors.ts'
import { measureRequests } from '../metrics/requests.ts'
import { trackConnections } from './close.ts'
import type { ApiContext, App } from './context.ts'
import { answerErrors } from './errors.ts'
import { optionalCertificates } from './operator-certificate.ts'
import { enforcePolicies, type Listener } from './policy.ts'

export interface ServerCertificate {
  /** Leaf first, up to and including the root: an agent that joins checks the root's pin. */
  readonly chainPem: string
  readonly keyPem: string
}

export interface ListenerTls {
  readonly certificate: ServerCertificate
  /** CAs of client certificates; present exactly on the listener that requires one. */
  readonly clientCa?: readonly string[]
  /** CAs of client certificates on the listener where they are one way among others. */
  readonly operatorCa?: readonly string[] | undefined
}

const BODY_BYTES_MAX = 256 * 1024
const HEADER_BYTES_MAX = 16 * 1024
/** From the first byte of a request to the end of its headers. */
const HEADERS_TIMEOUT_MS = 5_000
/** To the end of its body. The time until the answer is not limited: that is the long poll. */
const REQUEST_TIMEOUT_MS = 30_000
const HANDSHAKE_TIMEOUT_MS = 10_000
/** Longer than an agent rests between two polls, so that a poll costs no handshake. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000
/** A connection costs 80 KiB: this bounds the memory, and a fleet has as many nodes at most. */
const CONNECTIONS_MAX = 20_000
/** Names have up to 253 characters. */
const PARAMETER_LENGTH_MAX = 300

export function createApp(listener: Listener, tls: ListenerTls, context: ApiContext): App {
  const app = fastify({
    https: tlsOptions(tls),
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    // We answer in our own words, below.
    return503OnClosing: false,
    genReqId: () => context.newId(),
    requestIdHeader: false,
    onProtoPoisoning: 'error',
    onConstructorPoisoning: 'error',
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
  }).withTypeProvider<ZodTypeProvider>()
  app.server.headersTimeout = HEADERS_TIMEOUT_MS
  app.server.maxConnections = CONNECTIONS_MAX
  trackConnections(app)

  measureRequests(app, listener, context.measures)
  app.removeContentTypeParser('text/plain')
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  answerErrors(app, context.log)
  app.addHook('onRequest', async (request, reply) => {
    void reply.headers({
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'x-request-id': request.id,
    })
    if (context.closing.aborted) {
      void reply.header('connection', 'close')
      throw new OperationalError('closing', 'the controller is closing', { retryable: true })
    }
    requireProtocol(request.headers[PROTOCOL_HEADER])
  })
  enforcePolicies(app, listener, context.authentication)
  return app
}

/** New connections get the new certificate; those that are open stay. */
export function renewCertificate(app: App, tls: ListenerTls): void {
  app.server.setSecureContext(tlsOptions(tls))
}

// Nothing is negotiated: TLS 1.3, HTTP/1.1, no tickets, because a resumed session would carry a
// client certificate past a revocation.
function tlsOptions({ certificate, clientCa, operatorCa }: ListenerTls) {
  return {
    cert: certificate.chainPem,
    key: certificate.keyPem,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    secureOptions: constants.SSL_OP_NO_TICKET,
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxHeaderSize: HEADER_BYTES_MAX,
    // How often the timeouts above are looked at.
    connectionsCheckingInterval: 1_000,
    ...(clientCa === undefined
      ? {}
      : { requestCert: true, rejectUnauthorized: true, ca: [...clientCa] }),
    ...(operatorCa === undefined ? {} : optionalCertificates(operatorCa)),
  } as const
}

// Absent is accepted: people use the API with curl.
function requireProtocol(header: string | readonly string[] | undefined): void {
  if (header === undefined || SPOKEN.includes(String(header))) return
  throw new OperationalError(
    'protocol-unsupported',
    `protocol ${String(header).slice(0, 16)} is not spoken here`,
    {
      hint: `This controller speaks ${SPOKEN.join(' and ')}; agent and controller are of too different versions.`,
    },
  )
}

// This version and the one before, of which there is none yet.
const SPOKEN: readonly string[] = [String(PROTOCOL_VERSION)]
