// `tlsfleet-controller init`: a data directory with both authorities and an admin credential. All
// of it is one transaction: it is there completely or not at all, and is never made twice.

import { chmodSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { TOKEN_LIFETIME_MS } from '../shared/contract/operators.ts'
import { Name } from '../shared/contract/schema.ts'
import { OperationalError } from '../shared/errors.ts'
import { spkiPin } from '../shared/pki/pin.ts'
import type { PermittedNames } from '../shared/pki/profile.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { Secret } from '../shared/secret.ts'
import { createOperatorToken, requireTokenLifetime } from './api/operator-token.ts'
import { makeAuthority, recordOf } from './authorities.ts'
import { createAuthority } from './ca/authority.ts'
import { constraintsFor, keepRootsOffline, storeZones } from './ca/ca-settings.ts'
import { nextId } from './ca/generations.ts'
import { forgetRoot, keepRoot, type KeptRoot } from './ca/root-directory.ts'
import { epochAfter } from './backup/new-epoch.ts'
import { createSealing, type Sealing } from './ca/sealed-key.ts'
import { openSqliteStore } from './store/sqlite.ts'
import type { AuthorityKind, AuthorityRecord, Store } from './store/store.ts'

export interface InitOptions {
  /** Created with mode 0700. */
  readonly dataDir: string
  readonly fleet: string
  /** Seals the keys of the authorities. A function is called only when there is something to seal. */
  readonly passphrase: Secret | (() => Secret)
  /** What the service CA, and every later one, may sign for; undefined: everything. */
  readonly zones?: PermittedNames | undefined
  /** The keys of the roots go here, and are not in the store. */
  readonly offlineRoot?: OfflineRoot | undefined
  /** Of the admin token; 90 days when it is not given, 366 at most. */
  readonly tokenLifetimeMs?: number | undefined
  readonly nowMs: number
  readonly random: RandomBytes
}

export interface OfflineRoot {
  readonly directory: string
  /** Another one than that of the controller: what opens the roots is not to be on its machine. */
  readonly passphrase: Secret | (() => Promise<Secret>)
}

export interface Initialised {
  readonly fleet: string
  /** `sha256:…` of the identity root: what operators and agents know the controller by. */
  readonly pin: string
  /** PEM of the identity root. */
  readonly identityRoot: string
  /** Names of the key files in the directory of the offline roots. */
  readonly rootKeys: readonly string[]
  /** `tlsf_<id>_<secret>`; to be shown once, the store has its hash. */
  readonly adminToken: Secret
  /** When that token ends. */
  readonly adminTokenEndsAtMs: number
}

export const ADMIN_NAME = 'admin'
const BUSY_TIMEOUT_MS = 1_000

/** Throws `already-initialised`, `invalid-fleet-name`, `invalid-lifetime`, `store-locked`. */
export async function initController(options: InitOptions): Promise<Initialised> {
  const { dataDir, fleet } = options
  if (!Name.safeParse(fleet).success)
    throw new OperationalError('invalid-fleet-name', `could not use ${fleet} as name of a fleet`, {
      hint: 'Use lower-case letters, digits, `-` and `.`.',
    })
  // Before anything is made.
  requireTokenLifetime(ADMIN_NAME, options.tokenLifetimeMs ?? TOKEN_LIFETIME_MS)
  makePrivateDirectory(dataDir)
  const path = databasePath(dataDir)
  const store = await openSqliteStore({ path, busyTimeoutMs: BUSY_TIMEOUT_MS })
  try {
    return await fillStore(store, options)
  } finally {
    await store.close()
  }
}

export function databasePath(dataDir: string): string {
  return join(dataDir, 'controller.db')
}

async function fillStore(store: Store, options: InitOptions): Promise<Initialised> {
  const { dataDir, fleet, passphrase, nowMs, random } = options
  const existing = await store.transaction(tx => tx.settings.get('fleet'))
  if (existing !== undefined) throw alreadyInitialised(dataDir, existing)

  const sealing = createSealing(typeof passphrase === 'function' ? passphrase() : passphrase)
  const { records, kept, undo } = await makeAuthorities(options, sealing)
  const { id, secretHash, token } = createOperatorToken(random)
  const adminTokenEndsAtMs = nowMs + (options.tokenLifetimeMs ?? TOKEN_LIFETIME_MS)
  const fill = store.transaction(async tx => {
    // Asked again: another init may have been as far.
    const other = await tx.settings.get('fleet')
    if (other !== undefined) throw alreadyInitialised(dataDir, other)
    await tx.settings.set('fleet', fleet)
    // Nodes may have had another controller before, which is lost: nothing of it is newer than this one.
    await tx.desired.beginEpoch(epochAfter(0, nowMs))
    if (options.zones !== undefined) await storeZones(tx, options.zones)
    if (options.offlineRoot !== undefined) await keepRootsOffline(tx)
    for (const record of Object.values(records)) await tx.authorities.insert(record)
    await tx.operators.insert({
      name: ADMIN_NAME,
      role: 'admin',
      certificateNames: [],
      isDisabled: false,
      createdAtMs: nowMs,
      createdBy: 'init',
    })
    await tx.credentials.insert({
      id,
      name: ADMIN_NAME,
      role: 'admin',
      secretHash,
      createdAtMs: nowMs,
      createdBy: 'init',
      // Whoever has let it end makes another one on this machine.
      expiresAtMs: adminTokenEndsAtMs,
    })
    await tx.audit.append({ atMs: nowMs, actor: 'init', action: 'initialise', subject: fleet })
  })
  await fill.catch((error: unknown) => {
    undo()
    throw error
  })
  const { rootCertificate } = records.identity
  return {
    fleet,
    pin: spkiPin(rootCertificate),
    identityRoot: rootCertificate,
    rootKeys: kept.map(({ keyFile }) => keyFile),
    adminToken: token,
    adminTokenEndsAtMs,
  }
}

// What is kept elsewhere is no part of the transaction, so it is there before it.
async function makeAuthorities(options: InitOptions, sealing: Sealing) {
  const { fleet, zones, offlineRoot, nowMs, random } = options
  const elsewhere = offlineRoot && {
    directory: offlineRoot.directory,
    passphrase:
      typeof offlineRoot.passphrase === 'function'
        ? await offlineRoot.passphrase()
        : offlineRoot.passphrase,
  }
  const kept: KeptRoot[] = []
  const undo = () => {
    if (elsewhere !== undefined) for (const one of kept) forgetRoot(elsewhere.directory, one)
  }
  const make = async (kind: AuthorityKind): Promise<AuthorityRecord> => {
    const constraints = constraintsFor(kind, zones)
    const known = { id: nextId(kind, []), kind, fleet, nowMs, random, ...constraints }
    if (elsewhere === undefined)
      return { ...(await makeAuthority(known, sealing)), state: 'active' }
    const authority = await createAuthority(known)
    const { directory, passphrase } = elsewhere
    kept.push(keepRoot(directory, authority.root, { passphrase, random }))
    return { ...recordOf(authority, known, sealing), state: 'active' }
  }
  try {
    return {
      records: { identity: await make('identity'), service: await make('service') },
      kept,
      undo,
    }
  } catch (error) {
    undo()
    throw error
  }
}

export function notInitialised(dataDir: string): OperationalError {
  return new OperationalError('not-initialised', `${dataDir} holds no fleet`, {
    hint: 'Run `tlsfleet-controller init` first.',
  })
}

function alreadyInitialised(dataDir: string, fleet: string): OperationalError {
  return new OperationalError(
    'already-initialised',
    `could not initialise ${dataDir}: it holds the controller of fleet ${fleet} already`,
    { hint: 'Nothing was changed. Start it with `tlsfleet-controller serve`.' },
  )
}

function makePrivateDirectory(path: string): void {
  try {
    // What is above it is no secret, and the controller's user must get through.
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    mkdirSync(path, { recursive: true, mode: 0o700 })
    // One that existed, made by a package or by hand, may be open to others.
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o700)
  } catch (cause) {
    throw new OperationalError('data-directory-unusable', `could not make the directory ${path}`, {
      cause,
    })
  }
}
