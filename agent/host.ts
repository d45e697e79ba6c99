// The edges of the agent as interfaces: all that it can see of the node and do to it. Stages and
// resources get a Host; only main.ts knows the real one (agent/edges), tests use one in memory.
//
// Paths are absolute and logical: `/etc/influxdb/influxdb.conf` also where the node's files are
// under another root (`--root`).

import type { Clock } from '../shared/clock.ts'
import type { Reason } from '../shared/contract/schema.ts'
import type { Secret } from '../shared/secret.ts'

export interface Host {
  readonly files: Files
  readonly trees: Trees
  readonly services: Services
  readonly commands: Commands
  readonly network: Network
  readonly accounts: Accounts
  readonly clock: Clock
  /** Cryptographically strong random bytes. */
  readonly random: (bytes: number) => Uint8Array
  /**
   * The path under which a service of this node sees a file: the logical path itself, or with the
   * root in front of it where services run outside of that root (sandbox nodes).
   */
  readonly servicePath: (path: string) => string
  /**
   * Nothing runs here: the files are those of an image, and services load them when they start.
   * They are switched, but nothing is activated and nothing that is served is looked at.
   */
  readonly isOffline: boolean
}

export type FileKind = 'file' | 'directory' | 'symlink' | 'other'

export interface FileStat {
  readonly kind: FileKind
  /** Permission bits only, for example 0o640. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly sizeBytes: number
  readonly links: number
  /** Changes whenever contents or metadata change: device, inode, size, mtime and ctime in nanoseconds. */
  readonly version: string
  /** Time of the last change of contents or metadata, milliseconds since the epoch. */
  readonly changedAtMs: number
}

/**
 * What a managed file may be at most. Product configurations are some 10 KB; a file of 10 MB is a
 * mistake or an attack, and is left alone.
 */
export const FILE_BYTES_MAX = 16 * 1024 * 1024

export interface Files {
  /** The object itself, symlinks not followed. Undefined where there is none. */
  stat(path: string): Promise<FileStat | undefined>
  /** The object that a path leads to, symlinks followed. Undefined where there is none. */
  statFollowed(path: string): Promise<FileStat | undefined>
  /**
   * By path, what changes whenever the object or what it leads to does: a switched symlink counts, and so
   * does a change behind it. `none` where there is none.
   */
  versions(paths: readonly string[]): Promise<ReadonlyMap<string, string>>
  /**
   * Contents of a regular file, symlinks followed. Undefined where there is none. Never blocks on a
   * FIFO. Throws `not-a-file`, `file-too-large`, `file-unreadable`.
   */
  read(path: string): Promise<Uint8Array | undefined>
  /** Target of a symlink as written; undefined where there is no symlink. */
  readLink(path: string): Promise<string | undefined>
  /** Names in a directory, sorted; empty where there is none. */
  list(path: string): Promise<readonly string[]>
  /**
   * What others than root may still write to the file system of a directory, or of the next one above
   * it that is there. Undefined where the file system does not say.
   */
  freeBytes(path: string): Promise<number | undefined>

  /**
   * Writes a new file that must not exist yet: O_EXCL, O_NOFOLLOW, mode at open, owner by
   * descriptor, all bytes, read back, fsync of file and directory. An existing file of this name is
   * removed first when `overwrite` says so (a left-over of our own).
   * Throws `disk-full`, `read-only`, `permission-denied`, `unsafe-path`, `write-failed`.
   */
  create(path: string, file: NewFile & { readonly overwrite: boolean }): Promise<void>
  /** Atomic rename inside one directory tree, fsync of the directory. Replaces a file or symlink at `to`. */
  rename(from: string, to: string): Promise<void>
  /** Makes `path` a symlink to `target` (relative, as written) by one rename, fsync of the directory. */
  switchLink(path: string, target: string): Promise<void>
  /** Makes a directory (parents must exist) or corrects mode and owner of an existing one. */
  makeDirectory(path: string, owner: Ownership): Promise<void>
  /** Corrects owner and mode of an existing file or directory, by descriptor, symlinks not followed. */
  setOwnership(path: string, owner: Ownership): Promise<void>
  /** Removes a file, a symlink or a whole directory; nothing happens where there is none. */
  remove(path: string): Promise<void>
}

