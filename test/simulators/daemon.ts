// A program under test that runs until it is told to end.

import { spawn } from 'node:child_process'
import { until } from '../lab/until.ts'

export interface Daemon {
  readonly pid: number
  output(): string
  /** `exit 1`, or `SIGHUP`. */
  readonly ended: Promise<string>
  signal(signal: NodeJS.Signals): void
  /** SIGTERM, and waits. */
  stop(): Promise<void>
}

export interface DaemonOptions {
  readonly argv: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
}

export function startDaemon({ argv, env = {}, cwd }: DaemonOptions): Daemon {
  const [command = '', ...rest] = argv
  const child = spawn(command, rest, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
  let text = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
  }
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve(signal ?? `exit ${code}`))
  })
  return {
    pid: child.pid ?? 0,
    output: () => text,
    ended,
    signal: signal => void child.kill(signal),
    stop: async () => {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Waits for a line of its output; fails at once where it has ended without it. */
export async function untilPrinted(daemon: Daemon, text: string | RegExp): Promise<void> {
  let ended: string | undefined
  void daemon.ended.then(how => {
    ended = how
  })
  const printed = () =>
    typeof text === 'string' ? daemon.output().includes(text) : text.test(daemon.output())
  await until(() => printed() || ended !== undefined, { what: `${text} is printed`, everyMs: 20 })
  if (!printed()) throw new Error(`ended (${ended}) without ${text}: ${daemon.output()}`)
}
