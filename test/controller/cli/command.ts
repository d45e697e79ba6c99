// Runs `tlsfleet`: in this process with a terminal that records, or as the program that people run.

import { spawn } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { run } from '../../../controller/cli/main.ts'
import type { Terminal } from '../../../controller/cli/output.ts'
import type { Clock } from '../../../shared/clock.ts'
import { NOW_MS } from './views.ts'

export interface Outcome {
  readonly code: number
  readonly out: string
  readonly err: string
}

export interface Surroundings {
  readonly config: string
  readonly input?: string
  /** What a person types when asked; undefined: there is nobody. */
  readonly typed?: string
  /** What a person types when asked for a secret. */
  readonly typedSecretly?: string
  readonly columns?: number
  /** Default: NOW_MS. */
  readonly nowMs?: number
  readonly environment?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
  /** Sees every text as it is printed. */
  readonly onText?: (text: string) => void
}

export async function tlsfleet(
  argv: readonly string[],
  surroundings: Surroundings,
): Promise<Outcome> {
  const {
    config,
    input = '',
    typed,
    typedSecretly,
    columns,
    environment = {},
    onText,
  } = surroundings
  let out = ''
  let err = ''
  const terminal: Terminal = {
    out: printed => {
      out += printed
      onText?.(printed)
    },
    err: printed => {
      err += printed
      onText?.(printed)
    },
    canAsk: typed !== undefined,
    errorIsTerminal: false,
    size: columns === undefined ? undefined : { columns, rows: 4 },
    ask: async question => {
      err += question
      return typed ?? ''
    },
    askSecretly: async question => {
      err += question
      return typedSecretly ?? ''
    },
    readInput: async () => input,
  }
  const code = await run(argv, {
    terminal,
    environment: { TLSFLEET_CONFIG: config, ...environment },
    clock: stillClock(surroundings.nowMs ?? NOW_MS),
    signal: surroundings.signal ?? new AbortController().signal,
  })
  return { code, out, err }
}

/** Stands still; sleeping takes no time. */
function stillClock(nowMs: number): Clock {
  return { now: () => nowMs, monotonic: () => 0, sleep: async () => {} }
}

const PROGRAM = join(import.meta.dirname, '../../../controller/cli/main.ts')

export async function tlsfleetProgram(
  argv: readonly string[],
  { config, input = '' }: { readonly config: string; readonly input?: string },
): Promise<Outcome> {
  const child = spawn(process.execPath, [PROGRAM, ...argv], {
    env: { TLSFLEET_CONFIG: config, PATH: process.env['PATH'] },
    stdio: 'pipe',
  })
  child.stdin.end(input)
  const ended = new Promise<number>(resolve => child.once('close', code => resolve(code ?? -1)))
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, out, err }
}

/** The text that `actual` must be; written anew with UPDATE_GOLDEN=1, for a person to review. */
export function golden(name: string, actual: string): string {
  const path = join(import.meta.dirname, 'golden', `${name}.txt`)
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(path, actual)
  return readFileSync(path, 'utf8')
}
