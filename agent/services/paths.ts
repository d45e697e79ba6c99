// Paths as the service sees them and as the agent names them.

import type { DriverContext } from './service.ts'

/**
 * The logical path behind a path that was read from a unit, a flag or a product file: the inverse
 * of `servicePath`, and the path itself where both are the same.
 */
export function logicalPath(path: string, context: DriverContext): string {
  const root = context.servicePath('/').replace(/\/+$/, '')
  return root !== '' && path.startsWith(`${root}/`) ? path.slice(root.length) : path
}

export function directoryOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')))
}

export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

/** Home and runtime directories, which the sandbox of a unit hides. */
export function isUnderHome(path: string): boolean {
  return ['/home', '/root', '/run/user'].some(directory => isUnder(path, directory))
}

/**
 * Temporary directories are private to many units and emptied at every boot; nothing that a service
 * needs at its start can live there.
 */
export function isTemporary(path: string): boolean {
  return ['/tmp', '/var/tmp'].some(directory => isUnder(path, directory))
}

function isUnder(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`)
}
