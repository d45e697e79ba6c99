// The operator API as functions. Every answer is parsed with the contract's schema; every failure
// is an OperationalError that says what was attempted and what a person can do about it.

import { Agent } from 'node:https'
import * as z from 'zod/mini'
import { AcmeView } from '../../shared/contract/acme.ts'
import { AuthorityList } from '../../shared/contract/authorities.ts'
import { CertificateList, type CertificateView } from '../../shared/contract/certificates.ts'
import {
  type NodeAdd,
  type NodeChange,
  NodeAdded,
  NodeList,
  NodeView,
  OPERATOR_ROUTES,
  PlanProgress,
  PlanView,
  RolloutEventList,
  RolloutList,
  RolloutView,
  type SpecBody,
  TokenAnswer,
  TrustView,
  WhoAmI,
} from '../../shared/contract/operator-api.ts'
import { parser } from '../../shared/contract/schema.ts'
import { accessCalls } from './client-access.ts'
import { everyPage } from './client-pages.ts'
import { providedCalls } from './client-provided.ts'
import { requestCalls } from './client-requests.ts'
import { rolloutCalls } from './client-rollouts.ts'
import { rotationCalls } from './client-rotations.ts'
import type { Context } from './context.ts'
import { clientCertificateOf } from './credential.ts'
import { download } from './download.ts'
import { exchange, type Question } from './exchange.ts'

const PAGE_NODES = 200
const PAGE_CERTIFICATES = 500

const parseProgress = parser('progress', PlanProgress, 'malformed-answer')

export type Client = ReturnType<typeof createClient>

