// Signals are understood by the program that runs, which may be older than the one on disk.

import { logicalPath } from './paths.ts'
import type { DriverContext, Input, Seen } from './service.ts'

/** When a file of the product was changed last. `path` is as the service sees it. */
export function changeInput(
  path: string,
  context: DriverContext,
): Input & { readonly kind: 'command' } {
  const argv = ['/usr/bin/stat', '-L', '-c', '%.3Z', path]
  return { kind: 'command', argv, asService: false, dependsOn: [logicalPath(path, context)] }
}

/** Is the process younger than its file? Not where that cannot be told. */
export function isOlderThanProcess(path: string, seen: Seen, context: DriverContext): boolean {
  const { startedAtMs } = seen.unit
  const changed = seen.command(changeInput(path, context).argv)
  if (startedAtMs === undefined || changed?.kind !== 'ran' || changed.code !== 0) return false
  const seconds = /^\d+\.\d{3}(?=\n?$)/.exec(changed.stdout)?.[0]
  return seconds !== undefined && Number(seconds) * 1000 + GRAIN_MS <= startedAtMs
}

// File systems count in ticks of the kernel, up to 10 ms, and both ends are rounded.
const GRAIN_MS = 20
