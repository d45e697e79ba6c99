// One program, run to its end: no shell, an environment that is given, a timeout, a limit on what is
// kept of its output.

import { execFile } from 'node:child_process'
import { isAbsolute } from 'node:path'
import { assert } from '../../shared/assert.ts'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import type { Secret } from '../../shared/secret.ts'
import type { CommandResult } from '../host.ts'

/** What a program may say on either stream before it is ended; checkers say a few lines. */
export const OUTPUT_BYTES_MAX = 1024 * 1024

/** The environment of every program that we start. */
export const PLAIN_ENVIRONMENT: Readonly<Record<string, string>> = { LC_ALL: 'C' }

export interface ProgramOptions {
  readonly timeoutMs: number
  readonly environment?: Readonly<Record<string, string>>
  /** Another user to run as; undefined: this process's own. */
  readonly ids?: { readonly uid: number; readonly gid: number } | undefined
  /** What it reads; undefined: nothing. */
  readonly stdin?: Secret | undefined
  /** Ends it. */
  readonly signal?: AbortSignal | undefined
  /** Of each stream; more of it ends the program. */
  readonly outputBytesMax?: number
}

/** Throws `command-missing`, `command-timeout`, `command-failed-to-start`, `interrupted`. */
export function runProgram(
  argv: readonly string[],
  program: ProgramOptions,
): Promise<CommandResult> {
  const { timeoutMs, environment = PLAIN_ENVIRONMENT, ids, stdin, signal } = program
  const [file = '', ...rest] = argv
  assert(isAbsolute(file), `a program is named by its absolute path: ${file}`)
  const options = {
    env: { ...environment },
    timeout: timeoutMs,
    maxBuffer: program.outputBytesMax ?? OUTPUT_BYTES_MAX,
    killSignal: 'SIGKILL',
    cwd: '/',
    ...(signal === undefined ? {} : { signal }),
    ...ids,
  } as const
  return new Promise((resolve, reject) => {
    const child = execFile(file, rest, options, (error, stdout, stderr) => {
      if (error === null) return resolve({ code: 0, stdout, stderr })
      const errno = systemErrorCode(error)
      if (errno === 'ABORT_ERR') reject(new OperationalError('interrupted', 'interrupted'))
      else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr })
      else if (errno === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER')
        resolve({ code: undefined, stdout, stderr })
      else if (errno !== undefined) reject(notStarted(file, errno, error))
      else if (error.killed === true) reject(tooLate(file, timeoutMs, stderr))
      else resolve({ code: undefined, stdout, stderr })
    })
    // It ends here, so that no program waits for more; one that ended already is no error.
    child.stdin?.on('error', () => {})
    child.stdin?.end(stdin?.reveal() ?? '')
  })
}

function notStarted(file: string, errno: string, cause: unknown): OperationalError {
  const details = { file, errno }
  if (errno === 'ENOENT')
    return new OperationalError('command-missing', `could not run ${file}`, { details, cause })
  return new OperationalError('command-failed-to-start', `could not start ${file}`, {
    retryable: errno === 'EAGAIN' || errno === 'ENOMEM' || errno === 'EMFILE',
    details,
    cause,
  })
}

function tooLate(file: string, timeoutMs: number, stderr: string): OperationalError {
  return new OperationalError('command-timeout', `${file} did not end within ${timeoutMs} ms`, {
    retryable: true,
    details: { file, timeoutMs, stderr: stderr.slice(-1000) },
  })
}
