// How long leaves live and when they are renewed: what each issuer allows, what is taken where the
// fleet spec says nothing, and the profiles that set both at once. Pure.

import { unreachable } from '../../shared/assert.ts'
import type { Issuer } from '../../shared/contract/service.ts'
import { formatDuration } from '../../shared/duration.ts'
import { BACKDATE_MS } from '../../shared/pki/certificate.ts'
import { prepareWindowStartMs, RENEW_BEFORE_NOT_SAID_MS } from '../../shared/pki/renewal.ts'
import type { Path } from './spec-problems.ts'

const DAY_MS = 86_400_000

/** Clients, browsers among them, refuse leaves with a longer life, and a stolen key lives as long. */
export const LIFETIME_MS_MAX = 398 * DAY_MS

interface LifetimePolicy {
  /** `we`: as the spec says. `issuer`: what it gives, the spec only wishes. `others`: it is placed as it is, and never renewed by us. */
  readonly decides: 'we' | 'issuer' | 'others'
  readonly defaultMs: number
}

// A self-signed certificate lives longer: each of its renewals goes through all of its clients.
const POLICIES: Readonly<Record<Exclude<Issuer, 'local-ca'>, LifetimePolicy>> = {
  internal: { decides: 'we', defaultMs: 30 * DAY_MS },
  'self-signed': { decides: 'we', defaultMs: 90 * DAY_MS },
  acme: { decides: 'issuer', defaultMs: 90 * DAY_MS },
  csr: { decides: 'issuer', defaultMs: 90 * DAY_MS },
  files: { decides: 'others', defaultMs: 90 * DAY_MS },
  provided: { decides: 'others', defaultMs: 90 * DAY_MS },
}

export const LIFETIME_PROFILE_NAMES = ['standard', 'public-47d', 'short-lived'] as const
export type LifetimeProfile = (typeof LIFETIME_PROFILE_NAMES)[number]

interface Lifetime {
  readonly lifetimeMs: number
  readonly renewBeforeMs: number
}

/**
 * `public-47d`: what public CAs may give from 15 March 2029 on, of which they should use a day less
 * (Baseline Requirements 6.3.2). `short-lived`: within the seven days below which those demand no
 * revocation. `standard`: the default of the issuer.
 */
const PROFILES: Readonly<Record<Exclude<LifetimeProfile, 'standard'>, Lifetime>> = {
  'public-47d': { lifetimeMs: 46 * DAY_MS, renewBeforeMs: 16 * DAY_MS },
  'short-lived': { lifetimeMs: 6 * DAY_MS, renewBeforeMs: 3 * DAY_MS },
}

/** The keys of the fleet spec that are about it, of an entry or of `defaults`. */
export interface LifetimeKeys {
  readonly lifetime?: number | undefined
  readonly lifetimeProfile?: LifetimeProfile | undefined
  readonly renewBefore?: number | undefined
}

type Report = (path: Path, message: string) => void

/** What stands in the entry comes before what stands in `defaults`, whichever of the keys it is. */
export function lifetimeFor(
  issuer: Exclude<Issuer, 'local-ca'>,
  { entry, defaults }: { readonly entry: LifetimeKeys; readonly defaults: LifetimeKeys },
  report: Report,
): Lifetime {
  const policy = POLICIES[issuer]
  const speaks = isSaid(entry) ? entry : defaults
  if (speaks.lifetime !== undefined && speaks.lifetimeProfile !== undefined)
    report(['lifetimeProfile'], 'give `lifetime` or `lifetimeProfile`, not both')
  const profile = speaks.lifetime === undefined ? profileOf(speaks.lifetimeProfile) : undefined
  const lifetimeMs = speaks.lifetime ?? profile?.lifetimeMs ?? policy.defaultMs
  // What `defaults` says of renewal is about the life that they say, or about any.
  const said =
    entry.renewBefore ??
    (entry.lifetimeProfile === undefined ? defaults.renewBefore : undefined) ??
    (policy.decides === 'we' ? profile?.renewBeforeMs : undefined)
  const lifetime = { lifetimeMs, renewBeforeMs: said ?? Math.round(lifetimeMs / 3) }
  switch (policy.decides) {
    case 'we':
      ourProblems(issuer, lifetime, entry, report)
      return lifetime
    case 'issuer':
      if (entry.lifetimeProfile !== undefined)
        report(
          ['lifetimeProfile'],
          `issuer \`${issuer}\` decides itself how long its certificates live`,
        )
      return { lifetimeMs, renewBeforeMs: said ?? RENEW_BEFORE_NOT_SAID_MS }
    case 'others':
      for (const key of ['lifetime', 'lifetimeProfile', 'renewBefore'] as const)
        if (entry[key] !== undefined)
          report([key], `a certificate of issuer \`${issuer}\` is placed as it is and not renewed`)
      return { lifetimeMs, renewBeforeMs: Math.min(lifetime.renewBeforeMs, lifetimeMs - 1) }
    default:
      return unreachable(policy.decides)
  }
}

function isSaid({ lifetime, lifetimeProfile }: LifetimeKeys): boolean {
  return lifetime !== undefined || lifetimeProfile !== undefined
}

function profileOf(name: LifetimeProfile | undefined): Lifetime | undefined {
  return name === undefined || name === 'standard' ? undefined : PROFILES[name]
}

function ourProblems(
  issuer: Issuer,
  { lifetimeMs, renewBeforeMs }: Lifetime,
  entry: LifetimeKeys,
  report: Report,
): void {
  const key = entry.lifetimeProfile === undefined ? 'lifetime' : 'lifetimeProfile'
  const shorter = !isSaid(entry) && entry.renewBefore !== undefined ? 'renewBefore' : key
  if (renewBeforeMs >= lifetimeMs) {
    const [before, life] = [formatDuration(renewBeforeMs), formatDuration(lifetimeMs)]
    report([shorter], `renewBefore (${before}) must be shorter than lifetime (${life})`)
    return
  }
  if (lifetimeMs > LIFETIME_MS_MAX) {
    const most = formatDuration(LIFETIME_MS_MAX)
    report([key], `a certificate of issuer \`${issuer}\` lives at most ${most}`)
  }
  if (
    prepareWindowStartMs({ notBeforeMs: 0, notAfterMs: lifetimeMs, renewBeforeMs }, issuer) <=
    BACKDATE_MS
  ) {
    const [life, back] = [formatDuration(lifetimeMs), formatDuration(BACKDATE_MS)]
    report(
      [shorter],
      `a certificate that lives ${life} would be renewed as soon as it is made: it begins ${back} before, because clocks differ`,
    )
  }
}
