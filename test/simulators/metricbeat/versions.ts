// What becomes of a certificate that was exchanged, by the version of the Beat.

import { compareVersions, isAtLeast } from '../version.ts'

/** Restarts itself on request: `ssl.restart_on_cert_change`. An older one ignores the setting. */
export function canRestartItself(version: string): boolean {
  return isAtLeast(version, '8.8.0') && !isAtLeast(version, '9.5.0')
}

// The seccomp filter of the first start is in force still and does not know eventfd2.
const PANICS: readonly (readonly [string, string])[] = [
  ['8.16.6', '8.17.0'],
  ['8.17.3', '8.18.0'],
  ['8.18.0', '8.18.7'],
  ['8.19.0', '8.19.4'],
  ['9.0.0', '9.0.7'],
  ['9.1.0', '9.1.4'],
]

export function panicsAtRestart(version: string): boolean {
  return PANICS.some(
    ([from, before]) => isAtLeast(version, from) && compareVersions(version, before) < 0,
  )
}

// "Late patches" of three lines know the setting. 9.3.6 is named in its release notes; the other two are
// of the same weeks, their numbers are (unverified): SIM_CERTIFICATE_RELOAD decides where it matters.
const RELOADS: readonly (readonly [string, string])[] = [
  ['8.19.17', '8.20.0'],
  ['9.3.6', '9.4.0'],
  ['9.4.3', '9.5.0'],
]

/** `ssl.certificate_reload`: whether it is known, and what it is where it is not set. */
export function certificateReload(
  version: string,
  override: string | undefined,
): 'unknown' | 'off' | 'on' {
  if (override === 'unknown' || override === 'off' || override === 'on') return override
  if (isAtLeast(version, '9.5.0')) return 'on'
  const known = RELOADS.some(
    ([from, before]) => isAtLeast(version, from) && compareVersions(version, before) < 0,
  )
  return known ? 'off' : 'unknown'
}
