// Keys from the password of a PKCS#12 file: the derivation of RFC 7292 appendix B, which the MAC and
// all older ciphers use. PBKDF2, for the newer ones, is in node:crypto.

import { createHmac, hash } from 'node:crypto'
import { assert } from '../assert.ts'
import type { Secret } from '../secret.ts'

/** A password as the algorithms take it: the older ones UTF-16 with an end, the newer ones UTF-8. */
export interface PasswordBytes {
  readonly utf8: Buffer
  readonly utf16: Buffer
}

/** What a password may look like in a file. Programs differ on whether an empty one has an end. */
export function passwordForms(password: Secret): readonly PasswordBytes[] {
  const text = password.reveal()
  const utf8 = Buffer.from(text, 'utf8')
  const utf16 = Buffer.from(`${text}\0`, 'utf16le').swap16()
  return text === ''
    ? [
        { utf8, utf16 },
        { utf8, utf16: Buffer.alloc(0) },
      ]
    : [{ utf8, utf16 }]
}

/** Hashes by name, with the size of their input block. */
const BLOCK_BYTES = { sha1: 64, sha224: 64, sha256: 64, sha384: 128, sha512: 128 } as const
export type HashName = keyof typeof BLOCK_BYTES

/** What a derived key is for: equal salts give different keys. */
const PURPOSE = { key: 1, iv: 2, mac: 3 } as const

export interface Derivation {
  readonly purpose: keyof typeof PURPOSE
  readonly hashName: HashName
  readonly password: PasswordBytes
  readonly salt: Uint8Array
  readonly iterations: number
  readonly bytes: number
}

export function deriveKey(derivation: Derivation): Buffer {
  const { purpose, hashName, password, salt, iterations, bytes } = derivation
  assert(iterations >= 1, 'a key takes at least one round')
  const size = BLOCK_BYTES[hashName]
  const diversifier = Buffer.alloc(size, PURPOSE[purpose])
  const input = Buffer.concat([repeated(salt, size), repeated(password.utf16, size)])
  const blocks: Buffer[] = []
  for (let length = 0; length < bytes; ) {
    let block: Buffer = Buffer.concat([diversifier, input])
    for (let round = 0; round < iterations; round++) block = hash(hashName, block, 'buffer')
    blocks.push(block)
    length += block.length
    if (length < bytes) addToBlocks(input, size, block)
  }
  return Buffer.concat(blocks).subarray(0, bytes)
}

export interface MacParameters {
  readonly hashName: HashName
  readonly salt: Uint8Array
  readonly iterations: number
}

export function macOf(
  data: Uint8Array,
  password: PasswordBytes,
  parameters: MacParameters,
): Buffer {
  const { hashName } = parameters
  const bytes = hash(hashName, '', 'buffer').length
  const key = deriveKey({ purpose: 'mac', password, bytes, ...parameters })
  return createHmac(hashName, key).update(data).digest()
}

/** To a whole number of blocks; nothing stays nothing. */
function repeated(value: Uint8Array, blockBytes: number): Buffer {
  return Buffer.alloc(Math.ceil(value.length / blockBytes) * blockBytes, value)
}

/** I_j = (I_j + B + 1) mod 2^(8v), over all blocks I_j of the input. */
function addToBlocks(input: Buffer, blockBytes: number, addend: Buffer): void {
  for (let start = 0; start < input.length; start += blockBytes) {
    let carry = 1
    for (let i = blockBytes - 1; i >= 0; i--) {
      const sum = (input[start + i] ?? 0) + (addend[i % addend.length] ?? 0) + carry
      input[start + i] = sum & 0xff
      carry = sum >> 8
    }
  }
}
