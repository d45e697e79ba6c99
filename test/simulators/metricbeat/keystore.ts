// metricbeat.keystore: `v1` and the base64 of salt, nonce, AES-256-GCM and tag of a JSON object.

import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs'
import { resolve } from 'node:path'
import * as z from 'zod/mini'
import { permissions } from './permissions.ts'
import { BeatError } from './ucfg.ts'

export type Secrets = Readonly<Record<string, string>>

const Stored = z.record(z.string(), z.object({ value: z.string() }))
const VERSION = 'v1'
const MODE = 0o600

/** Empty where there is none. Only mode 0600 is taken. */
export function readKeystore(path: string, strict: boolean): Secrets {
  if (!existsSync(path)) return {}
  const { mode, uid } = statSync(path)
  if (strict) {
    const me = process.geteuid?.() ?? 0
    if (uid !== 0 && uid !== me) {
      const rule = `must be owned by the user identifier (uid=${me}) or root`
      throw new BeatError(`config file ("${path}") ${rule}`)
    }
    if ((mode & 0o777) !== MODE) {
      const rule = `can only be writable and readable by the owner but the permissions are "${permissions(mode)}"`
      const fix = `(to fix the permissions use: 'chmod go-wrx ${resolve(path)}')`
      throw new BeatError(`file ("${path}") ${rule} ${fix}`)
    }
  }
  const text = readFileSync(path, 'latin1')
  if (!text.startsWith(VERSION)) {
    const got = text.slice(0, VERSION.length)
    throw new BeatError(`keystore format doesn't match expected version: '${VERSION}' got '${got}'`)
  }
  const stored = Stored.parse(JSON.parse(decrypt(text.slice(VERSION.length))))
  return Object.fromEntries(
    Object.entries(stored).map(([key, { value }]) => [
      key,
      Buffer.from(value, 'base64').toString('utf8'),
    ]),
  )
}

/** Always a new file, of the caller: written beside and renamed. */
export function writeKeystore(path: string, secrets: Secrets): void {
  const stored = Object.fromEntries(
    Object.entries(secrets).map(([key, text]) => [
      key,
      { value: Buffer.from(text).toString('base64') },
    ]),
  )
  const temporary = `${path}.tmp`
  const file = openSync(temporary, 'w', MODE)
  writeSync(file, VERSION + encrypt(`${JSON.stringify(stored)}\n`))
  fsyncSync(file)
  closeSync(file)
  renameSync(temporary, path)
}

function encrypt(text: string): string {
  const [salt, iv] = [randomBytes(64), randomBytes(12)]
  const cipher = createCipheriv('aes-256-gcm', keyOf(salt), iv)
  const sealed = [salt, iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]
  return Buffer.concat(sealed).toString('base64')
}

function decrypt(base64: string): string {
  const data = Buffer.from(base64, 'base64')
  try {
    const decipher = createDecipheriv(
      'aes-256-gcm',
      keyOf(data.subarray(0, 64)),
      data.subarray(64, 76),
    )
    decipher.setAuthTag(data.subarray(-16))
    return Buffer.concat([decipher.update(data.subarray(76, -16)), decipher.final()]).toString(
      'utf8',
    )
  } catch {
    const why = 'cipher: message authentication failed'
    throw new BeatError(`could not decrypt the keystore: could not decrypt keystore data: ${why}`)
  }
}

function keyOf(salt: Buffer): Buffer {
  return pbkdf2Sync('', salt, 10_000, 32, 'sha512')
}
