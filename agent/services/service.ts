// What a driver is: a compiler from TLS intent to resources. Pure; no side effects, no clock. A
// driver says what it needs to see (`inputs`), and from that and the intent it compiles what should
// be on the node, who must be told (`activation`) and how to prove it (`listeners`).

import type { ClusterView } from '../../shared/contract/cluster-view.ts'
import type { ServiceName, ServiceTlsOf } from '../../shared/contract/service.ts'
import type { Reason } from '../../shared/contract/schema.ts'
import type { Secret } from '../../shared/secret.ts'
import type { ConfigEdit } from '../formats/edit.ts'
import type { HttpAnswer, UnitState } from '../host.ts'

/** Something a driver wants observed before it can compile. */
export type Input =
  /** Text of a file; symlinks followed. */
  | { readonly kind: 'file'; readonly path: string }
  /** Names in a directory, sorted. */
  | { readonly kind: 'directory'; readonly path: string }
  /** Entries of a product's own store of secrets, read without the product. */
  | {
      readonly kind: 'keystore'
      readonly path: string
      readonly format: KeystoreFormat
      /** A file with the password of the store itself, where the product is told one. */
      readonly passphraseFile?: string
    }
  /**
   * Output of a fixed, read-only command of the product. It is run again only when one of
   * `dependsOn` (files) or the unit changed, and, where it tells of other nodes, when what it said is
   * older than `maxAgeMs`.
   */
  | {
      readonly kind: 'command'
      readonly argv: readonly string[]
      readonly asService: boolean
      readonly dependsOn: readonly string[]
      readonly maxAgeMs?: number
      /** Default 20 s. */
      readonly timeoutMs?: number
    }

/** What was observed, by the input that asked for it. */
export interface Seen {
  readonly unit: UnitState
  /** Undefined: not asked for yet, or no such file: ask `has`. */
  file(path: string): SeenFile | undefined
  command(argv: readonly string[]): SeenCommand | undefined
  /** Empty: no such directory, or nothing in it. Undefined: not asked for yet. */
  directory(path: string): readonly string[] | undefined
  keystore(path: string): SeenKeystore | undefined
}

export type KeystoreFormat = 'elasticsearch' | 'kibana' | 'beats'

export type SeenKeystore =
  | { readonly kind: 'opened'; readonly entries: ReadonlyMap<string, Secret> }
  | { readonly kind: 'missing' }
  /** Damaged, of an unknown version, or protected by a password that is not known. */
  | { readonly kind: 'unreadable'; readonly reason: Reason }

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
  /** Secrets in the products' own stores: one transaction with the files. */
  readonly keystores: readonly KeystoreIntent[]
  /** Run after the files are switched, before the activation. */
  readonly tools: readonly ToolIntent[]
  /** Programs to run on the staged files, as the service user in the unit's sandbox. */
  readonly validators: readonly Validator[]
  /**
   * What the process must have loaded, by name: the effective value as text (digested by the
   * engine) and what it takes to load another one. RELEASE_TOKEN is allowed in values.
   */
  readonly loads: readonly LoadIntent[]
  readonly listeners: readonly ListenerIntent[]
  /** What it connects to: looked at with the trust that the product was given. A problem is a notice, never a failure. */
  readonly upstreams: readonly UpstreamIntent[]
  readonly notices: readonly Reason[]
  /**
   * The files change something that nodes with and without it cannot work with each other across: why
   * it is made by a whole group at once, and by no node alone.
   */
  readonly coordinated?: Reason
  /** What is copied, while the service is stopped, before a change that a whole group makes at once. */
  readonly snapshot?: { readonly directories: readonly string[] }
}

/** Key and chain as one unit: `directory/releases/<id>/{key.pem,chain.pem}`, `directory/current` -> releases/<id>. */
export interface MaterialIntent {
  /** False: no key and no certificate are wanted now. What is there is left alone. */
  readonly isWanted: boolean
  /** Own directory, 0750 root:<service group>. */
  readonly directory: string
  readonly keyMode: number
  readonly chainMode: number
  /** Clients' trust bundle is written to this file of `directory`, 0644. */
  readonly trustFile: string
  /** EKU clientAuth as well, for listeners that demand client certificates from our own probe. */
  readonly clientUse: boolean
  /** Key and chain in one PEM file more, `bundle.pem`, with this mode: for products that take nothing else. */
  readonly bundleMode?: number
  /** Key, chain and root in `http.p12` more. */
  readonly store?: StoreIntent
}

/**
 * A PKCS#12 file in the release. Its password is random, made once for the node and kept (root
 * only) in `directory/store-password`; a password that the keystore entry `adopt` holds already is
 * taken over, so that nothing has to be loaded anew.
 */
