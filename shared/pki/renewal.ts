// When a certificate is renewed: derived from the certificate itself, so every check gives the same
// answer and a fleet whose certificates end together does not renew them together.

import { createHash } from 'node:crypto'
import { assert } from '../assert.ts'

export interface RenewalInputs {
  readonly notBeforeMs: number
  readonly notAfterMs: number
  /** Hex; what spreads certificates with equal dates. */
  readonly serial: string
  /** A renewal should start this long before the end. */
  readonly renewBeforeMs: number
}

/** Part of the lifetime over which renewals are spread. */
const SPREAD = 0.1
/** More than half of a lifetime would renew certificates that are hardly in use. */
const RENEW_BEFORE_MAX = 0.5

/** Always before `notAfterMs - renewBeforeMs / 3`, as long as `renewBeforeMs` is below the lifetime. */
export function renewAtMs(inputs: RenewalInputs): number {
  const { notBeforeMs, notAfterMs } = inputs
  const lifetimeMs = notAfterMs - notBeforeMs
  assert(lifetimeMs > 0, 'a certificate ends after it begins')
  const renewBeforeMs = Math.min(Math.max(inputs.renewBeforeMs, 0), lifetimeMs * RENEW_BEFORE_MAX)

  // The spread follows the wished time where two thirds of it are left for retries, and moves ahead
  // of it where renewBefore is so short that the spread would eat them.
  const widthMs = lifetimeMs * SPREAD
  const latestStartMs = notAfterMs - renewBeforeMs / 3 - widthMs
  const startMs = Math.min(notAfterMs - renewBeforeMs, latestStartMs)
  return Math.floor(startMs + widthMs * fractionOf(inputs.serial))
}

export function isDue(inputs: RenewalInputs, nowMs: number): boolean {
  return nowMs >= renewAtMs(inputs)
}

// Serials of other CAs may be consecutive numbers; the hash spreads those too.
function fractionOf(serial: string): number {
  const digest = createHash('sha256').update(serial.toLowerCase()).digest()
  return digest.readUIntBE(0, 6) / 2 ** 48
}
