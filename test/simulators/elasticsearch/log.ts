// Lines as Elasticsearch's own, on standard output and in the log of the cluster.

import { appendFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

export type Level = 'DEBUG' | 'INFO' | 'WARN' | 'ERROR' | 'CRITICAL'
export type Log = (level: Level, logger: string, message: string) => void

export interface LogOptions {
  readonly node: string
  /** Undefined: standard output only. */
  readonly directory: string | undefined
  readonly cluster: string
}

export function createLog({ node, directory, cluster }: LogOptions): Log {
  const file = directory === undefined ? undefined : join(directory, `${cluster}.log`)
  if (directory !== undefined) mkdirSync(directory, { recursive: true })
  return (level, logger, message) => {
    const time = new Date().toISOString().replace('.', ',').slice(0, 23)
    const line = `[${time}][${level.padEnd(5)}][${logger.padEnd(25)}] [${node}] ${message}\n`
    process.stdout.write(line)
    if (file !== undefined) appendFileSync(file, line)
  }
}
