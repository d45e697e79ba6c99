// Owner and mode of what the agent makes: what the service user can read and every version of the
// product accepts. Pure.

import type { ChangeSummary } from '../shared/contract/report.ts'
import type { FileStat, Ownership } from './host.ts'
import type { NodeFacts } from './observation.ts'
import { CHAIN_FILE, KEY_FILE, releaseDirectory } from './resources/material.ts'
import type { Compiled } from './services/service.ts'

export interface PlannedDirectory {
  readonly path: string
  readonly ownership: Ownership
}

export interface PlannedPermissions {
  readonly path: string
  readonly from: Ownership
  readonly to: Ownership
}

export function ownershipOf(stat: FileStat): Ownership {
  return { mode: stat.mode, uid: stat.uid, gid: stat.gid }
}

function isSameOwnership(a: Ownership, b: Ownership): boolean {
  return a.mode === b.mode && a.uid === b.uid && a.gid === b.gid
}

export function plannedDirectories(
  compiled: Compiled,
  facts: NodeFacts,
  owner: { readonly uid: number; readonly gid: number },
): readonly PlannedDirectory[] {
  const ownership = { mode: 0o750, ...owner }
  const wanted = [
    { path: compiled.material.directory, stat: facts.material.directory },
    { path: `${compiled.material.directory}/releases`, stat: facts.material.releasesDirectory },
  ]
  return wanted
    .filter(({ stat }) => stat === undefined || !isSameOwnership(ownershipOf(stat), ownership))
    .map(({ path }) => ({ path, ownership }))
}

/** Owner and mode that the files of a release must have: what the service user can read and every product version accepts. */
export function releaseOwnership(
  compiled: Compiled,
  owner: { readonly uid: number; readonly gid: number },
  self: { readonly uid: number },
): { readonly directory: Ownership; readonly key: Ownership; readonly chain: Ownership } {
  return {
    directory: { mode: 0o750, uid: self.uid, gid: owner.gid },
    key: { mode: compiled.material.keyMode, uid: owner.uid, gid: owner.gid },
    chain: { mode: compiled.material.chainMode, uid: owner.uid, gid: owner.gid },
  }
}

export function plannedPermissions(
  compiled: Compiled,
  release: {
    readonly id: string
    readonly stats: {
      readonly directory: FileStat
      readonly key: FileStat
      readonly chain: FileStat
    }
  },
  owner: { readonly uid: number; readonly gid: number },
  self: { readonly uid: number },
): readonly PlannedPermissions[] {
  const path = releaseDirectory(compiled.material.directory, release.id)
  const wanted = releaseOwnership(compiled, owner, self)
  return [
    { path, from: ownershipOf(release.stats.directory), to: wanted.directory },
    { path: `${path}/${KEY_FILE}`, from: ownershipOf(release.stats.key), to: wanted.key },
    { path: `${path}/${CHAIN_FILE}`, from: ownershipOf(release.stats.chain), to: wanted.chain },
  ].filter(({ from, to }) => !isSameOwnership(from, to))
}

export function permissionChange({ path, from, to }: PlannedPermissions): ChangeSummary {
  return {
    resource: path,
    kind: 'permissions',
    action: 'update',
    summary: `${path}: ${ownershipText(from)} becomes ${ownershipText(to)}`,
    reason: {
      code: 'wrong-permissions',
      message: 'the service user must be able to read it, and nobody else',
    },
  }
}

function ownershipText({ mode, uid, gid }: Ownership): string {
  return `${uid}:${gid} ${mode.toString(8).padStart(4, '0')}`
}
