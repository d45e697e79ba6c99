// How a data node speaks to meta nodes, and what it does while it cannot: it works from what it was
// told last, which is also on disk.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import type { Dialer, GoAnswer } from '../go/dial.ts'
import { signToken } from '../influxdb-meta/token.ts'
import {
  type Announcement,
  ClusterData,
  type Command,
  Failure,
  NO_CLUSTER,
  parseAs,
} from '../influxdb-meta/wire.ts'

const Cached = z.object({ metas: z.array(z.string()), data: ClusterData })
type Cached = z.infer<typeof Cached>

export interface MetaClient {
  /** As last heard. */
  data(): ClusterData
  /** From a meta node that takes this node in. */
  join(metas: readonly string[]): void
  /** One round: says that this node is there, and asks for what is new. */
  refresh(announcement: Announcement): Promise<void>
  /** One error text, or undefined. */
  execute(command: Command): Promise<string | undefined>
}

export interface MetaClientOptions {
  /** Of [meta]. */
  readonly directory: string
  readonly scheme: 'http' | 'https'
  readonly dialer: () => Dialer
  /** Undefined: the meta nodes want no authentication, as far as this node knows. */
  readonly secret: string | undefined
  readonly log: (message: string) => void
}

// Who is away refuses at once; who is busy is waited for.
const TIMEOUT_MS = 20_000
const REDIRECTS_MAX = 3

export function createMetaClient(options: MetaClientOptions): MetaClient {
  const { directory, scheme, dialer, secret, log } = options
  const file = join(directory, 'client.json')
  let cached = readCache(file)
  let complaint = ''

  const keep = (next: Cached) => {
    if (JSON.stringify(next) === JSON.stringify(cached)) return
    cached = next
    mkdirSync(directory, { recursive: true })
    writeFileSync(`${file}.tmp`, JSON.stringify(cached))
    renameSync(`${file}.tmp`, file)
  }
  /** Any meta node will do; a follower names its leader where it must be that. */
  const ask = async (path: string, method: string, body?: unknown): Promise<GoAnswer> => {
    let failure = new Error('no meta node is known')
    for (const meta of shuffled(cached.metas)) {
      try {
        return await follow(`${scheme}://${meta}${path}`, method, body)
      } catch (error) {
        failure = new Error(
          `${method} ${scheme}://${meta}${path}: ${error instanceof Error ? error.message : String(error)}`,
        )
      }
    }
    throw failure
  }
  const follow = async (url: string, method: string, body: unknown): Promise<GoAnswer> => {
    const headers = {
      'Content-Type': 'application/json',
      ...(secret === undefined
        ? {}
        : { Authorization: `Bearer ${signToken(secret, 'data', Date.now())}` }),
    }
    let target = url
    for (let redirects = 0; ; redirects++) {
      const call = body === undefined ? {} : { body: JSON.stringify(body) }
      const answer = await dialer().request({
        url: target,
        method,
        headers,
        timeoutMs: TIMEOUT_MS,
        ...call,
      })
      const { location } = answer.headers
      if (answer.status === 307 && location !== undefined && redirects < REDIRECTS_MAX) {
        target = location
        continue
      }
      if (answer.status >= 300) {
        throw new Error(parseAs(Failure, answer.body)?.error ?? answer.body.trim())
      }
      return answer
    }
  }
  return {
    data: () => cached.data,
    join: metas => keep({ ...cached, metas: [...metas] }),
    refresh: async announcement => {
      if (cached.metas.length === 0) return
      try {
        await ask('/announce', 'POST', { announcements: [announcement] })
        const data = parseAs(ClusterData, (await ask('/data', 'GET')).body)
        if (data === undefined) throw new Error('not the metadata of a cluster')
        const metas = data.metas.map(({ httpAddr }) => httpAddr)
        keep({ metas: metas.length > 0 ? metas : cached.metas, data })
        complaint = ''
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        if (message !== complaint) log(`failed to announce to a meta node: ${message}`)
        complaint = message
      }
    },
    execute: async command => {
      try {
        await ask('/execute', 'POST', command)
        const data = parseAs(ClusterData, (await ask('/data', 'GET')).body)
        if (data !== undefined) keep({ ...cached, data })
        return undefined
      } catch (error) {
        return error instanceof Error ? error.message : String(error)
      }
    },
  }
}

function readCache(file: string): Cached {
  const none = { metas: [], data: NO_CLUSTER }
  return existsSync(file) ? (parseAs(Cached, readFileSync(file, 'utf8')) ?? none) : none
}

function shuffled<T>(items: readonly T[]): readonly T[] {
  return items.toSorted(() => Math.random() - 0.5)
}
