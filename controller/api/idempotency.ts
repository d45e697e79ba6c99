// `Idempotency-Key`: a request that changes something may be sent again, by whoever does not know
// whether it arrived, and changes nothing more. The first answer is kept for a day and given again.
//
// Written down before the handler runs and after it has answered: where a controller was killed in
// between, nobody knows what became of the request, and the next one of this key is told so instead of
// doing it again. What was refused has changed nothing: it is forgotten, and judged anew. Answers with
// secrets in them are never kept.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { unreachable } from '../../shared/assert.ts'
import type { Clock } from '../../shared/clock.ts'
import { canonicalJson, sha256 } from '../../shared/digest.ts'
import { OperationalError } from '../../shared/errors.ts'
import type { Logger } from '../../shared/log.ts'
import type { IdempotencyKey, StoredAnswer } from '../store/idempotency-store.ts'
import type { Store } from '../store/store.ts'
import { operatorOf } from './caller.ts'
import type { App } from './context.ts'
import { jsonOf } from './json-of.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Something in the answer is shown once: it is not kept for repeated requests. */
    answersSecret?: boolean
  }
}

export const IDEMPOTENCY_KEPT_MS = 24 * 3_600_000
/** Of one caller; the oldest go first. */
const KEPT_OF_CALLER = 1_000
/** A rollout of some thousand nodes. A caller's answers then have half a gigabyte at the very most. */
const ANSWER_CHARACTERS_MAX = 512 * 1024
const PRUNE_EVERY_MS = 60_000
const KEPT_HEADERS = ['content-type', 'etag', 'location'] as const
/** Should a route have forgotten to say so: tokens of ours, and private keys. */
const SECRETS =
  /\btf[a-z]\d\.[A-Za-z0-9_-]|\btlsf_[A-Za-z0-9]|\btlsf_[0-9a-f]{16}_|-----BEGIN [A-Z ]*PRIVATE KEY-----/

export interface IdempotencyOptions {
  readonly store: Pick<Store, 'transaction'>
  readonly clock: Clock
  readonly log: Logger
}

interface Under extends IdempotencyKey {
  readonly requestDigest: string
}

/** Must be called after policies are enforced and before the first route is declared. */
export function repeatAnswers(app: App, options: IdempotencyOptions): void {
  const { clock, log } = options
  const running = new Set<string>()
  const requests = new WeakMap<FastifyRequest, Under>()
  let prunedMs = -Infinity

  app.addHook('preHandler', async (request, reply) => {
    const under = keyOf(request)
    if (under === undefined) return undefined
    const name = nameOf(under)
    if (running.has(name)) throw inFlight(under)
    running.add(name)
    try {
      const before = await begin(options, under)
      if (before === undefined) {
        requests.set(request, under)
        return undefined
      }
      running.delete(name)
      return await giveAgain(reply, under, before)
    } catch (error) {
      running.delete(name)
      throw error
    }
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const under = requests.get(request)
    if (under === undefined) return payload
    requests.delete(request)
    try {
      await settle(options, under, outcomeOf(request, reply, payload))
      if (clock.monotonic() - prunedMs >= PRUNE_EVERY_MS) {
        prunedMs = clock.monotonic()
        await prune(options)
      }
    } catch (error) {
      // It has happened, and the answer says so; a request that repeats it is told that its end is unknown.
      log.warn({ err: error, requestId: request.id }, 'could not keep an answer')
    } finally {
      running.delete(nameOf(under))
    }
    return payload
  })
}

const MUTATING: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

function keyOf(request: FastifyRequest): Under | undefined {
  const key = request.headers['idempotency-key']
  const isOperator = request.routeOptions.config.policy?.kind === 'operator'
  if (key === undefined || !isOperator || !MUTATING.has(request.method)) return undefined
  if (typeof key !== 'string' || !/^[\x21-\x7e]{1,128}$/.test(key))
    throw new OperationalError(
      'malformed-request',
      'Idempotency-Key has 1 to 128 visible ASCII characters',
    )
  const about = `${request.method} ${request.url}\n${canonicalJson(jsonOf(request.body))}`
  return { actor: operatorOf(request).name, key, requestDigest: sha256(about) }
}

