// Owner and mode of what the agent makes: what the service user can read and every version of the
// product accepts. Pure.

import type { ChangeSummary } from '../shared/contract/report.ts'
import type { FileStat, Ownership } from './host.ts'
import type { NodeFacts } from './observation.ts'
import { CHAIN_FILE, KEY_FILE, type ReleaseStats, releaseDirectory } from './resources/material.ts'
import { BUNDLE_FILE, PASSWORD_MODE, STORE_FILE, storePasswordPath } from './resources/store.ts'
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
  owner: { readonly gid: number },
  self: { readonly uid: number; readonly gid: number },
): readonly PlannedDirectory[] {
  const { directory, isWanted } = compiled.material
  const ownership = { mode: 0o750, uid: self.uid, gid: owner.gid }
  const wanted = [
    { path: directory, stat: facts.material.directory },
    { path: `${directory}/releases`, stat: facts.material.releasesDirectory },
  ]
  const own = !isWanted
    ? []
    : wanted
        .filter(({ stat }) => stat === undefined || !isSameOwnership(ownershipOf(stat), ownership))
        .map(({ path }) => ({ path, ownership }))
  // Whatever else is missing is the system's, like the directory of a unit's drop-ins.
  const shared = facts.missingDirectories
    .filter(path => !own.some(one => one.path === path))
    .map(path => ({
      path,
      ownership: path === directory ? ownership : { mode: 0o755, ...self },
    }))
  return [...shared, ...own].toSorted((a, b) => (a.path < b.path ? -1 : 1))
}

/** Owner and mode that the files of a release must have: what the service user can read and every product version accepts. */
export function releaseOwnership(
  compiled: Compiled,
  owner: { readonly uid: number; readonly gid: number },
  self: { readonly uid: number },
): Readonly<Record<keyof ReleaseStats, Ownership>> {
  const { keyMode, chainMode, bundleMode, store } = compiled.material
  return {
    directory: { mode: 0o750, uid: self.uid, gid: owner.gid },
    key: { mode: keyMode, uid: owner.uid, gid: owner.gid },
    chain: { mode: chainMode, uid: owner.uid, gid: owner.gid },
    bundle: { mode: bundleMode ?? keyMode, uid: owner.uid, gid: owner.gid },
    store: { mode: store?.mode ?? keyMode, uid: owner.uid, gid: owner.gid },
  }
}

export function plannedPermissions(
  compiled: Compiled,
  release: { readonly id: string; readonly stats: ReleaseStats },
  owner: { readonly uid: number; readonly gid: number },
  self: { readonly uid: number },
): readonly PlannedPermissions[] {
  const path = releaseDirectory(compiled.material.directory, release.id)
  const { stats } = release
  const { bundleMode, store } = compiled.material
  const wanted = releaseOwnership(compiled, owner, self)
  return [
    { path, stat: stats.directory, to: wanted.directory },
    { path: `${path}/${KEY_FILE}`, stat: stats.key, to: wanted.key },
    { path: `${path}/${CHAIN_FILE}`, stat: stats.chain, to: wanted.chain },
    ...(bundleMode === undefined
      ? []
      : [{ path: `${path}/${BUNDLE_FILE}`, stat: stats.bundle, to: wanted.bundle }]),
    ...(store === undefined
      ? []
      : [{ path: `${path}/${STORE_FILE}`, stat: stats.store, to: wanted.store }]),
  ].flatMap(corrected)
}

/** The password of the store, which is nobody's but the agent's. */
export function plannedPasswordPermissions(
  compiled: Compiled,
  { storePassword }: NodeFacts,
  self: { readonly uid: number; readonly gid: number },
): readonly PlannedPermissions[] {
  const path = storePasswordPath(compiled.material.directory)
  const to = { mode: PASSWORD_MODE, ...self }
  return corrected({ path, stat: storePassword?.stat, to })
}

function corrected(file: {
  readonly path: string
  readonly stat: FileStat | undefined
  readonly to: Ownership
}): readonly PlannedPermissions[] {
  const { path, stat, to } = file
  if (stat === undefined || isSameOwnership(ownershipOf(stat), to)) return []
  return [{ path, from: ownershipOf(stat), to }]
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
