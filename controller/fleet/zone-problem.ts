// Names that the service CA may not sign for: found when a fleet spec is planned, and not by a node that
// asks for its certificate. Pure.

import type { Names } from '../../shared/contract/schema.ts'
import type { Issuer } from '../../shared/contract/service.ts'
import type { NameConstraints } from '../../shared/pki/extensions.ts'
import { outsideZones } from '../../shared/pki/zones.ts'
import type { Finding } from './spec-problems.ts'

export function zoneProblems(
  server: { readonly issuer: Issuer } | undefined,
  { node, names, index }: { node: string; names: Names | undefined; index: number },
  constraints: NameConstraints | undefined,
): readonly Finding[] {
  if (server?.issuer !== 'internal' || names === undefined) return []
  const why = outsideZones(names, constraints)
  if (why === undefined) return []
  const message = `node ${node}: ${why}; give \`names\` that are inside, or another issuer`
  return [{ path: ['services', index, 'names'], message }]
}
