// What a driver is: a compiler from TLS intent to resources. Pure; no side effects, no clock. A
// driver says what it needs to see (`inputs`), and from that and the intent it compiles what should
// be on the node, who must be told (`activation`) and how to prove it (`listeners`).

import type { ServiceName, ServiceTlsOf } from '../../shared/contract/service.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { ConfigEdit } from '../formats/edit.ts'
import type { UnitState } from '../host.ts'

/** Something a driver wants observed before it can compile. */
export type Input =
  /** Text of a file; symlinks followed. */
  | { readonly kind: 'file'; readonly path: string }
  /**
   * Output of a fixed, read-only command of the product. It is run again only when one of
   * `dependsOn` (files) or the unit changed.
   */
  | {
      readonly kind: 'command'
      readonly argv: readonly string[]
      readonly asService: boolean
      readonly dependsOn: readonly string[]
    }

/** What was observed, by the input that asked for it. */
export interface Seen {
  readonly unit: UnitState
  /** Undefined: not asked for yet, or no such file: ask `has`. */
  file(path: string): SeenFile | undefined
  command(argv: readonly string[]): SeenCommand | undefined
}

export type SeenFile =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly reason: Reason }

export type SeenCommand =
  | {
      readonly kind: 'ran'
      readonly code: number | undefined
      readonly stdout: string
      readonly stderr: string
    }
  | { readonly kind: 'failed'; readonly reason: Reason }

export interface DriverContext {
  /** See Host.servicePath: for paths written into product files. */
  readonly servicePath: (path: string) => string
}

/**
 * Stands in values of edits for the name of the active release directory, which is known only once
 * the key is made. Replaced by the engine when it renders.
 */
export const RELEASE_TOKEN = '{release}'

export interface Compiled {
  /** Version and edition for people, undefined when they could not be found out. */
  readonly version: string | undefined
  readonly material: MaterialIntent
  /** In the order in which they are switched. */
  readonly files: readonly FileIntent[]
  /** Programs to run on the staged files, as the service user in the unit's sandbox. */
  readonly validators: readonly Validator[]
  /**
   * What the process must have loaded, by name: the effective value as text (digested by the
   * engine) and what it takes to load another one. RELEASE_TOKEN is allowed in values.
   */
  readonly loads: readonly LoadIntent[]
  readonly listeners: readonly ListenerIntent[]
  readonly notices: readonly Reason[]
}

/** Key and chain as one unit: `directory/releases/<id>/{key.pem,chain.pem}`, `directory/current` -> releases/<id>. */
export interface MaterialIntent {
  /** Own directory, 0750 root:<service group>. */
  readonly directory: string
  readonly keyMode: number
  readonly chainMode: number
  /** Clients' trust bundle is written to `directory/ca.pem`, 0644. */
  readonly trustFile: string
  /** EKU clientAuth as well, for listeners that demand client certificates from our own probe. */
  readonly clientUse: boolean
}

export type FileIntent =
  /** A foreign file: only the owned keys are edited, every other byte stays. */
  | {
      readonly kind: 'config'
      readonly path: string
      readonly format: 'toml' | 'toml-case-insensitive' | 'yaml'
      readonly edits: readonly ConfigEdit[]
      /** Why these keys: shown with the change. */
      readonly reason: Reason
      /** Undefined: the file must exist. Otherwise it is made with this owner and mode. */
      readonly createMode: number | undefined
    }
  /** Variables and flags in a file that systemd reads (`/etc/default/…`). */
  | {
      readonly kind: 'environment'
      readonly path: string
      readonly edits: readonly EnvironmentEdit[]
      readonly reason: Reason
      readonly createMode: number | undefined
    }

export type EnvironmentEdit =
  /** `flag` (with its dashes) inside the words of a variable; undefined removes it. */
  | {
      readonly kind: 'flag'
      readonly variable: string
      readonly flag: string
      readonly value: string | undefined
    }
  | { readonly kind: 'variable'; readonly variable: string; readonly value: string | undefined }

/** `STAGED(path)` in argv is written as this prefix + path: replaced by where the staged file lies, or the live file when it is unchanged. */
export const STAGED_TOKEN = '{staged}'

export interface Validator {
  readonly argv: readonly string[]
  readonly timeoutMs: number
  /** Shown when it fails. */
  readonly what: string
}

export interface LoadIntent {
  /** Stable name, for example `listener`, `flags`, `scrape`. */
  readonly name: string
  readonly value: string
  /** What makes a running process load another value. `handshake` inputs are proven by what is served instead of by the ledger. */
  readonly activation: 'none' | 'reload' | 'hangup' | 'restart'
  readonly provenBy: 'handshake' | 'ledger'
  readonly reason: Reason
}

export interface ListenerIntent {
  /** For people: `https :9090`. */
  readonly name: string
  readonly host: string
  readonly port: number
  readonly serverName: string
  readonly healthPath: string
  /** Statuses that mean healthy. */
  readonly healthyStatuses: readonly number[]
  readonly clientCertificate: boolean
}

export type Compilation =
  | { readonly kind: 'compiled'; readonly compiled: Compiled }
  /** The driver cannot or must not do it: unknown version, unparsable file, option that this version lacks. Nothing is touched. */
  | { readonly kind: 'unsupported'; readonly reason: Reason; readonly version: string | undefined }

export interface Driver<S extends ServiceName = ServiceName> {
  readonly service: S
  /** Unit names, best first; the first that is installed is taken. */
  readonly units: readonly string[]
  /** Everything wanted so far, given what was seen; asked again until it wants nothing new. */
  inputs(seen: Seen, context: DriverContext): readonly Input[]
  compile(tls: ServiceTlsOf<S>, seen: Seen, context: DriverContext): Compilation
}
