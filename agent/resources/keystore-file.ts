// A product's own store of secrets, read natively: without the product and without starting its
// runtime. Only the product's tool writes it.

import { unreachable } from '../../shared/assert.ts'
import { sha256 } from '../../shared/digest.ts'
import { OperationalError, describeError } from '../../shared/errors.ts'
import { Secret } from '../../shared/secret.ts'
import type { FileStat, Files } from '../host.ts'
import { createMemory } from '../../shared/remember.ts'
import type { KeystoreFormat, SeenKeystore } from '../services/service.ts'
import type { KeystoreReading } from './keystore/keystore.ts'

export interface KeystorePlace {
  readonly path: string
  readonly format: KeystoreFormat
  /** A file that holds the password of the store itself, where it has one. */
  readonly passphraseFile?: string | undefined
}

export interface KeystoreFile {
  readonly seen: SeenKeystore
  /** Of the bytes; undefined: there is no such file, or it could not be read. */
  readonly sha256: string | undefined
  readonly stat: FileStat | undefined
  /** It opens only with the password of the passphrase file. */
  readonly isProtected: boolean
}

/** Never throws for what is in the file. */
export async function observeKeystore(files: Files, place: KeystorePlace): Promise<KeystoreFile> {
  const { path, format } = place
  try {
    const stat = await files.statFollowed(path)
    const bytes = stat === undefined ? undefined : await files.read(path)
    if (bytes === undefined) return { seen: { kind: 'missing' }, ...NOTHING }
    const passphrase = await readPassphrase(files, place.passphraseFile)
    const reading = await opened(format, bytes, passphrase)
    const known = { sha256: sha256(bytes), stat }
    if (reading.kind === 'opened') {
      const { entries, hasPassword } = reading
      return { seen: { kind: 'opened', entries }, ...known, isProtected: hasPassword }
    }
    const { code, message } = reading.reason
    const reason = { code, message: `${path}: ${message}` }
    return { seen: { kind: 'unreadable', reason }, ...known, isProtected: false }
  } catch (error) {
    if (!(error instanceof OperationalError)) throw error
    const reason = { code: error.code, message: `${path}: ${describeError(error)}` }
    return { seen: { kind: 'unreadable', reason }, ...NOTHING }
  }
}

const NOTHING = { sha256: undefined, stat: undefined, isProtected: false }

/** The first line, as the products take it. */
export async function readPassphrase(
  files: Files,
  path: string | undefined,
): Promise<Secret | undefined> {
  const bytes = path === undefined ? undefined : await files.read(path)
  if (bytes === undefined) return undefined
  return new Secret(Buffer.from(bytes).toString('utf8').split(/\r?\n/)[0] ?? '')
}

// Deriving the key of a store takes up to some 100 ms: what was opened once is remembered by its bytes.
const memory = createMemory<Promise<KeystoreReading>>()

function opened(
  format: KeystoreFormat,
  bytes: Uint8Array,
  passphrase: Secret | undefined,
): Promise<KeystoreReading> {
  const key = [format, sha256(bytes), sha256(passphrase?.reveal() ?? '')].join(' ')
  return memory(key, () => read(format, bytes, passphrase))
}

// The readers come only where such a store is.
async function read(
  format: KeystoreFormat,
  bytes: Uint8Array,
  passphrase: Secret | undefined,
): Promise<KeystoreReading> {
  switch (format) {
    case 'elasticsearch':
      return (await import('./keystore/elasticsearch.ts')).readElasticsearchKeystore(
        bytes,
        passphrase,
      )
    case 'kibana':
      return (await import('./keystore/kibana.ts')).readKibanaKeystore(bytes, passphrase)
    case 'beats':
      return (await import('./keystore/beats.ts')).readBeatsKeystore(bytes)
    default:
      return unreachable(format)
  }
}
