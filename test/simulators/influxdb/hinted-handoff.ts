// Writes that another data node did not take: kept on disk, one queue a node, and sent again until it does.

import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { parseAs, RemoteWrite } from '../influxdb-meta/wire.ts'

export interface HintedHandoff {
  add(node: string, write: RemoteWrite): void
  /** Writes that wait, of all nodes. */
  queued(): number
  /** Since the start. */
  counters(): { readonly queuedTotal: number; readonly sentTotal: number }
  stop(): void
}

export interface HintedHandoffOptions {
  readonly directory: string
  readonly retryMs: number
  readonly retryMaxMs: number
  /** Rejects where the node did not take it. */
  readonly send: (node: string, write: RemoteWrite) => Promise<void>
}

interface Queue {
  readonly file: string
  writes: RemoteWrite[]
  delayMs: number
}

export function openHintedHandoff(options: HintedHandoffOptions): HintedHandoff {
  const { directory, retryMs, retryMaxMs, send } = options
  const queues = new Map<string, Queue>()
  const timers = new Map<string, NodeJS.Timeout>()
  let [queuedTotal, sentTotal] = [0, 0]

  const queueOf = (node: string): Queue => {
    const file = join(directory, `${encodeURIComponent(node)}.jsonl`)
    const queue = queues.get(node) ?? { file, writes: readQueue(file), delayMs: retryMs }
    queues.set(node, queue)
    return queue
  }
  const schedule = (node: string, queue: Queue) => {
    if (timers.has(node) || queue.writes.length === 0) return
    timers.set(
      node,
      setTimeout(() => void drain(node, queue), queue.delayMs),
    )
  }
  const drain = async (node: string, queue: Queue) => {
    try {
      for (let write = queue.writes[0]; write !== undefined; write = queue.writes[0]) {
        await send(node, write)
        queue.writes.shift()
        sentTotal++
      }
      queue.delayMs = retryMs
    } catch {
      queue.delayMs = Math.min(queue.delayMs * 2, retryMaxMs)
    }
    writeFileSync(queue.file, queue.writes.map(write => `${JSON.stringify(write)}\n`).join(''))
    timers.delete(node)
    schedule(node, queue)
  }

  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    const node = decodeURIComponent(name.replace(/\.jsonl$/, ''))
    schedule(node, queueOf(node))
  }
  return {
    add: (node, write) => {
      const queue = queueOf(node)
      queue.writes.push(write)
      mkdirSync(directory, { recursive: true })
      appendFileSync(queue.file, `${JSON.stringify(write)}\n`)
      queuedTotal++
      schedule(node, queue)
    },
    queued: () => [...queues.values()].reduce((sum, { writes }) => sum + writes.length, 0),
    counters: () => ({ queuedTotal, sentTotal }),
    stop: () => timers.forEach(timer => clearTimeout(timer)),
  }
}

function readQueue(file: string): RemoteWrite[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap(line => parseAs(RemoteWrite, line) ?? [])
}