function nameOf({ actor, key }: IdempotencyKey): string {
  return `${actor}\n${key}`
}

/** What was stored under this key; undefined: nothing, and now it is written down that it has begun. */
async function begin(
  { store, clock }: IdempotencyOptions,
  under: Under,
): Promise<StoredAnswer | undefined> {
  return store.transaction(async tx => {
    const { requestDigest } = under
    const atMs = clock.now()
    const before = await tx.idempotency.get(under)
    if (before === undefined || before.atMs < atMs - IDEMPOTENCY_KEPT_MS) {
      await tx.idempotency.put(under, { requestDigest, answer: { kind: 'begun' }, atMs })
      return undefined
    }
    if (before.requestDigest === requestDigest) return before.answer
    throw new OperationalError(
      'idempotency-mismatch',
      `the key ${under.key} was used for another request`,
      { hint: 'Every request that is not a repetition has a key of its own.' },
    )
  })
}

async function giveAgain(
  reply: FastifyReply,
  { key }: Under,
  answer: StoredAnswer,
): Promise<FastifyReply> {
  switch (answer.kind) {
    case 'begun':
      throw new OperationalError(
        'idempotency-unfinished',
        `the request with the key ${key} has begun, and its end is not known`,
        { hint: 'The controller was stopped meanwhile. See what is there, then use another key.' },
      )
    case 'withheld':
      throw answer.why === 'secret'
        ? new OperationalError(
            'idempotency-secret',
            `the request with the key ${key} has succeeded, and its answer held a secret`,
            { hint: 'Secrets are shown once and kept nowhere. Make another one.' },
          )
        : new OperationalError(
            'idempotency-not-kept',
            `the request with the key ${key} has succeeded, and its answer was too large to keep`,
            { hint: 'Ask for what it made or changed.' },
          )
    case 'answered':
      // As it was sent: nothing is serialized anew.
      return reply
        .code(answer.status)
        .headers({ ...answer.headers, 'idempotent-replayed': 'true' })
        .serializer(String)
        .send(answer.body)
    default:
      return unreachable(answer)
  }
}

/** Undefined: as if it had never been sent. */
function outcomeOf(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): StoredAnswer | undefined {
  const status = reply.statusCode
  // Of a fault of ours nobody knows what it has left.
  if (status >= 500 && status !== 503) return { kind: 'begun' }
  if (status >= 300) return undefined
  const body = bodyOf(payload)
  const isSecret = request.routeOptions.config.answersSecret === true
  if (isSecret || (body !== undefined && SECRETS.test(body)))
    return { kind: 'withheld', status, why: 'secret' }
  if (body === undefined || body.length > ANSWER_CHARACTERS_MAX)
    return { kind: 'withheld', status, why: 'size' }
  const headers: Record<string, string> = {}
  for (const name of KEPT_HEADERS) {
    const value = reply.getHeader(name)
    if (typeof value === 'string') headers[name] = value
  }
  return { kind: 'answered', status, headers, body }
}

function bodyOf(payload: unknown): string | undefined {
  if (payload === undefined || payload === null) return ''
  if (typeof payload === 'string') return payload
  return Buffer.isBuffer(payload) ? payload.toString('utf8') : undefined
}

async function settle(
  { store, clock }: IdempotencyOptions,
  under: Under,
  answer: StoredAnswer | undefined,
): Promise<void> {
  if (answer?.kind === 'begun') return
  const { requestDigest } = under
  await store.transaction(async tx => {
    if (answer === undefined) await tx.idempotency.remove(under)
    else await tx.idempotency.put(under, { requestDigest, answer, atMs: clock.now() })
  })
}

async function prune({ store, clock }: IdempotencyOptions): Promise<void> {
  const beforeMs = clock.now() - IDEMPOTENCY_KEPT_MS
  await store.transaction(tx => tx.idempotency.prune(beforeMs, KEPT_OF_CALLER))
}

function inFlight({ key }: Under): OperationalError {
  return new OperationalError(
    'idempotency-in-flight',
    `the request with the key ${key} is under way`,
    { retryable: true, hint: 'Wait for its answer, or send it again in a moment.' },
  )
}
