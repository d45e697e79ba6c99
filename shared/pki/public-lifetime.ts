// How long certificates of public CAs may live, by the day on which they were issued: CA/Browser
// Forum, Baseline Requirements 6.3.2 with ballot SC-081v3. Browsers and operating systems refuse those
// that live longer. The rules do not cover private CAs: who asks must know that the chain ends in none.

import type { PkiReason } from './reason.ts'

interface Limit {
  /** First moment of issuance that it is for. */
  readonly fromMs: number
  readonly daysMax: number
}

/** Latest first. */
const LIMITS: readonly Limit[] = [
  { fromMs: Date.UTC(2029, 2, 15), daysMax: 47 },
  { fromMs: Date.UTC(2027, 2, 15), daysMax: 100 },
  { fromMs: Date.UTC(2026, 2, 15), daysMax: 200 },
]
/** Of every day before those; what was issued under the rules before 2020 has ended long ago. */
const DAYS_MAX_BEFORE = 398

const DAY_MS = 86_400_000
/** Both ends belong to the validity (RFC 5280, 4.1.2.5), and times of certificates are whole seconds. */
const LAST_SECOND_MS = 1_000

export interface PublicLifetime {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Days that a certificate is valid. Any excess over whole days counts as another day. */
export function validityDays({ notBeforeMs, notAfterMs }: PublicLifetime): number {
  return Math.ceil((notAfterMs + LAST_SECOND_MS - notBeforeMs) / DAY_MS)
}

/** The day of issuance is that of `notBefore`: a certificate says no other. */
export function publicDaysMax(issuedAtMs: number): number {
  return LIMITS.find(({ fromMs }) => issuedAtMs >= fromMs)?.daysMax ?? DAYS_MAX_BEFORE
}

/** Why clients that follow the rules for public CAs may refuse this leaf, or undefined. */
export function publicLifetimeProblem(facts: PublicLifetime): PkiReason | undefined {
  const days = validityDays(facts)
  const daysMax = publicDaysMax(facts.notBeforeMs)
  if (days <= daysMax) return undefined
  const day = new Date(facts.notBeforeMs).toISOString().slice(0, 10)
  const message = `it is valid for ${days} days; a public CA may give at most ${daysMax} to a certificate issued on ${day}`
  return { code: 'public-lifetime', message }
}
