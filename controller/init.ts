// `tlsfleet-controller init`: a data directory with both authorities and an admin credential. All
// of it is one transaction: it is there completely or not at all, and is never made twice.

import { chmodSync, mkdirSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Name } from '../shared/contract/schema.ts'
import { OperationalError } from '../shared/errors.ts'
import { spkiPin } from '../shared/pki/pin.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import type { Secret } from '../shared/secret.ts'
import { createOperatorToken } from './api/operator-token.ts'
import { makeAuthority } from './authorities.ts'
import { createSealing } from './ca/sealed-key.ts'
import { openSqliteStore } from './store/sqlite.ts'
import type { Store } from './store/store.ts'

export interface InitOptions {
  /** Created with mode 0700. */
  readonly dataDir: string
  readonly fleet: string
  /** Seals the keys of the authorities. A function is called only when there is something to seal. */
  readonly passphrase: Secret | (() => Secret)
  readonly nowMs: number
  readonly random: RandomBytes
}

export interface Initialised {
  readonly fleet: string
  /** `sha256:…` of the identity root: what operators and agents know the controller by. */
  readonly pin: string
  /** PEM of the identity root. */
  readonly identityRoot: string
  /** `tfo1.<id>.<secret>`; to be shown once, the store has its hash. */
  readonly adminToken: Secret
}

export const ADMIN_NAME = 'admin'
const BUSY_TIMEOUT_MS = 1_000

/** Throws `already-initialised`, `invalid-fleet-name`, `store-locked`. */
export async function initController(options: InitOptions): Promise<Initialised> {
  const { dataDir, fleet } = options
  if (!Name.safeParse(fleet).success)
    throw new OperationalError('invalid-fleet-name', `could not use ${fleet} as name of a fleet`, {
      hint: 'Use lower-case letters, digits, `-` and `.`.',
    })
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
  const identity = await makeAuthority({ kind: 'identity', fleet, nowMs, random }, sealing)
  const service = await makeAuthority({ kind: 'service', fleet, nowMs, random }, sealing)
  const { id, secretHash, token } = createOperatorToken(random)
  await store.transaction(async tx => {
    // Asked again: another init may have been as far.
    const other = await tx.settings.get('fleet')
    if (other !== undefined) throw alreadyInitialised(dataDir, other)
    await tx.settings.set('fleet', fleet)
    await tx.authorities.insert(identity)
    await tx.authorities.insert(service)
    await tx.credentials.insert({
      id,
      name: ADMIN_NAME,
      role: 'admin',
      secretHash,
      createdAtMs: nowMs,
      expiresAtMs: undefined,
    })
    await tx.audit.append({ atMs: nowMs, actor: 'init', action: 'initialise', subject: fleet })
  })
  return {
    fleet,
    pin: spkiPin(identity.rootCertificate),
    identityRoot: identity.rootCertificate,
    adminToken: token,
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
