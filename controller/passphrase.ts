// Where the passphrase of the CA keys comes from: a file that the service manager or an operator
// provides. It never stands in the environment, in arguments or in the data directory.

import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { OperationalError, systemErrorCode } from '../shared/errors.ts'
import type { RandomBytes } from '../shared/pki/random.ts'
import { Secret } from '../shared/secret.ts'

export interface PassphraseSource {
  /** `--passphrase-file`. */
  readonly file: string | undefined
  /** `$CREDENTIALS_DIRECTORY`, as systemd sets it. */
  readonly credentialsDirectory: string | undefined
  readonly dataDir: string
}

const FILE_NAME = 'ca-passphrase'
const LENGTH_MIN = 16
const LENGTH_MAX = 1024

/** The first that applies: the file named, the credential, a file beside the data directory. */
export function passphrasePath(source: PassphraseSource): string {
  if (source.file !== undefined) return resolve(source.file)
  const { credentialsDirectory } = source
  if (credentialsDirectory !== undefined && credentialsDirectory !== '') {
    const credential = join(credentialsDirectory, FILE_NAME)
    if (exists(credential)) return credential
  }
  return join(dirname(resolve(source.dataDir)), FILE_NAME)
}

/** Throws `passphrase-missing`, `passphrase-exposed`, `passphrase-weak`. */
export function readPassphrase(path: string): Secret {
  let text: string
  try {
    // A credential of systemd may be readable for a group; for everybody nothing secret is.
    if ((statSync(path).mode & 0o007) !== 0)
      throw new OperationalError('passphrase-exposed', `${path} is open to every user`, {
        hint: `chmod 600 ${path}`,
      })
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    if (cause instanceof OperationalError) throw cause
    throw new OperationalError('passphrase-missing', `could not read the CA passphrase ${path}`, {
      hint: 'Name the file with --passphrase-file, or provide the credential ca-passphrase.',
      cause,
    })
  }
  return checkPassphrase(text.trim(), `in ${path}`)
}

/** Throws `passphrase-weak`. */
export function checkPassphrase(passphrase: string, where: string): Secret {
  if (passphrase.length < LENGTH_MIN || passphrase.length > LENGTH_MAX)
    throw new OperationalError('passphrase-weak', `the CA passphrase ${where} has a bad length`, {
      hint: `Use ${LENGTH_MIN} to ${LENGTH_MAX} characters: head -c 32 /dev/urandom | base64`,
    })
  return new Secret(passphrase)
}

/** Reads the passphrase; makes one where there is none. For init. */
export function readOrMakePassphrase(
  path: string,
  random: RandomBytes,
): { readonly passphrase: Secret; readonly isNew: boolean } {
  const isNew = !exists(path) && makePassphrase(path, random)
  return { passphrase: readPassphrase(path), isNew }
}

// On disk for good before a key is sealed with it: without it the authorities are lost.
function makePassphrase(path: string, random: RandomBytes): true {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
    const file = openSync(path, 'wx', 0o600)
    try {
      writeSync(file, `${Buffer.from(random(32)).toString('base64url')}\n`)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    const directory = openSync(dirname(path), 'r')
    fsyncSync(directory)
    closeSync(directory)
  } catch (cause) {
    throw new OperationalError(
      'passphrase-unwritable',
      `could not write the CA passphrase ${path}`,
      {
        hint: 'Name another file with --passphrase-file.',
        cause,
      },
    )
  }
  return true
}

function exists(path: string): boolean {
  try {
    statSync(path)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw new OperationalError('passphrase-missing', `could not look for ${path}`, { cause: error })
  }
}
