// The documents of one copy of an index, in memory and as a log of operations on disk.

import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

export const Operation = z.object({
  id: z.string(),
  /** The later one of two operations on a document; from 1. */
  seq: z.number(),
  /** Undefined: deleted. */
  source: z.record(z.string(), z.unknown()).optional(),
})
export type Operation = z.infer<typeof Operation>

export interface Documents {
  /** An operation that is older than what is there is left out. */
  apply(operations: readonly Operation[]): void
  get(id: string): Operation | undefined
  /** Not deleted, by number. */
  live(): readonly Operation[]
  all(): readonly Operation[]
  nextSeq(): number
  clear(): void
}

/** Loads what the directory has of the index. */
export function openDocuments(data: string, uuid: string): Documents {
  const directory = join(data, 'indices', uuid)
  const file = join(directory, 'operations.jsonl')
  const documents = new Map<string, Operation>()
  let last = 0
  const remember = (operation: Operation) => {
    const known = documents.get(operation.id)
    if (known !== undefined && known.seq >= operation.seq) return false
    documents.set(operation.id, operation)
    last = Math.max(last, operation.seq)
    return true
  }
  mkdirSync(directory, { recursive: true })
  if (existsSync(file)) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      // A line that was cut off by a loss of power was never acknowledged.
      const operation = parseLine(line)
      if (operation !== undefined) remember(operation)
    }
  }
  return {
    apply: operations => {
      const lines = operations
        .filter(remember)
        .map(operation => `${JSON.stringify(operation)}\n`)
        .join('')
      if (lines !== '') appendFileSync(file, lines)
    },
    get: id => {
      const found = documents.get(id)
      return found?.source === undefined ? undefined : found
    },
    live: () => [...documents.values()].filter(({ source }) => source !== undefined),
    all: () => [...documents.values()],
    nextSeq: () => ++last,
    clear: () => {
      documents.clear()
      last = 0
      writeFileSync(file, '')
    },
  }
}

export function deleteDocuments(data: string, uuid: string): void {
  rmSync(join(data, 'indices', uuid), { recursive: true, force: true })
}

function parseLine(line: string): Operation | undefined {
  if (line === '') return undefined
  try {
    return Operation.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}
