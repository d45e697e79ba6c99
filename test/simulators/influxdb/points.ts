// Databases and the points in them, enough to count what was written. They outlive the process: what
// was acknowledged is in a file of the data directory.

import { accessSync, appendFileSync, constants, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod/mini'
import { GoError } from '../go/x509-key-pair.ts'

export interface Points {
  create(database: string): void
  databases(): readonly string[]
  /** The lines that were taken, each with a time, or why some were not. */
  write(database: string, lines: string): readonly string[] | WriteError
  /** Points of a measurement; undefined: there is none of that name. */
  count(database: string, measurement: string): number | undefined
}

export interface WriteError {
  readonly status: number
  readonly message: string
}

const LOG_FILE = 'simulated-points.jsonl'

const Entry = z.object({ database: z.string(), lines: z.optional(z.array(z.string())) })

/** `directory`: of [data]. Throws a GoError where it cannot be used. */
export function openPoints(directory: string): Points {
  const file = join(directory, LOG_FILE)
  const databases = new Map<string, Map<string, Set<string>>>()
  let sequence = 0

  const create = (database: string) => {
    const found = databases.get(database) ?? new Map<string, Set<string>>()
    databases.set(database, found)
    return found
  }
  const add = (database: string, lines: readonly string[]) => {
    const measurements = create(database)
    for (const line of lines) {
      const point = parseLine(line)
      if (point === undefined) continue
      const points = measurements.get(point.measurement) ?? new Set<string>()
      measurements.set(point.measurement, points)
      // The same series at the same time is the same point.
      points.add(`${point.tags} ${point.time}`)
    }
  }
  const record = (entry: z.infer<typeof Entry>) =>
    appendFileSync(file, `${JSON.stringify(entry)}\n`)

  openDirectory(directory)
  for (const { database, lines } of readLog(file)) {
    create(database)
    add(database, lines ?? [])
  }
  return {
    create: database => {
      if (databases.has(database)) return
      create(database)
      record({ database })
    },
    databases: () => [...databases.keys()],
    write: (database, text) => {
      if (!databases.has(database)) {
        return { status: 404, message: `database not found: ${JSON.stringify(database)}` }
      }
      const lines = text.split('\n').filter(line => line.trim() !== '' && !line.startsWith('#'))
      const [taken, bad]: [string[], string[]] = [[], []]
      for (const line of lines) {
        const point = parseLine(line)
        if (point === undefined) bad.push(`unable to parse '${line}': missing fields`)
        else taken.push(point.time === '' ? `${line.trimEnd()} ${nowNs(sequence++)}` : line)
      }
      if (taken.length > 0) {
        record({ database, lines: taken })
        add(database, taken)
      }
      return bad.length === 0 ? taken : { status: 400, message: bad.join('\n') }
    },
    count: (database, measurement) => databases.get(database)?.get(measurement)?.size,
  }
}

function openDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true })
    accessSync(directory, constants.W_OK)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    const why = code === 'EACCES' ? 'permission denied' : String(error)
    throw new GoError(`open tsdb store: mkdir ${directory}: ${why}`)
  }
}

/** The last line may be torn: the machine lost power while it was written, and nobody was told. */
function readLog(file: string): readonly z.infer<typeof Entry>[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8')
    .split('\n')
    .flatMap(line => {
      if (!line.endsWith('}')) return []
      return [z.parse(Entry, JSON.parse(line))]
    })
}

interface Point {
  readonly measurement: string
  readonly tags: string
  readonly time: string
}

/** measurement,tag=value field=value[,…] [time]; blanks and commas inside are escaped. */
function parseLine(line: string): Point | undefined {
  const match =
    /^((?:\\.|[^\s,\\])+)((?:,(?:\\.|[^\\\s])+)?) ((?:"(?:\\.|[^"])*"|\\.|[^\s"])+)(?: (-?\d+))?\s*$/.exec(
      line,
    )
  if (match === null || !match[3]?.includes('=')) return undefined
  const [, measurement = '', tags = '', , time = ''] = match
  return { measurement, tags, time }
}

/** Milliseconds and a number of its own: points of one moment stay apart. */
function nowNs(sequence: number): string {
  return `${Date.now()}${String(sequence % 1_000_000).padStart(6, '0')}`
}