export interface StoreIntent {
  readonly mode: number
  readonly adopt: { readonly keystore: string; readonly entry: string }
  /**
   * A key entry of a store that the product had before, taken along as it is: from the release in
   * use where that has it already, else from `path`, which opens with the adopted password. One that
   * is not there or does not open is no reason to fail, and a store without it is not stale.
   */
  readonly carry?: { readonly path: string; readonly alias: string }
}

/**
 * Stands in values of loads for a digest of the password of `MaterialIntent.store`: a process that
 * was started with another one cannot open the new file. Replaced by the engine when it compares.
 */
export const STORE_PASSWORD_TOKEN = '{store-password}'

export type FileIntent =
  /** A foreign file: only the owned keys are edited, every other byte stays. */
  | {
      readonly kind: 'config'
      readonly path: string
      readonly format: ConfigFormat
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
  /** A file that is ours whole: a trust bundle, a drop-in of the unit. Undefined text: no such file. */
  | {
      readonly kind: 'content'
      readonly path: string
      readonly text: string | undefined
      readonly reason: Reason
      readonly createMode: number
    }

/**
 * `toml-variables`: TOML once `${VAR}` is put in, as telegraf reads. `yaml-flat`: `a.b.c: x` and its
 * nested and mixed spellings are one key, as in the products of Elastic.
 */
export type ConfigFormat =
  | 'toml'
  | 'toml-case-insensitive'
  | 'toml-variables'
  | 'yaml'
  | 'yaml-flat'

/** Entries of a product's store of secrets, set and removed by the product's own tool. */
export interface KeystoreIntent {
  readonly path: string
  readonly format: KeystoreFormat
  /** The product's tool, absolute: what its arguments are is known by the format. */
  readonly tool: string
  /** Environment that the tool needs to find the store, for example ES_PATH_CONF. */
  readonly environment: Readonly<Record<string, string>>
  /** As of the input; without it a store that has a password is not changed. */
  readonly passphraseFile?: string
  readonly entries: readonly KeystoreEntry[]
  readonly reason: Reason
}

export type KeystoreEntry =
  /** The password of `MaterialIntent.store`. */
  | { readonly kind: 'store-password'; readonly name: string }
  | { readonly kind: 'value'; readonly name: string; readonly value: Secret }
  | { readonly kind: 'absent'; readonly name: string }

/**
 * A fixed program of the node that makes files from other files, such as update-ca-certificates.
 * Run when one of `after` was switched, again when that is undone, and when `isStale`.
 */
export interface ToolIntent {
  readonly argv: readonly string[]
  readonly timeoutMs: number
  /** Shown with the change, and when it fails. */
  readonly what: string
  readonly after: readonly string[]
  /** What it makes is not what it should be, as far as the driver saw. */
  readonly isStale: boolean
  readonly reason: Reason
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
  /** Of what it printed when it was content: why the process would not do what the staged files say. */
  readonly judge?: (stdout: string) => Reason | undefined
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
  /** `http`: it must answer without TLS. `https` without a wanted certificate: with any certificate. */
  readonly scheme: 'https' | 'http'
  /** What an operator should know from the answer; never a reason to undo a change. */
  readonly advise?: (answer: HttpAnswer) => readonly Reason[]
  /** In place of the above where the node has credentials for the product. */
  readonly authorized?: Pick<
    ListenerIntent,
    'healthPath' | 'healthyStatuses' | 'advise' | 'cluster'
  >
  /** Products that are clusters: what its members say of it. */
  readonly cluster?: ClusterQuestion
}

export interface ClusterQuestion {
  /** Asked beside `healthPath`, with the credentials of `authorized`, for a list of the members. */
  readonly membersPath?: string
  /** Undefined: the answers say nothing of a cluster. */
  readonly read: (health: HttpAnswer, members: HttpAnswer | undefined) => ClusterView | undefined
  /** What it is told around a restart of one member; absent: nothing. */
  readonly absence?: AbsenceIntent
}

/**
 * That a member of a cluster is away for a moment, told to the cluster itself: settings of it, which
 * outlive the member and have to be taken back. Both may be repeated.
 */
export interface AbsenceIntent {
  /** Settings are read there by GET and written by PUT, with the credentials of `authorized`. */
  readonly path: string
  /** `note` is for people who look at the settings. */
  readonly announce: (settings: HttpAnswer, debtId: string, note: string) => AbsenceStep
  /** `wasMarked`: this debt has been seen in the settings before. */
  readonly withdraw: (settings: HttpAnswer, debtId: string, wasMarked: boolean) => AbsenceStep
}

export type AbsenceStep =
  | { readonly kind: 'write'; readonly json: string }
  /** It is as it should be. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unable'; readonly why: string }

/** Somebody else's listener that the product connects to. */
export interface UpstreamIntent {
  /** For people: `influxdb https://influx1.example.org:8086`. */
  readonly name: string
  readonly host: string
  readonly port: number
  readonly serverName: string
  /** PEM of the CA certificates that the product is given; empty: the roots of the platform. */
  readonly trust: readonly string[]
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
