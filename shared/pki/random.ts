// Randomness as a parameter.

/** Cryptographically strong random bytes; tests pass a seeded source. */
export type RandomBytes = (size: number) => Uint8Array

/**
 * A certificate serial number: 16 bytes from the random source, positive, and always 16 bytes long
 * because the first bit is 0 and the second 1; 126 bits stay random.
 */
export function serialNumber(random: RandomBytes): Uint8Array {
  const serial = Uint8Array.from(random(SERIAL_BYTES))
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40
  return serial
}

const SERIAL_BYTES = 16
