// The passwords of the accounts, each in a file of its own that only its owner can read. A file is
// where a password comes from, and where a new one goes before Elasticsearch gets it: a run that is
// cut off in between is continued by the next one.

import { randomUUID } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { OperationalError, systemErrorCode } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import type { AccountName } from './accounts.ts'

export interface PasswordFile {
  readonly path: string
  readonly password: Secret
  /** The file holds more than the password: a line feed at its end. */
  readonly endsWithLineFeed: boolean
}

export interface PasswordPlace {
  /** Holds one file for each account, named as the account. */
  readonly directory: string | undefined
  /** Files that operators name; they are only read. */
  readonly files: ReadonlyMap<AccountName, string>
}

export interface Passwords {
  /** The password that the account has or shall have; undefined: there is no file. */
  atHand(name: AccountName): PasswordFile | undefined
  /** Where a new password would go; undefined: there is no place for one. */
  placeFor(name: AccountName): string | undefined
  /** A new random password, which is on disk when this returns. */
  make(name: AccountName): PasswordFile
}

/** Reads all files at once, so that a bad one is known before anything is changed. */
export function openPasswords(
  place: PasswordPlace,
  names: readonly AccountName[],
  random: (bytes: number) => Uint8Array,
): Passwords {
  const known = new Map<AccountName, PasswordFile>()
  for (const name of names) {
    const file = readPassword(place, name)
    if (file !== undefined) known.set(name, file)
  }
  const placeFor = (name: AccountName) =>
    place.directory === undefined || place.files.has(name) ? undefined : join(place.directory, name)
  return {
    atHand: name => known.get(name),
    placeFor,
    make(name) {
      const path = placeFor(name)
      if (place.directory === undefined || path === undefined) throw noPlaceError(name)
      const password = new Secret(Buffer.from(random(PASSWORD_BYTES)).toString('base64url'))
      prepareDirectory(place.directory)
      replaceFile(path, password.reveal())
      const file = { path, password, endsWithLineFeed: false }
      known.set(name, file)
      return file
    },
  }
}

// 43 characters, which no configuration file and no shell takes for anything else.
const PASSWORD_BYTES = 32

export function noPlaceError(name: AccountName): OperationalError {
  return new OperationalError('password-place-needed', `could not make a password for ${name}`, {
    cause: new Error('there is no place for it'),
    hint: 'name a directory for new passwords with --passwords-dir, or give a password with --password-file-for',
  })
}

function readPassword(place: PasswordPlace, name: AccountName): PasswordFile | undefined {
  const given = place.files.get(name)
  if (given !== undefined) return parsePassword(given, readSecretFile(given))
  if (place.directory === undefined) return undefined
  const path = join(place.directory, name)
  try {
    const text = readFileSync(path, 'utf8')
    checkPrivate(path)
    return parsePassword(path, text)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    if (error instanceof OperationalError) throw error
    throw unreadable(path, error)
  }
}

/** A file that an operator named. Its text must not be shown. */
export function readSecretFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw unreadable(path, cause)
  }
}

function unreadable(path: string, cause: unknown): OperationalError {
  return new OperationalError('file-unreadable', `could not read ${path}`, { cause })
}

function checkPrivate(path: string): void {
  if ((statSync(path).mode & 0o077) === 0) return
  throw new OperationalError('password-not-private', `${path} can be read by other users`, {
    hint: `it holds a password; close it with: chmod 600 ${path}`,
  })
}

// Elasticsearch takes no shorter one.
const PASSWORD_CHARACTERS_MIN = 6
const PASSWORD_CHARACTERS_MAX = 1024

function parsePassword(path: string, text: string): PasswordFile {
  const password = text.replace(/\r?\n$/, '')
  const isPlain = !/\p{Cc}/u.test(password)
  if (
    isPlain &&
    password.length >= PASSWORD_CHARACTERS_MIN &&
    password.length <= PASSWORD_CHARACTERS_MAX
  )
    return { path, password: new Secret(password), endsWithLineFeed: password !== text }
  throw new OperationalError('password-unusable', `could not use the password in ${path}`, {
    cause: new Error(
      isPlain
        ? `it is not of ${PASSWORD_CHARACTERS_MIN} to ${PASSWORD_CHARACTERS_MAX} characters`
        : 'it is not one line of plain text',
    ),
  })
}

function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw unwritable(directory, cause)
  }
  // Who can write there could put a password of their own in place of ours.
  if ((statSync(directory).mode & 0o022) === 0) return
  throw new OperationalError('password-not-private', `${directory} can be written by other users`, {
    hint: `it is to hold passwords; close it with: chmod 700 ${directory}`,
  })
}

// Without a line feed: `metricbeat keystore add --stdin` stores whatever it reads.
function replaceFile(path: string, content: string): void {
  const draft = `${path}.${randomUUID()}`
  try {
    const file = openSync(draft, 'wx', 0o600)
    try {
      writeSync(file, content)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    renameSync(draft, path)
  } catch (cause) {
    throw unwritable(path, cause)
  }
}

function unwritable(path: string, cause: unknown): OperationalError {
  return new OperationalError('password-unwritable', `could not write ${path}`, { cause })
}
