// What this process tells its own service manager. Node has no datagram sockets of the local kind,
// so systemd's own program sends it; it waits until the manager has read it.

import { existsSync } from 'node:fs'
import { runProgram } from './run-program.ts'

export interface Notifier {
  /** Ping the watchdog at least this often; undefined: there is none. */
  readonly watchdogIntervalMs: number | undefined
  ready(status: string): Promise<void>
  status(status: string): Promise<void>
  stopping(status: string): Promise<void>
  /** Only from the heartbeat of the loop, or it proves nothing. */
  watchdog(): Promise<void>
}

export interface NotifierOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly program?: string
}

const TIMEOUT_MS = 5_000

/** Does nothing where the process was not started by a manager that wants to know. */
export function createNotifier({
  environment,
  program = '/usr/bin/systemd-notify',
}: NotifierOptions): Notifier {
  const socket = environment['NOTIFY_SOCKET']
  const listening = socket !== undefined && existsSync(program)

  async function send(...assignments: readonly string[]): Promise<void> {
    if (!listening) return
    await runProgram([program, ...assignments], {
      timeoutMs: TIMEOUT_MS,
      environment: { LC_ALL: 'C', NOTIFY_SOCKET: socket },
    })
  }

  return {
    watchdogIntervalMs: listening ? watchdogInterval(environment) : undefined,
    ready: status => send('READY=1', statusOf(status)),
    status: status => send(statusOf(status)),
    stopping: status => send('STOPPING=1', statusOf(status)),
    watchdog: () => send('WATCHDOG=1'),
  }
}

/** Half of what the manager waits, as sd_watchdog_enabled(3) recommends. */
function watchdogInterval({
  WATCHDOG_USEC: us = '',
  WATCHDOG_PID: pid,
}: Readonly<Record<string, string | undefined>>): number | undefined {
  if (!/^[1-9]\d{0,15}$/.test(us)) return undefined
  if (pid !== undefined && pid !== '' && pid !== String(process.pid)) return undefined
  return Math.max(1, Math.floor(Number(us) / 2000))
}

// One line, as the protocol wants it.
function statusOf(status: string): string {
  return `STATUS=${status.replaceAll(/\s+/g, ' ').slice(0, 200)}`
}
