// What lies between an agent and the controllers: messages take their time, get lost on either way, come
// twice and overtake one another. The client's half and the server's half of a request are production
// code; only the connection is not.

import {
  parseDesiredAnswer,
  parseLeaseAnswer,
  parseProvidedAnswer,
  parseRenewAnswer,
  parseSignAnswer,
} from '../../../shared/contract/agent-api.ts'
import { AGENT_ROUTES, LONG_POLL_MS } from '../../../shared/contract/protocol.ts'
import { OperationalError } from '../../../shared/errors.ts'
import { Secret } from '../../../shared/secret.ts'
import {
  contentOf,
  headersOf,
  parsed,
  type Answer,
} from '../../../agent/edges/controller-request.ts'
import type { Remote } from '../../../agent/remote.ts'
import type { Random } from '../random.ts'
import type { Controller } from './controller.ts'
import type { Scheduler } from './scheduler.ts'

export interface Network {
  /** Of one process of an agent; when that is dead, nothing comes back. */
  connect(node: string, isDead: () => boolean): Remote
  /** Nothing goes through to or from these nodes. */
  readonly cut: Set<string>
}

export interface NetworkParts {
  readonly scheduler: Scheduler
  readonly random: Random
  /** Part of the messages that are lost; half as many come twice. */
  readonly loss: () => number
  /** A message takes up to so long. */
  readonly slowMs: number
  readonly controllers: () => readonly Controller[]
  readonly onDelivered: (node: string, path: string, answer: Answer, question: Question) => void
  /** A request sets out. */
  readonly onSent: (node: string, question: Question) => void
}

export interface Question {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: string | undefined
}

// What a client waits for an answer that does not come.
const TIMEOUT_MS = 30_000

export function createNetwork(parts: NetworkParts): Network {
  const { scheduler, random, slowMs } = parts
  const cut = new Set<string>()
  const isLost = (node: string) => cut.has(node) || random.chance(parts.loss())
  const takes = () => 1 + random.below(slowMs)

  /** One request reaches a controller that is up; undefined: it is answered by nobody. */
  async function deliver(node: string, question: Question): Promise<Arrived | undefined> {
    const up = parts.controllers().filter(one => !one.isDead())
    if (up.length === 0) return undefined
    const controller = random.pick(up)
    const { method, path, body } = question
    const answered = await controller.alive(async () => {
      const { statusCode, payload } = await controller.app.inject({
        method,
        url: path,
        headers: { ...headersOf(question), 'x-node': node },
        ...(body === undefined ? {} : { payload: body }),
      })
      return { status: statusCode, text: payload, retryAfterS: undefined, date: undefined }
    })
    if (answered === undefined) return undefined
    parts.onDelivered(node, path.split('?')[0] ?? path, answered, question)
    return { answer: answered, controller }
  }

  /** Sent at once; settles when the answer is there, or will not come. */
  function send(node: string, question: Question, signal: AbortSignal): Promise<Answer> {
    parts.onSent(node, question)
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const fail = (afterMs: number) => scheduler.after(afterMs, () => reject(unreachable()))
    signal.addEventListener('abort', () => reject(unreachable()), { once: true })
    if (random.chance(parts.loss() / 2)) scheduler.after(takes() * 3, () => deliver(node, question))
    if (isLost(node)) {
      fail(TIMEOUT_MS)
      return promise
    }
    scheduler.after(takes(), async () => {
      if (cut.has(node)) return fail(TIMEOUT_MS)
      const arrived = await deliver(node, question)
      if (arrived === undefined) return fail(1)
      if (isLost(node)) return fail(TIMEOUT_MS)
      return scheduler.after(takes(), () => resolve(arrived.answer))
    })
    return promise
  }

  /** As the controller parks a poll: it is asked again when it has news, and at the end of the wait. */
  async function poll(node: string, path: string, signal: AbortSignal): Promise<Answer> {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const endMs = scheduler.nowMs() + LONG_POLL_MS
    let stop = () => {}
    signal.addEventListener(
      'abort',
      () => {
        stop()
        reject(unreachable())
      },
      { once: true },
    )
    const fail = (afterMs: number) => scheduler.after(afterMs, () => reject(unreachable()))
    const look = async () => {
      stop()
      if (signal.aborted) return undefined
      if (isLost(node)) return fail(TIMEOUT_MS)
      const arrived = await deliver(node, { method: 'GET', path, body: undefined })
      if (arrived === undefined) return fail(1)
      if (hasNews(arrived.answer) || scheduler.nowMs() >= endMs)
        return isLost(node)
          ? fail(TIMEOUT_MS)
          : scheduler.after(takes(), () => resolve(arrived.answer))
      park(arrived.controller)
      return undefined
    }
    const park = (controller: Controller) => {
      const again = (delayMs: number) => {
        const cancel = scheduler.after(delayMs, look)
        stop = () => {
          cancel()
          leave()
        }
      }
      const leave = controller.whenWoken(node, () => {
        stop()
        again(1)
      })
      again(endMs - scheduler.nowMs())
    }
    scheduler.after(takes(), look)
    return promise
  }

  return {
    cut,
    connect: (node, isDead) =>
      remoteOf({
        isDead,
        send: (question, signal) => send(node, question, signal),
        poll: (path, signal) => poll(node, path, signal),
      }),
  }
}

