// One command, its whole output and its exit code; a failing command is a value, not an error.

import { spawn } from 'node:child_process'
import { constants } from 'node:os'

export interface RunOptions {
  readonly input?: string
  readonly timeoutMs?: number
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
}

export interface Outcome {
  readonly stdout: string
  readonly stderr: string
  /** 128 + the signal's number where a signal ended it, as a shell says it. */
  readonly code: number
}

// Output beyond this is a runaway; it must not fill the memory of the test.
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024
const TIMEOUT_MS = 180_000

/** Throws where the command could not be started or took longer than its time. */
export function runCommand(
  file: string,
  argv: readonly string[],
  { input, timeoutMs = TIMEOUT_MS, env, cwd }: RunOptions = {},
): Promise<Outcome> {
  const child = spawn(file, argv, {
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    ...(env === undefined ? {} : { env }),
    ...(cwd === undefined ? {} : { cwd }),
  })
  const text = { stdout: '', stderr: '' }
  let late = false
  const kill = () => child.kill('SIGKILL')
  const timer = setTimeout(() => {
    late = true
    kill()
  }, timeoutMs)

  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk
      if (text[name].length > OUTPUT_BYTES_MAX) kill()
    })
  }
  // A command that ends without reading its input is not a failure of this program.
  child.stdin?.on('error', () => {})
  child.stdin?.end(input)

  return new Promise((resolve, reject) => {
    child.once('error', error => {
      clearTimeout(timer)
      reject(error)
    })
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      const outcome = { ...text, code: code ?? 128 + signalNumber(signal) }
      if (late)
        reject(
          new Error(`${file} ${argv.join(' ')}: no end within ${timeoutMs} ms: ${text.stderr}`),
        )
      else resolve(outcome)
    })
  })
}

export function describeOutcome(what: string, outcome: Outcome): string {
  const said = [outcome.stderr.trim(), outcome.stdout.trim()].filter(text => text !== '').join('\n')
  return `${what}: exit ${outcome.code}: ${said.slice(-2000)}`
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : (constants.signals[signal] ?? 0)
}
