// kibana.keystore: `1:` and the base64 of salt, nonce, tag and AES-256-GCM of a JSON object.

import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isContainer } from './raw-config.ts'

export type Entries = Readonly<Record<string, unknown>>

const ITERATIONS = 10_000

export function keystorePath(env: NodeJS.ProcessEnv): string {
  return join(env['KBN_PATH_CONF'] ?? '/etc/kibana', 'kibana.keystore')
}

/** Empty where there is no file. Throws where the password is wrong. */
export function readKeystore(path: string, env: NodeJS.ProcessEnv): Entries {
  if (!existsSync(path)) return {}
  return decrypt(readFileSync(path, 'utf8'), passwordFor(path, env))
}

/** Written in place; a new file gets the mode of the umask. */
export function writeKeystore(path: string, entries: Entries, env: NodeJS.ProcessEnv): void {
  const password = existsSync(path) ? passwordFor(path, env) : ''
  writeFileSync(path, encrypt(entries, password))
}

export function hasPassword(path: string): boolean {
  try {
    decrypt(readFileSync(path, 'utf8'), '')
    return false
  } catch {
    return true
  }
}

/** Kibana would ask for it; nobody is there to answer. */
function passwordFor(path: string, env: NodeJS.ProcessEnv): string {
  if (!hasPassword(path)) return ''
  const file = env['KBN_KEYSTORE_PASSPHRASE_FILE']
  if (file !== undefined) return readFileSync(file, 'utf8').trim()
  return env['KEYSTORE_PASSWORD'] ?? ''
}

function encrypt(entries: Entries, password: string): string {
  const [salt, iv] = [randomBytes(64), randomBytes(12)]
  const cipher = createCipheriv('aes-256-gcm', keyOf(password, salt), iv)
  const sealed = Buffer.concat([cipher.update(JSON.stringify(entries), 'utf8'), cipher.final()])
  return `1:${Buffer.concat([salt, iv, cipher.getAuthTag(), sealed]).toString('base64')}`
}

function decrypt(text: string, password: string): Entries {
  const data = Buffer.from(text.split(':')[1] ?? '', 'base64')
  const [salt, iv] = [data.subarray(0, 64), data.subarray(64, 76)]
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyOf(password, salt), iv)
    decipher.setAuthTag(data.subarray(76, 92))
    const plain = Buffer.concat([decipher.update(data.subarray(92)), decipher.final()])
    const entries: unknown = JSON.parse(plain.toString('utf8'))
    return isContainer(entries) ? entries : {}
  } catch {
    throw new Error('unable to read keystore')
  }
}

function keyOf(password: string, salt: Buffer): Buffer {
  return pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha512')
}
