// The operator API as functions. Every answer is parsed with the contract's schema; every failure
// is an OperationalError that says what was attempted and what a person can do about it.

import type { IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import * as z from 'zod/mini'
import { Problem } from '../../shared/contract/agent-api.ts'
import {
  type NodeAdd,
  NodeAdded,
  NodeList,
  NodeView,
  OPERATOR_ROUTES,
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
import { OperationalError } from '../../shared/errors.ts'
import { connectionError, problemError } from './connection-errors.ts'
import type { Context } from './context.ts'

// Above the largest answer: a plan of a thousand nodes with diffs.
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
// How long a controller may take beyond the time that it was asked to wait.
const ANSWER_TIMEOUT_MS = 30_000
const PAGE_NODES = 200
// A controller that answers every page with another one must not keep us busy forever.
const PAGES_MAX = 1_000

export type Client = ReturnType<typeof createClient>

/** `signal` ends every request. Close the client when done, or its connections keep the process. */
export function createClient(context: Context, signal: AbortSignal) {
  const agent = new Agent({
    keepAlive: true,
    maxSockets: 4,
    ca: [...context.ca],
    minVersion: 'TLSv1.3',
    rejectUnauthorized: true,
  })
  const call = <T>(question: Question<T>) => exchange({ context, agent, signal }, question)

  return {
    close: () => agent.destroy(),

    whoami: () =>
      call({ attempt: 'log in', method: 'GET', path: OPERATOR_ROUTES.whoami, answer: WhoAmI }),

    async nodes(labels: readonly string[]): Promise<readonly NodeView[]> {
      const nodes: NodeView[] = []
      let after: string | undefined
      for (let page = 0; page < PAGES_MAX; page++) {
        const query = new URLSearchParams({ limit: String(PAGE_NODES) })
        for (const label of labels) query.append('label', label)
        if (after !== undefined) query.set('after', after)
        const path = `${OPERATOR_ROUTES.nodes}?${query.toString()}`
        const list = await call({ attempt: 'list nodes', method: 'GET', path, answer: NodeList })
        nodes.push(...list.nodes)
        after = list.next
        if (after === undefined) return nodes
      }
      throw new OperationalError('malformed-answer', 'could not list nodes: the list has no end')
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

    removeNode: (name: string) =>
      call({
        attempt: `remove node ${name}`,
        method: 'DELETE',
        path: route(OPERATOR_ROUTES.node, name),
        answer: z.unknown(),
      }),

    nodeToken: (name: string) =>
      call({
        attempt: `make a token for node ${name}`,
        method: 'POST',
        path: route(OPERATOR_ROUTES.nodeToken, name),
        answer: TokenAnswer,
      }),

    plan: (body: SpecBody, document: string) =>
      call({
        attempt: `plan ${document}`,
        method: 'POST',
        path: OPERATOR_ROUTES.plans,
        body,
        answer: PlanView,
        document,
        waitMs: body.waitMs,
      }),

    startRollout: (body: Omit<SpecBody, 'waitMs'>, document: string) =>
      call({
        attempt: `apply ${document}`,
        method: 'POST',
        path: OPERATOR_ROUTES.rollouts,
        body,
        answer: RolloutView,
        document,
      }),

    trust: () =>
      call({
        attempt: 'get the trust bundle',
        method: 'GET',
        path: OPERATOR_ROUTES.trust,
        answer: TrustView,
      }),

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

function route(pattern: string, parameter: string): string {
  return pattern.replace(/:[a-z]+/, encodeURIComponent(parameter))
}

interface Connection {
  readonly context: Context
  readonly agent: Agent
  readonly signal: AbortSignal
}

interface Question<T> {
  /** Completes "could not …". */
  readonly attempt: string
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly path: string
  readonly body?: object
  /** What the problems of an answer are about, for example `fleet.yaml`. */
  readonly document?: string
  /** How long the controller was asked to wait before it answers. */
  readonly waitMs?: number
  readonly answer: z.ZodMiniType<T>
}

async function exchange<T>(connection: Connection, question: Question<T>): Promise<T> {
  const { attempt, document } = question
  let answer: { readonly status: number; readonly text: string }
  try {
    answer = await send(connection, question)
  } catch (cause) {
    if (connection.signal.aborted) throw new OperationalError('interrupted', 'interrupted')
    throw connectionError({ attempt, url: connection.context.url, cause })
  }

  const value = parseJson(answer.text)
  if (answer.status >= 300) {
    const problem = Problem.safeParse(value)
    const known = problem.success ? problem.data : undefined
    throw problemError({ attempt, document, status: answer.status, problem: known })
  }
  try {
    return parser('answer', question.answer, 'malformed-answer')(value)
  } catch (cause) {
    throw new OperationalError('malformed-answer', `could not ${attempt}`, {
      cause,
      hint: 'tlsfleet and the controller may be of different versions: tlsfleet --version',
    })
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON is not what was asked for: the schema says so in its own words.
    return undefined
  }
}

function send<T>(
  { context, agent, signal }: Connection,
  question: Question<T>,
): Promise<{ readonly status: number; readonly text: string }> {
  const body = question.body === undefined ? undefined : JSON.stringify(question.body)
  const url = new URL(question.path, context.url)
  const timeoutMs = ANSWER_TIMEOUT_MS + (question.waitMs ?? 0)
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      url,
      {
        agent,
        method: question.method,
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        headers: {
          accept: 'application/json, application/problem+json',
          authorization: `Bearer ${context.token}`,
          ...(body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        },
      },
      response => {
        readAll(response).then(text => resolve({ status: response.statusCode ?? 0, text }), reject)
      },
    )
    request.once('error', reject)
    request.end(body)
  })
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is above ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
