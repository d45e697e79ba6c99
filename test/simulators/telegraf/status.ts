// What became of every metric, in a file (SIM_STATUS_FILE) that outlives the process: generated is the
// sum of written, dropped, overflowed, discarded and buffered, for each output.

import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import * as z from 'zod/mini'

const Counters = z.object({
  plugin: z.string(),
  urls: z.array(z.string()),
  written: z.number(),
  /** Given up because of what the server said. */
  dropped: z.number(),
  /** Pushed out of a full buffer. */
  overflowed: z.number(),
  /** Not written when the process stopped, died or loaded its configuration anew. */
  discarded: z.number(),
  buffered: z.number(),
})
export type Counters = z.infer<typeof Counters>

export const TelegrafStatus = z.object({
  pid: z.number(),
  version: z.string(),
  /** Configurations loaded by this process. */
  loads: z.number(),
  /** The number of the last metric. */
  generated: z.number(),
  outputs: z.array(Counters),
})
export type TelegrafStatus = z.infer<typeof TelegrafStatus>

export interface StatusFile {
  readonly status: TelegrafStatus
  /** The counters of the n-th output of the configuration, as of now with these URLs. */
  output(index: number, plugin: string, urls: readonly string[]): Counters
  save(): void
}

export function openStatus(file: string | undefined, version: string): StatusFile {
  const before = file !== undefined && existsSync(file) ? readStatus(file) : undefined
  // What the process before had in its buffers when it died.
  const outputs = (before?.outputs ?? []).map(counters => ({
    ...counters,
    discarded: counters.discarded + counters.buffered,
    buffered: 0,
  }))
  const status = {
    pid: process.pid,
    version,
    loads: 0,
    generated: before?.generated ?? 0,
    outputs,
  }
  return {
    status,
    output: (index, plugin, urls) => {
      const none = { written: 0, dropped: 0, overflowed: 0, discarded: 0, buffered: 0 }
      const counters = outputs[index] ?? { plugin, urls: [], ...none }
      Object.assign(counters, { plugin, urls: [...urls] })
      outputs[index] = counters
      return counters
    },
    save: () => {
      if (file === undefined) return
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(`${file}.tmp`, `${JSON.stringify(status)}\n`)
      renameSync(`${file}.tmp`, file)
    },
  }
}

function readStatus(file: string): TelegrafStatus | undefined {
  try {
    return z.parse(TelegrafStatus, JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    return undefined
  }
}