/** `signal` ends every request. Close the client when done, or its connections keep the process. */
export function createClient(context: Context, signal: AbortSignal) {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 4,
    ca: [...context.ca],
    ...clientCertificateOf(context),
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
  })
  let identityRoots: string | undefined
  let endsAt: string | undefined
  const onRoots = (digest: string) => {
    identityRoots = digest
  }
  const onEnding = (at: string) => {
    endsAt = at
  }
  const call = <T>(question: Question<T>) =>
    exchange({ context, agent, signal, onRoots, onEnding }, question)

  return {
    close: () => agent.destroy(),

    /** Digest of the roots that the controller wants to be trusted by, from its last answer. */
    identityRoots: () => identityRoots,

    /** When the token or certificate ends, if that is soon, from the last answer. */
    credentialEnds: () => endsAt,

    async authorities() {
      const path = OPERATOR_ROUTES.authorities
      const question = { attempt: 'list CAs', method: 'GET', path, answer: AuthorityList } as const
      const pages = await everyPage(call, question)
      return { authorities: pages.flatMap(page => page.authorities) }
    },
    ...accessCalls(call),
    ...requestCalls(call),
    ...rolloutCalls(call),
    ...rotationCalls(call),
    ...providedCalls(call),

    whoami: () =>
      call({ attempt: 'log in', method: 'GET', path: OPERATOR_ROUTES.whoami, answer: WhoAmI }),

    async nodes(labels: readonly string[]): Promise<readonly NodeView[]> {
      const query = new URLSearchParams({ limit: String(PAGE_NODES) })
      for (const label of labels) query.append('label', label)
      const path = OPERATOR_ROUTES.nodes
      const question = { attempt: 'list nodes', method: 'GET', path, answer: NodeList } as const
      return (await everyPage(call, question, query)).flatMap(({ nodes }) => nodes)
    },

    async certificates(filter: CertificateFilter): Promise<readonly CertificateView[]> {
      const [path, attempt] = [OPERATOR_ROUTES.certificates, 'list certificates']
      const question = { attempt, method: 'GET', path, answer: CertificateList } as const
      const pages = await everyPage(call, question, certificateQuery(filter))
      return pages.flatMap(({ certificates }) => certificates)
    },

    async acme(): Promise<AcmeView> {
      const path = OPERATOR_ROUTES.acme
      const question = {
        attempt: 'list ACME orders',
        method: 'GET',
        path,
        answer: AcmeView,
      } as const
      const pages = await everyPage(call, question)
      const orders = pages.flatMap(page => page.orders)
      return {
        directories: pages[0].directories,
        orders: orders.toSorted((a, b) => a.nextAttemptAtMs - b.nextAttemptAtMs),
      }
    },

    node: (name: string) =>
      call({
        attempt: `show node ${name}`,
        method: 'GET',
        path: route(OPERATOR_ROUTES.node, name),
        answer: NodeView,
      }),

    addNode: (body: NodeAdd) =>
      call({
        attempt: `add node ${body.name}`,
        method: 'POST',
        path: OPERATOR_ROUTES.nodes,
        body,
        answer: NodeAdded,
      }),

    changeNode: (name: string, body: NodeChange) =>
      call({
        attempt: `change node ${name}`,
        method: 'PATCH',
        path: route(OPERATOR_ROUTES.node, name),
        body,
        answer: NodeView,
      }),

    removeNode: (name: string) =>
      call({
        attempt: `remove node ${name}`,
        method: 'DELETE',
        path: route(OPERATOR_ROUTES.node, name),
        answer: z.unknown(),
      }),

    revokeNode: (name: string) =>
      call({
        attempt: `revoke node ${name}`,
        method: 'POST',
        path: route(OPERATOR_ROUTES.nodeRevoke, name),
        answer: NodeView,
      }),

    nodeToken: (name: string) =>
      call({
        attempt: `make a token for node ${name}`,
        method: 'POST',
        path: route(OPERATOR_ROUTES.nodeToken, name),
        answer: TokenAnswer,
      }),

    plan: (body: SpecBody, document: string, onProgress: (progress: PlanProgress) => void) =>
      call({
        attempt: `plan ${document}`,
        method: 'POST',
        path: OPERATOR_ROUTES.plans,
        body,
        answer: PlanView,
        document,
        waitMs: body.waitMs,
        onProgress: data => onProgress(parseProgress(data)),
      }),

    startRollout: (body: SpecBody, document: string) =>
      call({
        attempt: `apply ${document}`,
        method: 'POST',
        path: OPERATOR_ROUTES.rollouts,
        body,
        answer: RolloutView,
        document,
        waitMs: body.waitMs,
      }),

    trust: () =>
      call({
        attempt: 'get the trust bundle',
        method: 'GET',
        path: OPERATOR_ROUTES.trust,
        answer: TrustView,
      }),

    /** The archive goes to `work` as it comes. */
    backup: <T>(work: (content: AsyncIterable<Buffer>) => Promise<T>) =>
      download(
        { context, agent, signal, attempt: 'back up the controller', path: OPERATOR_ROUTES.backup },
        work,
      ),

    /** An archive of what waits to be signed. */
    exportRequests: <T>(work: (content: AsyncIterable<Buffer>) => Promise<T>) =>
      download(
        {
          context,
          agent,
          signal,
          attempt: 'export certificate requests',
          path: OPERATOR_ROUTES.certificateRequestExport,
        },
        work,
      ),

    rollouts: () =>
      call({
        attempt: 'list rollouts',
        method: 'GET',
        path: OPERATOR_ROUTES.rollouts,
        answer: RolloutList,
      }),

    abortRollout: (id: string) =>
      call({
        attempt: `abort rollout ${id}`,
        method: 'POST',
        path: route(OPERATOR_ROUTES.rolloutAbort, id),
        answer: RolloutView,
      }),

    /** Long poll: waits up to `waitMs` for an event after version `after`. */
    rolloutEvents: (id: string, after: number, waitMs: number) =>
      call({
        attempt: `follow rollout ${id}`,
        method: 'GET',
        path: `${route(OPERATOR_ROUTES.rolloutEvents, id)}?after=${after}&wait=${waitMs}`,
        answer: RolloutEventList,
        waitMs,
      }),
  }
}

export interface CertificateFilter {
  readonly node?: string
  readonly service?: string
  readonly labels: readonly string[]
  readonly expiringBefore?: number
  /** Only what nobody will renew if nothing changes. */
  readonly unrenewed: boolean
  /** And if the controller stays away. */
  readonly isControllerDown: boolean
}

function certificateQuery(filter: CertificateFilter): URLSearchParams {
  const { node, service, labels, expiringBefore, unrenewed, isControllerDown } = filter
  const query = new URLSearchParams({ limit: String(PAGE_CERTIFICATES) })
  if (node !== undefined) query.set('node', node)
  if (service !== undefined) query.set('service', service)
  for (const label of labels) query.append('label', label)
  if (expiringBefore !== undefined) query.set('expiringBefore', String(expiringBefore))
  if (unrenewed) query.set('unrenewed', 'true')
  if (isControllerDown) query.set('controller', 'down')
  return query
}

function route(pattern: string, parameter: string): string {
  return pattern.replace(/:[a-z]+/, encodeURIComponent(parameter))
}
