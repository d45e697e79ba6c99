// RC2 in CBC mode (RFC 2268), decryption only. OpenSSL 3 has it in its legacy provider, which Node
// does not load, and files that older programs wrote protect their certificates with it. Never
// written: 40 bits are no protection.

const BLOCK_BYTES = 8

// A permutation of 0..255 from the digits of pi.
const PI = Buffer.from(
  'd978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2179a59f587b34f1361456d8d' +
    '09817d32bd8f40eb86b77b0bf09521225c6b4e8254d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1' +
    '423dd430a33cb6266fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed708e8eade' +
    '8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ecc2e0416e0f51cbcc2491af50a1f47039' +
    '997c3a8523b8b47afc02365b255597312d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f' +
    '58e289a90d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad',
  'hex',
)

/** The plain text, or undefined when its padding is wrong. As many key bits count as the key has. */
export function decryptRc2Cbc(key: Uint8Array, iv: Uint8Array, text: Uint8Array) {
  if (text.length === 0 || text.length % BLOCK_BYTES !== 0) return undefined
  const subkeys = expandKey(key)
  const plain = Buffer.from(text)
  let previous = Buffer.from(iv)
  for (let at = 0; at < plain.length; at += BLOCK_BYTES) {
    const block = plain.subarray(at, at + BLOCK_BYTES)
    const cipher = Buffer.from(block)
    decryptBlock(block, subkeys)
    for (let i = 0; i < BLOCK_BYTES; i++) block[i] = (block[i] ?? 0) ^ (previous[i] ?? 0)
    previous = cipher
  }
  return withoutPadding(plain)
}

function expandKey(key: Uint8Array): readonly number[] {
  const bytes = Buffer.alloc(128)
  bytes.set(key)
  const pi = (index: number) => PI[index & 0xff] ?? 0
  const at = (index: number) => bytes[index] ?? 0
  for (let i = key.length; i < 128; i++) bytes[i] = pi(at(i - 1) + at(i - key.length))
  // The effective length equals the length of the key in PKCS#12, so no bits are masked away.
  bytes[128 - key.length] = pi(at(128 - key.length))
  for (let i = 127 - key.length; i >= 0; i--) bytes[i] = pi(at(i + 1) ^ at(i + key.length))
  return Array.from({ length: 64 }, (_, i) => bytes.readUInt16LE(2 * i))
}

const ROTATIONS = [1, 2, 3, 5] as const

function decryptBlock(block: Buffer, subkeys: readonly number[]): void {
  const words = [0, 2, 4, 6].map(offset => block.readUInt16LE(offset))
  const word = (index: number) => words[index & 3] ?? 0
  const subkey = (index: number) => subkeys[index] ?? 0
  let next = 63
  const unmix = () => {
    for (let i = 3; i >= 0; i--) {
      const rotation = ROTATIONS[i] ?? 0
      const rotated = (word(i) >>> rotation) | (word(i) << (16 - rotation))
      const mixed = (word(i - 1) & word(i - 2)) + (~word(i - 1) & word(i - 3))
      words[i] = (rotated - subkey(next--) - mixed) & 0xffff
    }
  }
  const unmash = () => {
    for (let i = 3; i >= 0; i--) words[i] = (word(i) - subkey(word(i - 1) & 63)) & 0xffff
  }
  for (const rounds of [5, 6, 5]) {
    if (next !== 63) unmash()
    for (let round = 0; round < rounds; round++) unmix()
  }
  for (const [i, value] of words.entries()) block.writeUInt16LE(value, 2 * i)
}

/** PKCS#7: 1 to 8 bytes, each of them their number. */
function withoutPadding(plain: Buffer): Buffer | undefined {
  const count = plain.at(-1) ?? 0
  if (count < 1 || count > BLOCK_BYTES) return undefined
  const end = plain.length - count
  return plain.subarray(end).every(byte => byte === count) ? plain.subarray(0, end) : undefined
}
