// What the controller tells its service manager. Node has no datagram sockets of the unix family, so
// systemd's own program says it.

import { execFile } from 'node:child_process'

export interface ServiceManagerOptions {
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly failed: (reason: string) => void
  readonly program?: string
}

const TIMEOUT_MS = 5_000

/** Ready now, and alive for as long as timers fire: a loop that hangs is seen by the watchdog. Returns its end. */
export function tellServiceManager({
  environment,
  failed,
  program = '/usr/bin/systemd-notify',
}: ServiceManagerOptions): () => void {
  const socket = environment['NOTIFY_SOCKET']
  if (socket === undefined || socket === '') return () => {}
  const tell = (...argv: readonly string[]) => {
    const env = { NOTIFY_SOCKET: socket, LC_ALL: 'C' }
    execFile(program, argv, { env, timeout: TIMEOUT_MS }, error => {
      if (error !== null) failed(error.message)
    })
  }
  tell('--ready', `--pid=${process.pid}`)

  const waits = Number(environment['WATCHDOG_USEC'] ?? 0) / 1000
  if (!(waits > 0)) return () => {}
  // Half of what the manager waits, as sd_watchdog_enabled(3) recommends.
  const timer = setInterval(() => tell('WATCHDOG=1'), waits / 2)
  return () => clearInterval(timer)
}