export interface Ownership {
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

export interface NewFile extends Ownership {
  readonly contents: Uint8Array
}

/** Directories of services as a whole, whatever size their files have. */
export interface Trees {
  /**
   * Bytes of all files of a directory; symlinks to it are followed, those in it are not. Undefined
   * where there is none. Throws `tree-unusable` where something in it leads out of it.
   */
  sizeOf(path: string): Promise<number | undefined>
  /**
   * Copies a directory to `to`, which does not exist, in a directory that does: files and symlinks with
   * their modes, owned by ourselves, on disk when it returns. Throws `tree-unusable` as above and
   * where it changes meanwhile, and what `Files` throws.
   */
  copy(from: string, to: string): Promise<readonly TreeEntry[]>
}

export interface TreeEntry extends Ownership {
  /** Below the directory that was copied; `.`: that one. */
  readonly path: string
  readonly kind: 'file' | 'directory' | 'symlink'
  readonly sizeBytes: number
}

/** A unit as the service manager knows it. Values that it does not tell are undefined. */
export interface UnitState {
  readonly unit: string
  readonly loaded: boolean
  readonly activeState:
    | 'active'
    | 'reloading'
    | 'inactive'
    | 'failed'
    | 'activating'
    | 'deactivating'
    | 'unknown'
  readonly subState: string
  readonly result: string
  readonly restarts: number
  /** New for every start of the unit; undefined while it does not run. */
  readonly invocationId: string | undefined
  readonly mainPid: number | undefined
  /** When the main process was started, milliseconds since the epoch. */
  readonly startedAtMs: number | undefined
  /** A job is queued or running for the unit. */
  readonly busy: boolean
  readonly user: string
  readonly group: string
  readonly type: string
  readonly canReload: boolean
  readonly needsDaemonReload: boolean
  /** argv of the first ExecStart, variables unexpanded. */
  readonly execStart: readonly string[]
  /** `Environment=` of unit and drop-ins. */
  readonly environment: Readonly<Record<string, string>>
  readonly environmentFiles: readonly { readonly path: string; readonly optional: boolean }[]
  readonly fragmentPath: string | undefined
  readonly dropInPaths: readonly string[]
}

/** `stop`: in a change that a whole group makes at once; it is started again by the same one. */
export type ActivationVerb = 'reload' | 'restart' | 'start' | 'stop' | 'hangup'

export interface Services {
  /** Undefined: no such unit is installed. Throws `service-manager-unreachable`. */
  show(unit: string): Promise<UnitState | undefined>
  /**
   * The unit's InvocationID without asking the service manager (one readlink), or undefined where
   * that is not known. Used only to see that nothing changed since the last `show`.
   */
  peekInvocation(unit: string): Promise<string | undefined>
  /**
   * Queues the job and returns; the caller polls `show` against its own deadline. `hangup` sends
   * SIGHUP to the main process (a unit without ExecReload).
   * Throws `restart-refused` (start limit), `reload-unsupported`, `service-manager-unreachable`.
   */
  activate(unit: string, verb: ActivationVerb): Promise<void>
  /** Forgets failures and the start limit. */
  resetFailed(unit: string): Promise<void>
  /** Makes the service manager read the unit files again; no service is disturbed. */
  daemonReload(): Promise<void>
}

export interface CommandResult {
  /** undefined: ended by a signal or by the timeout. */
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

export interface Commands {
  /**
   * Runs a program of the node (argv[0] absolute): no shell, environment `LC_ALL=C` and what is given, own
   * timeout, limited output. With `asServiceOf` it runs as that unit's user, in that unit's sandbox
   * and with that unit's environment, so it sees what the service will see.
   * Throws `command-missing`, `command-timeout`, `command-failed-to-start`.
   */
  run(argv: readonly string[], options: CommandOptions): Promise<CommandResult>
}

export interface CommandOptions {
  readonly timeoutMs: number
  readonly asServiceOf?: UnitState
  /** Given to its standard input, which is empty otherwise. Not with `asServiceOf`. */
  readonly stdin?: Secret
  /** Beside `LC_ALL=C`. Not with `asServiceOf`, which brings the environment of the unit. */
  readonly environment?: Readonly<Record<string, string>>
  /**
   * As a unit of this name, outside of our own sandbox, where the service manager runs programs for us;
   * one of this name that still runs is ended before. For what runs long and says much.
   */
  readonly unit?: string
  /** Ends the program: throws `interrupted`. With `unit` only. */
  readonly signal?: AbortSignal | undefined
}

export interface HandshakeTarget {
  /** Address to connect to. */
  readonly host: string
  readonly port: number
  /** Name in SNI, and the name that the certificate must carry. An IP address is not sent as SNI. */
  readonly serverName: string
  /** PEM of the CA certificates that a client would trust. Empty: the platform's own roots. */
  readonly trust: readonly string[]
  readonly clientCertificate?: { readonly chainPem: string; readonly keyPem: string }
  /** After the handshake: `GET path` on the same connection. */
  readonly httpGet?: string
  readonly authorized?: AuthorizedQuestion
  /** Asked without TLS first: a product that speaks none need not see a handshake and complain of it. */
  readonly isPlainExpected?: boolean
  readonly timeoutMs: number
}

/** Asked in place of `httpGet` once chain and name are proven; nobody else is shown the header. */
export interface AuthorizedQuestion {
  /** Path and query. */
  readonly httpGet: string
  /** Sent to that path by PUT, in place of a GET. */
  readonly json?: string
  readonly authorization: Secret
  /** Also without TLS, over a connection that does not leave this machine. */
  readonly isPlainAllowed?: boolean
}

export type Handshake =
  | {
      readonly kind: 'tls'
      /** SHA-256 of the leaf, lower-case hex. */
      readonly fingerprint: string
      /** Leaf first, as sent. */
      readonly chainPem: readonly string[]
      readonly protocol: string
      /** Undefined: the trust given accepts the chain and the name fits. */
      readonly untrusted: Reason | undefined
      readonly http: HttpAnswer | undefined
      /** The answer is that to the authorized question. */
      readonly isAuthorized?: boolean
    }
  /** Something answers, without TLS. */
  | {
      readonly kind: 'plaintext'
      readonly http: HttpAnswer | undefined
      readonly isAuthorized?: boolean
    }
  /** Connection refused, timed out, reset, TLS alert. */
  | { readonly kind: 'unreachable'; readonly reason: Reason }

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** At most 64 KiB. */
  readonly body: string
}

export interface Network {
  /** A new connection each time. Never throws for what the other side does. */
  handshake(target: HandshakeTarget): Promise<Handshake>
}

export interface Accounts {
  /** Ids of a user and its primary group. Undefined: no such user. */
  user(name: string): Promise<{ readonly uid: number; readonly gid: number } | undefined>
  group(name: string): Promise<number | undefined>
}
