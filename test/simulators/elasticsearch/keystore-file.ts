// elasticsearch.keystore on disk, as the tool and the node write it: a temporary file beside it, mode
// 0660, never with another owner, then a rename.

import {
  chmodSync,
  existsSync,
  lstatSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { randomInt } from 'node:crypto'
import { join } from 'node:path'
import { encodeKeystore, keystoreFormatOf } from './keystore-format.ts'

/** As the products exit: sysexits.h, and 80 for nothing to do. */
export const EXIT = { usage: 64, data: 65, io: 74, permission: 77, config: 78, noop: 80 } as const

/** The program says `message` and exits with `code`. */
export class UserError extends Error {
  override readonly name = 'UserError'
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

export const SEED = 'keystore.seed'

export function keystorePath(directory: string): string {
  return join(directory, 'elasticsearch.keystore')
}

/** Undefined where there is none. */
export function readKeystoreFile(directory: string): Buffer | undefined {
  const file = keystorePath(directory)
  return existsSync(file) ? readFileSync(file) : undefined
}

export interface SaveOptions {
  readonly directory: string
  readonly password: string
  /** Of Elasticsearch: the format follows from it. */
  readonly version: string
}

export function saveKeystore(
  entries: ReadonlyMap<string, Buffer>,
  { directory, password, version }: SaveOptions,
): void {
  const file = keystorePath(directory)
  const temporary = `${file}.tmp`
  const bytes = encodeKeystore(entries, { format: keystoreFormatOf(version), password })
  try {
    writeFileSync(temporary, bytes, { mode: 0o660 })
  } catch (error) {
    if (!isPermission(error)) throw error
    throw new UserError(
      EXIT.config,
      `unable to create temporary keystore at [${temporary}], write permissions required for [${directory}] or run [elasticsearch-keystore upgrade]`,
    )
  }
  const present = lstatSync(file, { throwIfNoEntry: false })
  if (present !== undefined && present.uid !== statSync(temporary).uid) {
    rmSync(temporary)
    throw new UserError(
      EXIT.config,
      `will not overwrite keystore at [${file}], because this incurs changing the file owner`,
    )
  }
  chmodSync(temporary, 0o660)
  renameSync(temporary, file)
}

const SEED_CHARACTERS =
  'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789~!@#$%^&*-_=+?'

/** Every keystore has one. */
export function createSeed(): Buffer {
  const length = SEED_CHARACTERS.length
  return Buffer.from(Array.from({ length: 20 }, () => SEED_CHARACTERS[randomInt(length)]).join(''))
}

export function isPermission(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')
  )
}
