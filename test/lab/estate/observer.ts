// The client that writes and reads all the while: `node observer.ts ORDER_FILE STATE_FILE` on `ctl`. It
// knows every host of a product and no scheme: where https fails it tries http the next time, with the
// fleet's CA and the name verified. What it has seen is in the state file, anew a few times a second.

import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { Agent as HttpAgent, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod/mini'

const Asked = z.object({
  /** `host:port`, any of which will do. */
  hosts: z.array(z.string()),
  path: z.string(),
  authorization: z.optional(z.string()),
  /** The body of an answer that counts. */
  pattern: z.optional(z.string()),
  statuses: z.array(z.number()),
})

export const Order = z.object({
  trustFile: z.string(),
  watches: z.record(z.string(), Asked),
  /** Documents with the ids 1, 2, 3 …, each until it is acknowledged. */
  documents: z.object({ hosts: z.array(z.string()), authorization: z.string(), index: z.string() }),
})
export type Order = z.infer<typeof Order>

/** From the last good answer to the next one. */
const Gap = z.object({ fromMs: z.number(), toMs: z.number(), error: z.string() })
export type Gap = z.infer<typeof Gap>

const Seen = z.object({ answered: z.number(), failed: z.number(), gaps: z.array(Gap) })

export const State = z.object({
  watches: z.record(z.string(), Seen),
  documents: z.extend(Seen, { acknowledged: z.number() }),
})
export type State = z.infer<typeof State>

const WATCH_EVERY_MS = 200
const WRITE_EVERY_MS = 100
const SAVE_EVERY_MS = 200
// Longer than a busy machine keeps one waiting: what is interrupted refuses or hangs.
const TIMEOUT_MS = 10_000

interface Call {
  readonly method: string
  readonly path: string
  readonly authorization?: string | undefined
  readonly body?: string
}

interface Answer {
  readonly status: number
  readonly body: string
}

/** With the CAs that the file names now, as clients of a fleet learn another one. */
function verifying(trustFile: string): () => HttpsAgent {
  let kept: { readonly version: string; readonly agent: HttpsAgent } | undefined
  return () => {
    const { mtimeNs, ino } = statSync(trustFile, { bigint: true })
    const version = `${ino} ${mtimeNs}`
    if (kept?.version === version) return kept.agent
    const ca = readFileSync(trustFile, 'utf8')
    kept?.agent.destroy()
    kept = { version, agent: new HttpsAgent({ keepAlive: true, ca, minVersion: 'TLSv1.2' }) }
    return kept.agent
  }
}

async function main([orderFile = '', stateFile = '']: readonly string[]): Promise<void> {
  const order = Order.parse(JSON.parse(readFileSync(orderFile, 'utf8')))
  const plain = new HttpAgent({ keepAlive: true })
  const secure = verifying(order.trustFile)
  const schemes = new Map<string, 'http' | 'https'>()

  const send = (host: string, call: Call): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const scheme = schemes.get(host) ?? 'http'
      const options = {
        method: call.method,
        timeout: TIMEOUT_MS,
        headers: {
          ...(call.authorization === undefined ? {} : { authorization: call.authorization }),
          ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
      }
      const url = `${scheme}://${host}${call.path}`
      const request =
        scheme === 'https'
          ? requestHttps(url, { ...options, agent: secure() })
          : requestHttp(url, { ...options, agent: plain })
      request.once('response', response => {
        let body = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          body += chunk
        })
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }))
        response.once('error', reject)
      })
      request.once('timeout', () => request.destroy(new Error('no answer in time')))
      request.once('error', error => {
        schemes.set(host, scheme === 'http' ? 'https' : 'http')
        reject(error)
      })
      request.end(call.body)
    })

  /** The first host that gives a good answer, beginning with another one each time. */
  const ask = async (
    hosts: readonly string[],
    call: Call,
    isGood: (answer: Answer) => boolean,
    turn: number,
  ): Promise<string | undefined> => {
    let problem = 'no host'
    // Twice: the first try of a host may be with the scheme that it had.
    for (let i = 0; i < 2 * hosts.length; i++) {
      const host = hosts[(turn + i) % hosts.length] ?? ''
      try {
        const answer = await send(host, call)
        if (isGood(answer)) return undefined
        // Go's servers answer a client that speaks plaintext.
        if (answer.status === 400) schemes.set(host, 'https')
        problem = `${host}: ${answer.status} ${answer.body.slice(0, 200)}`
      } catch (error) {
        problem = `${host}: ${error instanceof Error ? error.message : String(error)}`
      }
    }
    return problem
  }

  const state: State = {
    watches: {},
    documents: { ...nothing(), acknowledged: 0 },
  }

  const watch = async (name: string, asked: z.infer<typeof Asked>): Promise<void> => {
    const seen = nothing()
    state.watches[name] = seen
    const note = noting(seen)
    const pattern = new RegExp(asked.pattern ?? '')
    const call = { method: 'GET', path: asked.path, authorization: asked.authorization }
    for (let turn = 0; ; turn++) {
      const isGood = ({ status, body }: Answer) =>
        asked.statuses.includes(status) && pattern.test(body)
      note(await ask(asked.hosts, call, isGood, turn))
      await sleep(WATCH_EVERY_MS)
    }
  }

  const write = async (): Promise<void> => {
    const { hosts, authorization, index } = order.documents
    const note = noting(state.documents)
    for (let turn = 0; ; turn++) {
      const number = state.documents.acknowledged + 1
      // Again with the same id writes it again: only what all copies have is answered.
      const path = `/${index}/_doc/${number}?timeout=1s`
      const call = { method: 'PUT', path, authorization, body: JSON.stringify({ number }) }
      const problem = await ask(hosts, call, ({ status }) => [200, 201].includes(status), turn)
      note(problem)
      if (problem === undefined) state.documents.acknowledged = number
      await sleep(WRITE_EVERY_MS)
    }
  }

  const save = () => {
    writeFileSync(`${stateFile}.new`, JSON.stringify(state))
    renameSync(`${stateFile}.new`, stateFile)
  }
  setInterval(save, SAVE_EVERY_MS)
  await Promise.all([
    write(),
    ...Object.entries(order.watches).map(([name, asked]) => watch(name, asked)),
  ])
}

function nothing(): z.infer<typeof Seen> {
  return { answered: 0, failed: 0, gaps: [] }
}

function noting(seen: z.infer<typeof Seen>): (problem: string | undefined) => void {
  let lastMs = Date.now()
  let first: string | undefined
  return problem => {
    const nowMs = Date.now()
    if (problem !== undefined) {
      seen.failed++
      // Nothing has been there yet: that is no interruption.
      if (seen.answered > 0) first ??= problem
      return
    }
    if (first !== undefined) seen.gaps.push({ fromMs: lastMs, toMs: nowMs, error: first })
    first = undefined
    lastMs = nowMs
    seen.answered++
  }
}

if (import.meta.main) await main(process.argv.slice(2))
