// The processes of a sandbox's units: real ones of this machine, each in a process group of its own,
// that end with the supervisor however that ends.

import { type ChildProcess, spawn } from 'node:child_process'
import { accessSync, closeSync, constants as fs, existsSync, openSync, readFileSync } from 'node:fs'
import { constants, userInfo } from 'node:os'
import { join } from 'node:path'

export type Exit =
  | { readonly code: 'exited'; readonly status: number }
  | { readonly code: 'killed'; readonly status: number }

export interface UnitProcess {
  readonly pid: number
  readonly exited: Promise<Exit>
}

export interface ProcessOptions {
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly directory: string
  readonly user: string
  readonly group: string
  /** Standard output and error are appended to it. */
  readonly logFile: string
}

// What systemd itself exits with where a command cannot be run: see systemd.exec(5), EXIT_*.
const EXIT_EXEC = 203
const EXIT_USER = 217

/** Runs a command; where systemd could not, the exit says so as systemd's would. */
export function startProcess(options: ProcessOptions): UnitProcess {
  const [path = ''] = options.argv
  const file = path.startsWith('/') ? path : lookUp(path)
  if (!isExecutable(file)) return { pid: 0, exited: exitLater(EXIT_EXEC) }
  const identity = identityOptions(options)
  if (identity === undefined) return { pid: 0, exited: exitLater(EXIT_USER) }

  const log = openSync(options.logFile, 'a')
  // The kernel kills the command when the supervisor is gone, even by SIGKILL.
  const wrapper = SETPRIV === undefined ? [] : [SETPRIV, '--pdeathsig', 'KILL', ...identity, '--']
  const [command = '', ...rest] = [...wrapper, file, ...options.argv.slice(1)]
  const child = spawn(command, rest, {
    cwd: options.directory,
    env: options.environment,
    stdio: ['ignore', log, log],
    detached: true,
  })
  closeSync(log)
  return { pid: child.pid ?? 0, exited: exitOf(child) }
}

function exitOf(child: ChildProcess): Promise<Exit> {
  return new Promise(resolve => {
    child.once('error', () => resolve({ code: 'exited', status: EXIT_EXEC }))
    child.once('exit', (status, signal) => {
      if (signal === null) resolve({ code: 'exited', status: status ?? 0 })
      else resolve({ code: 'killed', status: constants.signals[signal] })
    })
  })
}

function exitLater(status: number): Promise<Exit> {
  return new Promise(resolve => setImmediate(() => resolve({ code: 'exited', status })))
}

/** Options of setpriv for `User=` and `Group=`; undefined where there is no such user to become. */
function identityOptions({ user, group }: ProcessOptions): readonly string[] | undefined {
  const me = userInfo()
  if (user === '' || user === me.username || user === String(me.uid)) return []
  // name:password:uid:gid:…
  const account = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map(line => line.split(':'))
    .find(([name]) => name === user)
  if (me.uid !== 0 || SETPRIV === undefined || account === undefined) return undefined
  return ['--reuid', user, '--regid', group === '' ? (account[3] ?? '') : group, '--init-groups']
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, fs.X_OK)
    return true
  } catch {
    return false
  }
}

/** systemd looks for a bare name in a fixed list of directories. */
function lookUp(name: string): string {
  return SEARCH_PATH.map(directory => join(directory, name)).find(existsSync) ?? `/usr/bin/${name}`
}

export const SEARCH_PATH = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
]

// Part of util-linux; elsewhere the commands only end with an orderly end of the supervisor.
const SETPRIV = SEARCH_PATH.map(directory => join(directory, 'setpriv')).find(existsSync)

/** To the whole process group; nothing happens where it is gone. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  if (pid > 0) signalProcess(-pid, signal)
}

/** False where there is no such process. */
export function signalProcess(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal)
  } catch {
    return false
  }
}

/**
 * What Type=notify needs and Node cannot do: a datagram socket. Resolves with the name for
 * NOTIFY_SOCKET, in the abstract namespace; `onReady` is called for each READY=1.
 */
export function listenForReady(
  onReady: () => void,
): Promise<{ readonly name: string; close(): void }> {
  const name = `tlsfleet-sandbox-${process.pid}-${listeners++}`
  const child = spawn('perl', ['-MSocket', '-e', LISTENER, name], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.stdout.setEncoding('utf8').on('data', (lines: string) => {
      if (lines.includes('LISTENING\n')) resolve({ name: `@${name}`, close: () => child.kill() })
      if (/^READY=1$/m.test(lines)) onReady()
    })
  })
}

let listeners = 0
// The alarm ends it also where nobody is left to kill it: writing to a closed pipe.
const LISTENER = `
  socket(my $s, AF_UNIX, SOCK_DGRAM, 0) or die; bind($s, pack_sockaddr_un("\\0$ARGV[0]")) or die;
  $| = 1; print "LISTENING\\n"; $SIG{ALRM} = sub { print "\\n" or exit; alarm 1 }; alarm 1;
  my $text; while (1) { defined recv($s, $text, 4096, 0) and print "$text\\n" }`