interface Arrived {
  readonly answer: Answer
  readonly controller: Controller
}

function hasNews({ status, text }: Answer): boolean {
  return status !== 200 || /"(document|preview|probes|wake|identityTrust)":/.test(text)
}

function unreachable(): OperationalError {
  return new OperationalError('controller-unreachable', 'could not reach the controller', {
    retryable: true,
  })
}

const FOREVER: Promise<never> = new Promise(() => {})

interface Line {
  readonly isDead: () => boolean
  readonly send: (question: Question, signal: AbortSignal) => Promise<Answer>
  readonly poll: (path: string, signal: AbortSignal) => Promise<Answer>
}

function remoteOf({ isDead, send, poll }: Line): Remote {
  const mortal = async <T>(work: () => Promise<T>): Promise<T> => {
    if (isDead()) return FOREVER
    try {
      const result = await work()
      return isDead() ? await FOREVER : result
    } catch (error) {
      if (isDead()) return FOREVER
      throw error
    }
  }
  const ask = async (question: Question, signal: AbortSignal) =>
    contentOf(await mortal(() => send(question, signal)), question.path)
  const post = (path: string, content: object, signal: AbortSignal) =>
    ask({ method: 'POST', path, body: JSON.stringify(content) }, signal)
  return {
    async desired({ epoch = 0, generation }, signal) {
      const query = new URLSearchParams({ wait: '0' })
      if (generation !== undefined) query.set('generation', String(generation))
      if (epoch > 0) query.set('epoch', String(epoch))
      const path = `${AGENT_ROUTES.desired}?${query.toString()}`
      const answer = await mortal(() => poll(path, signal))
      return parsed(parseDesiredAnswer, contentOf(answer, path))
    },
    async report(report, signal) {
      await post(AGENT_ROUTES.report, report, signal)
    },
    async preview(answer, signal) {
      await post(AGENT_ROUTES.preview, answer, signal)
    },
    async probe(answer, signal) {
      await post(AGENT_ROUTES.probe, answer, signal)
    },
    async debts(news, signal) {
      await post(AGENT_ROUTES.debts, news, signal)
    },
    async sign(request, signal) {
      const { certificateChain } = parsed(
        parseSignAnswer,
        await post(AGENT_ROUTES.sign, request, signal),
      )
      if (certificateChain === undefined) throw unreachable()
      return certificateChain
    },
    async provided(request, signal) {
      const answer = await post(AGENT_ROUTES.provided, request, signal)
      const { certificateChain, privateKey } = parsed(parseProvidedAnswer, answer)
      return { certificateChain, privateKey: new Secret(privateKey) }
    },
    lease: async (request, signal) =>
      parsed(parseLeaseAnswer, await post(AGENT_ROUTES.lease, request, signal)),
    renew: async (publicKey, proof, signal) =>
      parsed(parseRenewAnswer, await post(AGENT_ROUTES.renew, { publicKey, proof }, signal)),
    renewExpired: async () => FOREVER,
    async whoami(signal) {
      await ask({ method: 'GET', path: AGENT_ROUTES.whoami, body: undefined }, signal)
    },
    close: () => {},
  }
}
