// READY=1 for the service manager. Node has no datagram sockets of the local kind, so another program
// sends it: the unit of the package allows that, NotifyAccess=all.

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'

const SYSTEMD_NOTIFY = '/usr/bin/systemd-notify'
// For machines without systemd.
const PERL = `socket(S, AF_UNIX, SOCK_DGRAM, 0) or die;
  ($n = $ENV{NOTIFY_SOCKET}) =~ s/^@/\\0/; send(S, "READY=1", 0, pack_sockaddr_un($n)) or die`
const TIMEOUT_MS = 10_000

/** Nothing happens where nobody wants to know. */
export function notifyReady(socket: string | undefined): Promise<void> {
  if (socket === undefined || socket === '') return Promise.resolve()
  const [program, argv] = existsSync(SYSTEMD_NOTIFY)
    ? [SYSTEMD_NOTIFY, ['READY=1']]
    : ['perl', ['-MSocket', '-e', PERL]]
  return new Promise((resolve, reject) => {
    const env = { PATH: process.env['PATH'], LC_ALL: 'C', NOTIFY_SOCKET: socket }
    execFile(program, argv, { env, timeout: TIMEOUT_MS }, error =>
      error === null ? resolve() : reject(error),
    )
  })
}
