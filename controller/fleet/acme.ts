// Issuer `acme` in a fleet spec: which directory an entry means, and whether that one takes the names
// of the nodes that it selects. Pure.

import type { Issuer } from '../../shared/contract/service.ts'
import type { Names } from '../../shared/contract/schema.ts'
import type { FleetSpec, ServerSettings } from './intent.ts'
import { nearest } from './nearest.ts'
import type { Finding, Path } from './spec-problems.ts'

/** What the controller's configuration says of a directory, as far as a spec must fit it. */
export interface AcmeDirectoryFacts {
  /** It issues for IP addresses. */
  readonly ipAddresses: boolean
}

/** By name. */
export type AcmeDirectories = ReadonlyMap<string, AcmeDirectoryFacts>

export const NO_DIRECTORIES: AcmeDirectories = new Map()

/** The name of the directory; undefined for every other issuer. */
export function directoryOf(
  entry: { readonly directory?: string | undefined },
  defaults: { readonly directory?: string | undefined },
  issuer: Issuer,
  report: (path: Path, message: string) => void,
): string | undefined {
  if (issuer !== 'acme') {
    if (entry.directory !== undefined)
      report(['directory'], `directory is for issuer \`acme\`, not for \`${issuer}\``)
    return undefined
  }
  const name = entry.directory ?? defaults.directory
  if (name === undefined)
    report(['issuer'], 'issuer `acme` needs the name of a directory: `directory: NAME`')
  return name
}

/** What is wrong with an entry whatever nodes it selects. */
export function acmeProblems(spec: FleetSpec, directories: AcmeDirectories): readonly Finding[] {
  return spec.services.flatMap(({ server }, index) => {
    const name = server?.directory
    if (name === undefined || directories.has(name)) return []
    const near = nearest(name, [...directories.keys()])
    const hint = near === undefined ? `; add [acme.${name}] to it` : `; did you mean \`${near}\`?`
    const message = `the controller's configuration has no ACME directory \`${name}\`${hint}`
    return [{ path: ['services', index, 'directory'], message }]
  })
}

/** Said with the spec: the directory would refuse the order months later. */
export function addressProblem(
  server: ServerSettings | undefined,
  wanted: { readonly node: string; readonly names: Names | undefined; readonly index: number },
  directories: AcmeDirectories,
): readonly Finding[] {
  const { node, names, index } = wanted
  const directory = directories.get(server?.directory ?? '')
  if (directory === undefined || directory.ipAddresses || names === undefined) return []
  if (names.ip.length === 0) return []
  const message = `the ACME directory \`${server?.directory}\` issues for no IP addresses, and node ${node} has ${names.ip.join(', ')}; use \`names: dns\``
  return [{ path: ['services', index, 'names'], message }]
}
