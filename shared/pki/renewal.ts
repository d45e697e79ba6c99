// When a certificate is renewed: derived from the certificate itself, so every check gives the same
// answer and a fleet whose certificates end together does not renew them together.

import { hash } from 'node:crypto'
import { assert } from '../assert.ts'
import { createMemory } from '../remember.ts'

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

/** Twenty years: no life is as long. Stands for "not said"; see renewalWindow. */
export const RENEW_BEFORE_NOT_SAID_MS = 20 * 366 * 86_400_000
/** Of a life that nothing is said about, or that is shorter than whoever said it thought. */
const RENEW_BEFORE_DEFAULT = 1 / 3

export type Life = Omit<RenewalInputs, 'serial'>

/** Always before `notAfterMs - renewBeforeMs / 3`, as long as `renewBeforeMs` is below the lifetime. */
export function renewAtMs(inputs: RenewalInputs): number {
  const { startMs, widthMs } = renewalWindow(inputs)
  return Math.floor(startMs + widthMs * fractionOf(inputs.serial))
}

/**
 * The time over which renewals of certificates with these dates are spread. A `renewBeforeMs` of the
 * whole life or more was meant for another life: where the issuer decides how long it is, it stands
 * for "not said", and a third of the life is taken.
 */
export function renewalWindow(life: Life): { readonly startMs: number; readonly widthMs: number } {
  const { notBeforeMs, notAfterMs } = life
  const lifetimeMs = notAfterMs - notBeforeMs
  assert(lifetimeMs > 0, 'a certificate ends after it begins')
  const renewBeforeMs =
    life.renewBeforeMs >= lifetimeMs
      ? lifetimeMs * RENEW_BEFORE_DEFAULT
      : Math.min(Math.max(life.renewBeforeMs, 0), lifetimeMs * RENEW_BEFORE_MAX)

  // The spread follows the wished time where two thirds of it are left for retries, and moves ahead
  // of it where renewBefore is so short that the spread would eat them.
  const widthMs = lifetimeMs * SPREAD
  const latestStartMs = notAfterMs - renewBeforeMs / 3 - widthMs
  return { startMs: Math.min(notAfterMs - renewBeforeMs, latestStartMs), widthMs }
}

export function isDue(inputs: RenewalInputs, nowMs: number): boolean {
  return nowMs >= renewAtMs(inputs)
}

/** Part of a life by which the successor of a self-signed certificate is ahead of its renewal. */
const PREPARED_AHEAD = 0.1
/** With less of a life left, a renewal waits for nobody any more; nor with half of what was left when it was due. */
const FLOOR = 0.1

/** When its successor is made, so that all who trust it can be given the successor before it is due. */
export function prepareAtMs(inputs: RenewalInputs): number {
  const { notBeforeMs, notAfterMs } = inputs
  return Math.floor(renewAtMs(inputs) - (notAfterMs - notBeforeMs) * PREPARED_AHEAD)
}

/** The earliest moment at which something is done for the renewal of a certificate of this issuer. */
export function prepareWindowStartMs(life: Life, issuer: string): number {
  const aheadMs =
    issuer === 'self-signed' ? (life.notAfterMs - life.notBeforeMs) * PREPARED_AHEAD : 0
  return renewalWindow(life).startMs - aheadMs
}

/** From here on it is better to serve what not everybody trusts yet than what nobody will accept soon. */
export function floorAtMs(inputs: RenewalInputs): number {
  const { notBeforeMs, notAfterMs } = inputs
  const leftMs = Math.min((notAfterMs - notBeforeMs) * FLOOR, (notAfterMs - renewAtMs(inputs)) / 2)
  return Math.ceil(notAfterMs - leftMs)
}

// Serials of other CAs may be consecutive numbers; the hash spreads those too.
function fractionOf(serial: string): number {
  return fractions(serial, () => {
    const digest = hash('sha256', serial.toLowerCase(), 'buffer')
    return digest.readUIntBE(0, 6) / 2 ** 48
  })
}

const fractions = createMemory<number>()
