// Certificate requests that people outside sign: list, export, import of the answers, refusal.

import { Readable } from 'node:stream'
import * as z from 'zod/mini'
import {
  CertificateImport,
  CertificateImportAnswer,
  CertificateRequestList,
  CertificateRequestView,
  REQUEST_ARCHIVE_TYPE,
  RequestIssuerName,
  RequestRefusal,
  RequestStateName,
} from '../../../shared/contract/certificate-requests.ts'
import { OPERATOR_ROUTES } from '../../../shared/contract/operator-api.ts'
import { Name } from '../../../shared/contract/schema.ts'
import { ServiceName } from '../../../shared/contract/service.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { exportRequests } from '../../issuers/export-requests.ts'
import { importAnswers } from '../../issuers/import-answers.ts'
import { listedRequests, settleRequest } from '../../issuers/requests.ts'
import type { CertificateRequestRecord, RequestPage } from '../../store/requests-store.ts'
import type { Transaction } from '../../store/store.ts'
import { operatorOf } from '../caller.ts'
import type { ApiContext, App } from '../context.ts'
import { Nothing } from '../fields.ts'
import { limitOf, numberAfter, PAGE_QUERY, pageOf } from '../paging.ts'

/** A certificate has about 2 KB, one with many names ten times as much. */
const IMPORT_BYTES_MAX = 16 * 1024 * 1024

const Query = z.strictObject({
  state: z.optional(RequestStateName),
  issuer: z.optional(RequestIssuerName),
  node: z.optional(Name),
  service: z.optional(ServiceName),
  ...PAGE_QUERY,
})
/** As listed, or its first eight characters and more. */
const Params = z.strictObject({ id: z.string().check(z.regex(/^[0-9a-f-]{8,64}$/)) })

export function requestRoutes(app: App, context: ApiContext): void {
  listRoute(app, context)
  exportRoute(app, context)
  importRoute(app, context)
  refuseRoute(app, context)
}

function listRoute(app: App, { store, clock }: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.certificateRequests,
    {
      config: { policy: { kind: 'operator', role: 'viewer' } },
      schema: {
        summary: 'List certificate requests that others sign, oldest first',
        querystring: Query,
        response: { 200: CertificateRequestList },
      },
    },
    async ({ query }) => {
      const limit = limitOf(query)
      const after = numberAfter('requests', query)
      const page = { ...defined({ ...query, after }), limit: limit + 1 }
      const found = await store.transaction(tx => listedRequests({ nowMs: clock.now() }, tx, page))
      const { shown, next } = pageOf('requests', { found, limit }, ({ sequence }) => sequence)
      return { requests: shown.map(viewOf), ...next }
    },
  )
}

function exportRoute(app: App, { store, fleet, clock, log }: ApiContext): void {
  app.get(
    OPERATOR_ROUTES.certificateRequestExport,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'All pending certificate requests as one archive (tar) for whoever signs',
        querystring: Nothing,
        response: {
          200: {
            description: 'The archive',
            content: { [REQUEST_ARCHIVE_TYPE]: { schema: z.unknown() } },
          },
        },
      },
    },
    async (request, reply) => {
      const { name: actor } = operatorOf(request)
      const nowMs = clock.now()
      const entry = { atMs: nowMs, actor, action: 'certificate-requests-export', subject: fleet }
      await store.transaction(tx => tx.audit.append(entry))
      log.info({ actor }, 'certificate requests exported')
      void reply.type(REQUEST_ARCHIVE_TYPE)
      const content = exportRequests({ store, fleet, nowMs })
      return reply.send(Readable.from(content, { objectMode: false }))
    },
  )
}

function importRoute(app: App, { store, clock, log, nudges }: ApiContext): void {
  app.post(
    OPERATOR_ROUTES.certificateRequestImport,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      bodyLimit: IMPORT_BYTES_MAX,
      schema: {
        summary: 'Take signed answers: matched by key, checked, and given to their nodes',
        description:
          'What fits is taken, and the rest refused with its reasons. Giving the same again changes nothing.',
        body: CertificateImport,
        response: { 200: CertificateImportAnswer },
      },
    },
    async request => {
      const { name: actor } = operatorOf(request)
      const imported = await importAnswers({ store, actor, nowMs: clock.now() }, request.body)
      nudges.nudge(imported.nodes)
      log.info({ actor, nodes: imported.nodes.length }, 'signed certificates imported')
      return { results: [...imported.results] }
    },
  )
}

function refuseRoute(app: App, { store, clock, nudges }: ApiContext): void {
  app.post(
    OPERATOR_ROUTES.certificateRequestRefuse,
    {
      config: { policy: { kind: 'operator', role: 'operator' } },
      schema: {
        summary: 'Refuse a pending certificate request; its node is told why',
        params: Params,
        body: RequestRefusal,
        response: { 200: CertificateRequestView },
      },
    },
    async request => {
      const { name: actor } = operatorOf(request)
      const refused = { code: 'refused-by-operator', message: request.body.reason }
      const view = await store.transaction(async tx => {
        const { id } = await requireRequest(tx, request.params.id)
        const settled = await settleRequest({ nowMs: clock.now(), actor }, tx, id, { refused })
        if (settled.kind === 'unfit')
          throw new OperationalError('illegal-transition', unfitMessage(id, settled.reasons))
        return viewOf(await requireRequest(tx, id))
      })
      nudges.nudge([view.node])
      return view
    },
  )
}

function unfitMessage(id: string, reasons: readonly { readonly message: string }[]): string {
  return `could not refuse the request ${id}: ${reasons.map(({ message }) => message).join('; ')}`
}

async function requireRequest(tx: Transaction, id: string): Promise<CertificateRequestRecord> {
  const found = await tx.requests.findById(id)
  const [request, other] = found
  if (request === undefined || other !== undefined)
    throw new OperationalError(
      'not-found',
      request === undefined
        ? `there is no certificate request ${id}`
        : `several certificate requests begin with ${id}`,
    )
  return request
}

function defined(
  filter: Omit<z.infer<typeof Query>, 'limit' | 'after'> & { readonly after: number | undefined },
): Omit<RequestPage, 'limit'> {
  const { after, state, issuer, node, service } = filter
  return {
    ...(after === undefined ? {} : { after }),
    ...(state === undefined ? {} : { state }),
    ...(issuer === undefined ? {} : { issuer }),
    ...(node === undefined ? {} : { node }),
    ...(service === undefined ? {} : { service }),
  }
}

function viewOf(request: CertificateRequestRecord): CertificateRequestView {
  const { directory, reason, settledAtMs } = request
  return {
    id: request.id,
    node: request.node,
    service: request.service,
    issuer: request.issuer,
    ...(directory === undefined ? {} : { directory }),
    state: request.state,
    ...(reason === undefined ? {} : { reason }),
    names: request.names,
    keyType: request.keyType,
    publicKeyDigest: request.publicKeyDigest,
    clientUse: request.clientUse,
    lifetimeMs: request.lifetimeMs,
    createdAtMs: request.createdAtMs,
    ...(settledAtMs === undefined ? {} : { settledAtMs }),
  }
}
