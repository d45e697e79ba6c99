// The agent of Telegraf between two loads of its configuration: an input that makes numbered metrics,
// a buffer for each output, flushes, and the last flush when it stops.

import { setTimeout as sleep } from 'node:timers/promises'
import { type Buffer, createBuffer } from './buffer.ts'
import { count, durationMs, type TelegrafConfig } from './config-file.ts'
import { type Log, messageOf, type Output } from './output.ts'
import { createInfluxdbOutput } from './output-influxdb.ts'
import { createInfluxdbV2Output } from './output-influxdb-v2.ts'
import { ConfigError } from './plugins.ts'
import type { Counters, StatusFile } from './status.ts'

export interface Agent {
  /** Resolves after the last flush. */
  run(signal: AbortSignal): Promise<void>
  /** One gather, one flush; what could not be written. */
  once(): Promise<number>
  gather(): readonly string[]
}

export interface AgentOptions {
  readonly config: TelegrafConfig
  readonly outputs: readonly Output[]
  readonly version: string
  readonly status: StatusFile
  readonly log: Log
  readonly random: () => number
  readonly metricsPerInterval: number
  readonly connectRetryMs: number
}

/** Makes the outputs; from 1.22 on that reads what TLS needs. Throws a ConfigError. */
export function createOutputs(
  config: TelegrafConfig,
  version: string,
  log: Log,
): readonly Output[] {
  return config.outputs.flatMap(({ plugin, options }) => {
    const given = { options, version, log, random: Math.random }
    switch (plugin) {
      case 'influxdb':
        return [createInfluxdbOutput(given)]
      case 'influxdb_v2':
        return [createInfluxdbV2Output(given)]
      default:
        // Of the others only the configuration is read.
        return []
    }
  })
}

interface Running {
  readonly output: Output
  readonly buffer: Buffer
  readonly counters: Counters
  readonly flushMs: () => number
  readonly batchSize: number
  lastWriteFailed: boolean
  writing: Promise<void>
}

export function createAgent(options: AgentOptions): Agent {
  const { config, status, log, random } = options
  const { agent } = config
  const blocks = config.outputs.filter(({ plugin }) => plugin.startsWith('influxdb'))
  const running = options.outputs.map((output, index): Running => {
    const own = blocks[index]?.options ?? {}
    const flushIntervalMs = durationMs(own, 'flush_interval', agent.flushIntervalMs)
    const jitterMs = durationMs(own, 'flush_jitter', agent.flushJitterMs)
    return {
      output,
      buffer: createBuffer(count(own, 'metric_buffer_limit', agent.bufferLimit)),
      counters: status.output(index, output.plugin, output.urls),
      flushMs: () => flushIntervalMs + jitterMs * random(),
      batchSize: count(own, 'metric_batch_size', agent.batchSize),
      lastWriteFailed: false,
      writing: Promise.resolve(),
    }
  })

  /** Batch by batch, until one fails. */
  async function write(of: Running): Promise<void> {
    const batches = Math.floor(of.buffer.length() / of.batchSize) + 1
    for (let i = 0; i < batches; i++) {
      const lines = of.buffer.batch(of.batchSize)
      if (lines.length === 0) break
      const result = await of.output.write(lines)
      of.lastWriteFailed = result.kind === 'kept'
      if (result.kind === 'kept') {
        log('E', `[agent] Error writing to outputs.${of.output.plugin}: ${result.error}`)
        break
      }
      const before = of.buffer.length()
      of.buffer.remove(lines)
      // Those that overflow had pushed out meanwhile are counted there already.
      of.counters[result.kind] += before - of.buffer.length()
    }
    of.counters.buffered = of.buffer.length()
    status.save()
  }

  function flush(of: Running): Promise<void> {
    of.writing = of.writing.then(() => write(of))
    return of.writing
  }

  function gather(): readonly string[] {
    const tags = Object.entries({
      ...config.tags,
      ...(agent.omitHostname ? {} : { host: agent.hostname }),
    }).map(([name, value]) => `,${escape(name)}=${escape(value)}`)
    const lines: string[] = []
    for (let i = 0; i < options.metricsPerInterval; i++) {
      const number = ++status.status.generated
      // A time of its own for each, or they would be one point.
      const timeNs = `${Date.now()}${String(number % 1_000_000).padStart(6, '0')}`
      lines.push(`numbered${tags.join('')} n=${number}i ${timeNs}`)
    }
    return lines
  }

  function collect(): void {
    const lines = gather()
    for (const of of running) {
      const lost = of.buffer.add(lines)
      of.counters.overflowed += lost
      of.counters.buffered = of.buffer.length()
      if (lost > 0)
        log(
          'W',
          `[outputs.${of.output.plugin}] Metric buffer overflow; ${lost} metrics have been dropped`,
        )
      if (of.buffer.length() >= of.batchSize && !of.lastWriteFailed) void flush(of)
    }
    status.save()
  }

  /** A second try after a while, then Telegraf gives up. */
  async function connect(signal: AbortSignal): Promise<void> {
    for (const { output } of running) {
      try {
        await output.connect()
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        const name = `outputs.${output.plugin}`
        const why = JSON.stringify(error.message)
        log('E', `[agent] Failed to connect to [${name}], retrying in 15s, error was ${why}`)
        await sleep(options.connectRetryMs, undefined, { signal })
        await output.connect().catch((again: unknown) => {
          const what = `error connecting to output ${JSON.stringify(name)}: ${messageOf(again)}`
          throw new ConfigError(`connecting output ${name}: ${what}`, { cause: again })
        })
      }
    }
  }

  async function every(delayMs: () => number, run: () => unknown, signal: AbortSignal) {
    while (!signal.aborted) {
      await sleep(delayMs(), undefined, { signal }).catch(() => {})
      if (!signal.aborted) await run()
    }
  }

  return {
    gather,
    once: async () => {
      await connect(new AbortController().signal)
      collect()
      for (const of of running) await flush(of)
      return running.reduce((sum, { buffer }) => sum + buffer.length(), 0)
    },
    run: async signal => {
      await connect(signal)
      const untilNextMs = () =>
        agent.roundInterval ? agent.intervalMs - (Date.now() % agent.intervalMs) : agent.intervalMs
      await Promise.all([
        every(untilNextMs, collect, signal),
        ...running.map(of => every(of.flushMs, () => flush(of), signal)),
      ])
      for (const of of running) {
        await flush(of)
        of.counters.discarded += of.buffer.length()
        of.counters.buffered = 0
        of.output.close()
      }
      status.save()
    },
  }
}

/** Of tags in line protocol. */
function escape(text: string): string {
  return text.replace(/[,= ]/g, '\\$&')
}
