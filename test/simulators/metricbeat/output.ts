// output.elasticsearch: its settings, and a worker for each host that connects with GET and publishes
// with _bulk.

import { setTimeout as sleep } from 'node:timers/promises'
import * as z from 'zod/mini'
import {
  type Connection,
  createConnection,
  type Credentials,
  makeUrl,
  StatusError,
} from './connection.ts'
import type { Log } from './log.ts'
import type { Batch, Event, Queue } from './queue.ts'
import { durationAt, type Tls, type TlsOptions, type TlsSettings, tlsSettingsOf } from './tls.ts'
import { isOn, numberAt, type Settings, settingsAt, textAt, textsAt } from './ucfg.ts'

export interface OutputSettings {
  readonly urls: readonly string[]
  readonly credentials: Credentials
  readonly tls: TlsSettings | undefined
  readonly timeoutMs: number
  readonly maxRetries: number
  readonly batchSize: number
  readonly index: string
  readonly backoff: { readonly initMs: number; readonly maxMs: number }
}

export function outputSettingsOf(output: Settings, options: TlsOptions): OutputSettings {
  const protocol = textAt(output, 'protocol') ?? 'http'
  const hosts = textsAt(output, 'hosts')
  const workers = numberAt(output, 'worker') ?? 1
  const urls = (hosts.length === 0 ? ['localhost:9200'] : hosts).map(host =>
    makeUrl(host, protocol, textAt(output, 'path') ?? '', 9200),
  )
  return {
    urls: urls.flatMap(url => Array.from({ length: workers }, () => url)),
    credentials: credentialsOf(output),
    tls: tlsSettingsOf(output, options),
    timeoutMs: durationAt(output, 'timeout', 90_000),
    maxRetries: numberAt(output, 'max_retries') ?? 3,
    batchSize: numberAt(output, 'bulk_max_size') ?? 1600,
    index: textAt(output, 'index') ?? `metricbeat-${options.version}`,
    backoff: {
      initMs: durationAt(output, 'backoff.init', 1_000),
      maxMs: durationAt(output, 'backoff.max', 60_000),
    },
  }
}

export function credentialsOf(settings: Settings): Credentials {
  return {
    username: textAt(settings, 'username'),
    password: textAt(settings, 'password'),
    apiKey: textAt(settings, 'api_key'),
  }
}

export function connectionsOf(settings: OutputSettings, tls: Tls): readonly Connection[] {
  return settings.urls.map(url => createConnection({ ...settings, url }, tls))
}

/** The version that Elasticsearch says it has. Rejects with why there is no connection. */
export async function connectTo(connection: Connection): Promise<string> {
  const { body } = await connection.request('GET', '')
  const info = Info.safeParse(JSON.parse(body))
  return info.success ? info.data.version.number : ''
}

const Info = z.object({ version: z.object({ number: z.string() }) })

/** Runs until the process ends. */
export async function work(
  connection: Connection,
  queue: Queue,
  { settings, log }: { readonly settings: OutputSettings; readonly log: Log },
): Promise<void> {
  const name = `backoff(elasticsearch(${connection.url}))`
  const connecting = backoff(settings.backoff)
  const publishing = backoff(settings.backoff)
  let connected = false
  let attempts = 0
  for (;;) {
    const batch = await queue.take()
    if (connected) {
      connected = await publish(connection, batch, { queue, settings, log })
      await publishing(connected)
      continue
    }
    // Others may have it meanwhile; nothing of its retries is used up.
    queue.cancelled(batch)
    const again = `Attempting to reconnect to ${name} with ${attempts} reconnect attempt(s)`
    log('info', attempts === 0 ? `Connecting to ${name}` : again)
    try {
      await connectTo(connection)
      connected = true
      attempts = 0
      log('info', `Connection to ${name} established`)
    } catch (error) {
      attempts++
      log('error', `Failed to connect to ${name}: ${error instanceof Error ? error.message : ''}`)
    }
    await connecting(connected)
  }
}

/** False: the connection is to be made anew. */
async function publish(
  connection: Connection,
  batch: Batch,
  {
    queue,
    settings,
    log,
  }: { readonly queue: Queue; readonly settings: OutputSettings; readonly log: Log },
): Promise<boolean> {
  const action = JSON.stringify({ create: { _index: settings.index } })
  const lines = batch.events.map(event => `${action}\n${JSON.stringify(event.body)}\n`)
  try {
    const { body } = await connection.request('POST', '/_bulk', lines.join(''))
    const { items } = BulkAnswer.parse(JSON.parse(body))
    const { left, refused } = judge(batch.events, items, log)
    queue.done(batch, { left, refused })
    if (left.length === 0) return true
    log('error', 'failed to publish events: temporary bulk send failure')
  } catch (error) {
    queue.done(batch, { left: batch.events, refused: 0 })
    const why = error instanceof Error ? error.message : String(error)
    if (!(error instanceof StatusError))
      log('error', `failed to perform any bulk index operations: ${why}`)
    log('error', `failed to publish events: ${why}`)
  }
  return false
}

const BulkAnswer = z.object({
  items: z.array(z.record(z.string(), z.object({ status: z.number() }))),
})

/** Taken, or there already; to be tried again; or refused for good. */
function judge(
  events: readonly Event[],
  items: z.infer<typeof BulkAnswer>['items'],
  log: Log,
): { readonly left: readonly Event[]; readonly refused: number } {
  const left: Event[] = []
  let refused = 0
  for (const [index, event] of events.entries()) {
    const status = Object.values(items[index] ?? {})[0]?.status ?? 500
    if (status < 300 || status === 409) continue
    if (status >= 500 || status === 429) {
      left.push(event)
    } else {
      refused++
      log('warn', `Cannot index event (status=${status}): dropping event!`)
    }
  }
  return { left, refused }
}

/** Waits after a failure: the double of the last time, less a random part of up to a half. */
function backoff({ initMs, maxMs }: OutputSettings['backoff']): (fine: boolean) => Promise<void> {
  let waitMs = initMs
  return async fine => {
    if (fine) {
      waitMs = initMs
      return
    }
    await sleep(waitMs / 2 + (Math.random() * waitMs) / 2)
    waitMs = Math.min(waitMs * 2, maxMs)
  }
}

export interface QueueSettings {
  readonly capacity: number
}

export function queueSettingsOf(settings: Settings): QueueSettings {
  return { capacity: numberAt(settings, 'queue.mem.events') ?? 3200 }
}

/** The one output that is enabled, by its name. */
export function outputsOf(settings: Settings): readonly string[] {
  const outputs = settingsAt(settings, 'output')
  return Object.keys(outputs).filter(name => isOn(settingsAt(outputs, name), 'enabled', true))
}
