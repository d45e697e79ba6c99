// Versions as products print them: `1.6.7~rc0`, `2.42.0+ds`, `1.12.3-c1.12.3`. What follows the
// three numbers is for people; decisions compare the numbers.

import { refusal, type Refusal } from './reasons.ts'
import type { Seen, SeenCommand } from './service.ts'

export interface Version {
  readonly major: number
  readonly minor: number
  readonly patch: number
  /** With its suffix, as printed. */
  readonly text: string
}

export type VersionText = `${number}.${number}.${number}`

export function parseVersion(text: string): Version | undefined {
  const match = /^v?((\d{1,6})\.(\d{1,6})\.(\d{1,6})(?![\d.])[^\s,()]{0,64})$/.exec(text)
  if (match === null) return undefined
  const [, full = '', major, minor, patch] = match
  return { major: Number(major), minor: Number(minor), patch: Number(patch), text: full }
}

/** The first group of `pattern` in what a command printed, as a version. */
export function versionIn(command: SeenCommand | undefined, pattern: RegExp): Version | undefined {
  if (command?.kind !== 'ran' || command.code !== 0) return undefined
  // Older command-line libraries print the version to stderr.
  const match = pattern.exec(`${command.stdout}\n${command.stderr}`)
  return match?.[1] === undefined ? undefined : parseVersion(match[1])
}

/** `argv` told no version, and why, where it could not even be run. */
export function noVersion({ argv }: { readonly argv: readonly string[] }, seen: Seen): Refusal {
  const command = seen.command(argv)
  const why = command?.kind === 'failed' ? `: ${command.reason.message}` : ''
  return refusal('version-unknown', `${argv.join(' ')} told no version${why}`)
}

export function isAtLeast(version: Version, minimum: VersionText): boolean {
  const wanted = parseVersion(minimum)
  if (wanted === undefined) return false
  if (version.major !== wanted.major) return version.major > wanted.major
  if (version.minor !== wanted.minor) return version.minor > wanted.minor
  return version.patch >= wanted.patch
}
